package test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// bigPlatform is a lower platform of so many channels, over TCP.
func bigPlatform(t testing.TB, p *program, channels, perPacket int) *camera.Device {
	return newCamera(t, p.tcp, 1, func(c *camera.Config) {
		c.CatalogPerPacket, c.Channels = perPacket, make([]camera.Channel, channels)
		for i := range channels {
			c.Channels[i] = camera.Channel{ID: cameraID(i), Name: fmt.Sprintf("相机%d", i)}
		}
	})
}

// neighbour keeps a camera alive until stop, which returns how many keepalives were answered,
// how many were not, and the slowest answer.
func neighbour(t testing.TB, p *program) (stop func() (answered, failed int, slowest time.Duration)) {
	d := newCamera(t, p.udp, 2, nil)
	register(t, d)
	end := make(chan struct{})
	var work sync.WaitGroup
	var answered, failed int
	var slowest time.Duration
	work.Go(func() {
		for {
			select {
			case <-end:
				return
			case <-time.After(10 * time.Millisecond):
			}
			code, rtt, err := d.Keepalive(t.Context())
			if err != nil || code != 200 {
				failed++
				continue
			}
			answered++
			slowest = max(slowest, rtt)
		}
	})
	return func() (int, int, time.Duration) {
		close(end)
		work.Wait()
		return answered, failed, slowest
	}
}

func TestABigCatalogueDisturbsNobodyAndIsWrittenOnce(t *testing.T) {
	const channels = 20_000
	p := start(t, baseConfig())
	d := bigPlatform(t, p, channels, 50)
	stop := neighbour(t, p)
	topic := "gb28181/" + d.ID()
	m := connect(t, p.mqtt, topic+"/event/catalog")
	register(t, d)
	if e := m.waitFor(0, 2*time.Minute, "catalog event", on(topic+"/event/catalog")).json(t); e["channels"] != float64(channels) {
		t.Errorf("the catalogue has %v channels, want %d", e["channels"], channels)
	}
	if answered, failed, slowest := stop(); failed > 0 || answered == 0 {
		t.Errorf("beside it %d keepalives of another camera were answered (the slowest took %v) and %d were not", answered, slowest, failed)
	}
	one := shadowTopic(d.ID(), cameraID(0))
	m.done(m.conn.Subscribe(one+"/get/+", 1, nil), "subscribe to answers")
	version := func() any { // its answer waits behind all that the catalogue reported
		mark := m.mark()
		m.publish(one+"/get", "")
		return m.waitFor(mark, 2*time.Minute, "a channel's shadow", on(one+"/get/accepted")).json(t)["version"]
	}
	before, mark := version(), m.mark()
	m.publish(topic+"/cmd/catalog", map[string]any{"limit": 1})
	m.waitFor(mark, 2*time.Minute, "catalog event", on(topic+"/event/catalog"))
	if after := version(); before == nil || after != before {
		t.Errorf("the same catalogue again made version %v of %v", after, before)
	}
	// All its channels go with it.
	m.done(m.conn.Subscribe(topic+"/presence", 1, nil), "subscribe to its presence")
	for _, n := range []int{0, channels - 1} {
		m.done(m.conn.Subscribe(topic+"/"+cameraID(n)+"/presence", 1, nil), "subscribe to a channel's presence")
	}
	mark = m.mark()
	if err := d.Unregister(within(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
	m.waitFor(mark, 2*time.Minute, "the device offline", on(topic+"/presence", "offline"))
	for _, n := range []int{0, channels - 1} {
		m.waitFor(mark, 2*time.Minute, "a channel offline", on(topic+"/"+cameraID(n)+"/presence", "offline"))
	}
	if peak := p.memory("VmHWM"); peak > 512 {
		t.Errorf("resident memory rose to %.0f MiB", peak)
	}
}

// BenchmarkCatalogOf100kChannels is a lower platform's whole catalogue, from its registration
// to the event that it is complete, beside a camera that keeps alive.
func BenchmarkCatalogOf100kChannels(b *testing.B) {
	const channels = 100_000
	for b.Loop() {
		p := start(b, baseConfig())
		d := bigPlatform(b, p, channels, 100)
		stop := neighbour(b, p)
		m := connect(b, p.mqtt, "gb28181/"+d.ID()+"/event/catalog")
		began := time.Now()
		register(b, d)
		m.waitFor(0, 5*time.Minute, "catalog event", on("gb28181/"+d.ID()+"/event/catalog"))
		took := time.Since(began)
		_, failed, slowest := stop()
		b.ReportMetric(channels/took.Seconds(), "channels/s")
		b.ReportMetric(float64(slowest.Milliseconds()), "slowest-keepalive-ms")
		b.ReportMetric(float64(failed), "keepalives-failed")
		b.ReportMetric(p.memory("VmHWM"), "peak-MiB")
		d.Close()
		p.kill()
	}
}
