package bridge

import (
	"context"
	"os"
	"runtime/debug"
	gometrics "runtime/metrics"
	"time"
)

// How much more memory than what lives may be taken. By Go's own rule a heap grows to twice what
// lives before it is collected; of a large fleet that is as much again for nothing.
const (
	heapRoom     = 256 << 20 // bytes that are allocated between two collections at least, or as much as lives
	leastPercent = 25        // of what lives: below it collecting costs more than memory
	memoryTick   = time.Second
	quietTicks   = 10 // without a collection: nothing much is going on
)

// memoryUse is what the runtime tells of the heap, in bytes but for cycles.
type memoryUse struct{ live, objects, unused, free, cycles uint64 }

// gcPercent is how much of what lives may be allocated before the next collection.
func gcPercent(live uint64) int {
	if live <= heapRoom {
		return 100
	}
	return max(leastPercent, int(heapRoom*100/live))
}

// idle is how much of the heap could go back to the system.
func (u memoryUse) idle() uint64 { return max(u.objects+u.unused+u.free, u.live) - u.live }

// worthReturning tells whether so much is idle that a collection for its sake pays.
func (u memoryUse) worthReturning() bool { return u.idle() > max(heapRoom/2, u.live*leastPercent/100) }

// keepMemory keeps the memory taken near what lives, until ctx ends: it has large heaps collected
// sooner, and gives back what a storm has left. With GOGC set that is the operator's.
func keepMemory(ctx context.Context) error {
	if os.Getenv("GOGC") != "" {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(memoryTick)
	defer tick.Stop()
	percent := 100
	before := debug.SetGCPercent(percent)
	defer debug.SetGCPercent(before)
	quiet, last := 0, uint64(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		u := readMemory()
		if p := gcPercent(u.live); p < percent*9/10 || p > percent*11/10 {
			percent = p
			debug.SetGCPercent(p)
		}
		if quiet++; u.cycles != last {
			quiet, last = 0, u.cycles
		}
		if quiet >= quietTicks && u.worthReturning() {
			debug.FreeOSMemory()
			quiet = 0
		}
	}
}

func readMemory() memoryUse {
	s := []gometrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"}, {Name: "/gc/cycles/total:gc-cycles"},
	}
	gometrics.Read(s)
	return memoryUse{
		live: s[0].Value.Uint64(), objects: s[1].Value.Uint64(), unused: s[2].Value.Uint64(),
		free: s[3].Value.Uint64(), cycles: s[4].Value.Uint64(),
	}
}
