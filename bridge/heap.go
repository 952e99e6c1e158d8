package bridge

import (
	"context"
	"runtime/debug"
	gc "runtime/metrics"
	"time"
)

// The bound of what the garbage collector lets grow. Left alone it lets a heap double before it
// collects, which nobody minds of a small one: a large one, of a million shadows under
// compaction say, would take memory that the machine needs for something else.
const (
	smallHeap    = 320 << 20 // bytes; up to here the heap may double
	heapInterval = time.Second
)

// keepHeap bounds the memory of the Go runtime by what is alive in it, until ctx ends. A bound
// from outside, by GOMEMLIMIT, goes on to hold.
func keepHeap(ctx context.Context) error {
	given := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(given)
	tick := time.NewTicker(heapInterval)
	defer tick.Stop()
	for {
		debug.SetMemoryLimit(min(given, memoryLimit()))
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// memoryLimit is the bound as things are: the heap's, and all that the runtime has beside it. The
// stacks of many connections would have the collector run without end if they counted for
// the heap.
func memoryLimit() int64 {
	samples := []gc.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
	}
	gc.Read(samples)
	beside := int64(samples[1].Value.Uint64())
	for _, ofHeap := range samples[2:] {
		beside -= int64(ofHeap.Value.Uint64())
	}
	return heapLimit(samples[0].Value.Uint64()) + max(0, beside)
}

// heapLimit is what a heap may grow to with so many bytes alive: half as much again, and no
// less than a small one.
func heapLimit(live uint64) int64 { return max(smallHeap, int64(live+live/2)) }
