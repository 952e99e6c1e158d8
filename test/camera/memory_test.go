package camera

import (
	"runtime"
	"testing"
)

// BenchmarkFleetMemory tells what a device of a big fleet takes before it is registered.
func BenchmarkFleetMemory(b *testing.B) {
	const devices = 20000
	alive := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for b.Loop() {
		before := alive()
		f, err := NewFleet(FleetConfig{Device: Config{Server: "127.0.0.1", ServerID: serverID}, FirstID: "34020000001320000001", Devices: devices, Channels: 1})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(alive()-before)/devices, "B/device")
		runtime.KeepAlive(f)
	}
}
