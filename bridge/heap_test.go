package bridge

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestALargeHeapMayGrowByHalfOnly(t *testing.T) {
	for _, c := range []struct{ live, want int64 }{{0, smallHeap}, {smallHeap / 2, smallHeap}, {1 << 30, 3 << 29}} {
		if got := heapLimit(uint64(c.live)); got != c.want {
			t.Errorf("%d MiB alive: limit %d MiB, want %d", c.live>>20, got>>20, c.want>>20)
		}
	}
}

func TestTheHeapIsBoundedWhileTheBridgeRuns(t *testing.T) {
	for _, given := range []int64{math.MaxInt64, 64 << 20} {
		before := debug.SetMemoryLimit(given)
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- keepHeap(ctx) }()
			time.Sleep(heapInterval + time.Millisecond)
			least := min(given, smallHeap) // and what there is beside the heap, unless that is given
			if got := debug.SetMemoryLimit(-1); got < least || got > min(given, 2*smallHeap) {
				t.Errorf("limit %d MiB, want %d or a little more", got>>20, least>>20)
			}
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		if got := debug.SetMemoryLimit(before); got != given {
			t.Errorf("limit %d after the end, want %d as before", got, given)
		}
	}
}

func TestTheLimitFollowsWhatIsAlive(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	held := make([]byte, smallHeap)
	runtime.GC()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- keepHeap(ctx) }()
		synctest.Wait()
		if got := debug.SetMemoryLimit(-1); got < int64(len(held))*3/2 || got > int64(len(held))*2 {
			t.Errorf("limit %d MiB with %d MiB alive", got>>20, len(held)>>20)
		}
		stop()
		<-ended
	})
	runtime.KeepAlive(held)
	if got := debug.SetMemoryLimit(-1); got != before {
		t.Errorf("limit %d after the end, want %d", got, before)
	}
}

// A limit that counted the stacks for the heap would have the collector run without end.
func TestStacksOfManyGoroutinesDoNotCountForTheHeap(t *testing.T) {
	before := memoryLimit()
	var ready sync.WaitGroup
	end := make(chan struct{})
	const many = 2000
	for range many {
		ready.Add(1)
		go func() {
			var deep [24 << 10]byte // a stack of 32 KiB at least
			deep[0] = 1
			ready.Done()
			<-end
			runtime.KeepAlive(&deep)
		}()
	}
	ready.Wait()
	grown := memoryLimit() - before
	close(end)
	if grown < many*16<<10 {
		t.Errorf("the limit grew by %d KiB for %d stacks of 32 KiB", grown>>10, many)
	}
}
