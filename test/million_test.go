package test

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/gb2mqtt/gb2mqtt/shadowsync"
	"github.com/gb2mqtt/gb2mqtt/shadowsync/store"
)

// manyShadows is how many shadows BenchmarkManyShadows lays down: 1000000 for the real thing.
const manyShadows = "GB2MQTT_BENCH_SHADOWS"

const (
	// noteBytes of text that hardly compresses make the document of each of them 600 bytes.
	noteBytes = 232
	// leastRequests is how many gets and updates of any of them a short run makes.
	leastRequests = 2000
)

// BenchmarkManyShadows is the resident memory of the built program, its mapped files
// included, over a store with many shadows while any of them are read and changed, and the
// time from a start after a kill to the first answer.
func BenchmarkManyShadows(b *testing.B) {
	n := leastRequests
	if given := os.Getenv(manyShadows); given != "" {
		var err error
		if n, err = strconv.Atoi(given); err != nil || n < 1 {
			b.Fatalf("%s is %q; give a number of shadows", manyShadows, given)
		}
	}
	folder := b.TempDir()
	fillStore(b, filepath.Join(folder, "data"), n)
	p := startIn(b, folder, baseConfig())
	begun := time.Now()
	requests := max(b.N, leastRequests)
	askAtRandom(b, p.mqtt, n, requests)
	b.ReportMetric(float64(requests)/time.Since(begun).Seconds(), "requests/s")
	b.ReportMetric(p.memory("VmRSS"), "MiB-rss")
	b.ReportMetric(p.memory("VmHWM"), "MiB-peak")
	p.kill()

	begun = time.Now()
	p = startIn(b, folder, baseConfig())
	askAtRandom(b, p.mqtt, n, 1)
	b.ReportMetric(time.Since(begun).Seconds(), "s-ready-after-kill")
	b.ReportMetric(p.memory("VmRSS"), "MiB-rss-after-start")
	b.ReportMetric(0, "ns/op")
}

func manyThing(i int) string { return fmt.Sprintf("3402000000132%07d", i) }

// fillStore makes n shadows the way the bridge reports them.
func fillStore(b *testing.B, path string, n int) {
	b.Helper()
	st, err := store.Open(store.Config{Path: path, Sync: true}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		b.Fatal(err)
	}
	s, err := shadowsync.New(shadowsync.Default(), st, silence{}, shadowsync.Options{
		Log: slog.New(slog.DiscardHandler), Wanted: func(string) bool { return false },
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	slots := make(chan struct{}, 4096)
	for i := range n {
		slots <- struct{}{}
		reported := map[string]any{"presence": "online", "channels": i % 64, "info": map[string]any{
			"name": fmt.Sprint("IPC ", i), "manufacturer": "Vendor", "firmware": "V5.7",
		}}
		note := make([]byte, noteBytes/2)
		for at := range note {
			note[at] = byte(rand.Uint32())
		}
		reported["note"] = hex.EncodeToString(note)
		s.Report(shadowsync.Key{Thing: manyThing(i)}, reported, func(_ shadowsync.Document, err error) {
			if err != nil {
				b.Error(err)
			}
			<-slots
		})
	}
	if err := s.Flush(ctx); err != nil {
		b.Fatal(err)
	}
	stop()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	if err := st.Close(); err != nil {
		b.Fatal(err)
	}
}

// silence takes messages that nobody wants.
type silence struct{}

func (silence) Publish(string, []byte) {}

// askAtRandom makes gets and updates of random shadows, ten at a time, until all are answered.
func askAtRandom(b *testing.B, url string, things, requests int) {
	b.Helper()
	slots := make(chan struct{}, 10)
	var refused atomic.Int64
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetClientID("many").SetAutoReconnect(false))
	done := func(token mqtt.Token) {
		if !token.WaitTimeout(10*time.Second) || token.Error() != nil {
			b.Fatalf("no answer of the broker: %v", token.Error())
		}
	}
	done(c.Connect())
	defer c.Disconnect(0)
	for _, answer := range []string{"accepted", "rejected"} {
		done(c.Subscribe("$aws/things/+/shadow/+/"+answer, 1, func(mqtt.Client, mqtt.Message) {
			if answer == "rejected" {
				refused.Add(1)
			}
			<-slots
		}))
	}
	take := func() {
		select {
		case slots <- struct{}{}:
		case <-time.After(10 * time.Second):
			b.Fatal("a request was not answered within 10 s")
		}
	}
	for i := range requests {
		take()
		topic := "$aws/things/" + manyThing(rand.N(things)) + "/shadow/"
		if i%2 == 0 {
			c.Publish(topic+"get", 1, false, "")
		} else {
			c.Publish(topic+"update", 1, false, fmt.Sprintf(`{"state":{"desired":{"note":%d}}}`, i))
		}
	}
	for range cap(slots) {
		take()
	}
	if n := refused.Load(); n > 0 {
		b.Errorf("%d of %d requests were refused", n, requests)
	}
}

// memory returns a line of /proc/PID/status in MiB.
func (p *program) memory(name string) float64 {
	p.t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name+":"); ok {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			if err != nil {
				p.t.Fatal(err)
			}
			return float64(kib) / 1024
		}
	}
	p.t.Fatalf("no %s of process %d", name, p.cmd.Process.Pid)
	return 0
}
