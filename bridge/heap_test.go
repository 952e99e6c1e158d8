package bridge

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
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
			if got, want := debug.SetMemoryLimit(-1), min(given, smallHeap); got != want {
				t.Errorf("limit %d MiB, want %d", got>>20, want>>20)
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
