package test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// From a desired value on MQTT to the request on the camera's wire, with the durable commit
// between them, beside one bare sync of the same disk.
func BenchmarkDesiredToWire(b *testing.B) {
	folder := b.TempDir()
	p := startIn(b, folder, baseConfig())
	heard := make(chan time.Time, 1)
	d := newCamera(b, p.udp, 1, func(c *camera.Config) {
		c.OnRequest = func(r *camera.Request) bool {
			if r.Element("GuardCmd") != "" {
				heard <- time.Now()
			}
			return false
		}
	})
	m := connect(b, p.mqtt, "gb28181/"+d.ID()+"/presence")
	register(b, d)
	m.wait(0, "online", on("gb28181/"+d.ID()+"/presence", "online"))
	bare, err := os.Create(filepath.Join(folder, "bare"))
	if err != nil {
		b.Fatal(err)
	}
	defer bare.Close()
	block := make([]byte, 4096)

	var wire, sync []time.Duration
	for i := 0; b.Loop(); i++ {
		begin := time.Now()
		m.publish(shadowTopic(d.ID(), "")+"/update", fmt.Sprintf(`{"state":{"desired":{"guard":%q}}}`, []string{"on", "off"}[i%2]))
		wire = append(wire, (<-heard).Sub(begin))
		m.reported(d.ID(), "", "guard", func(r map[string]any) bool { return r["guard"] == []string{"on", "off"}[i%2] })

		begin = time.Now()
		if _, err := bare.Write(block); err != nil {
			b.Fatal(err)
		}
		if err := bare.Sync(); err != nil {
			b.Fatal(err)
		}
		sync = append(sync, time.Since(begin))
	}
	slices.Sort(wire)
	slices.Sort(sync)
	w, s := wire[len(wire)/2], sync[len(sync)/2]
	b.ReportMetric(float64(w.Microseconds()), "µs/wire-p50")
	b.ReportMetric(float64(s.Microseconds()), "µs/sync-p50")
	b.ReportMetric(float64((w - s).Microseconds()), "µs/wire-minus-sync")
	b.ReportMetric(float64(w)/float64(s), "wire/sync")
}
