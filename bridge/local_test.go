package bridge

import (
	"context"
	"testing"

	"github.com/gb2mqtt/gb2mqtt/mapping"
)

func TestACommandOfTheBridgesOwnBeginsInItsTurnAndRefusedOnesDoNothing(t *testing.T) {
	l := newLocals()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- l.Run(ctx) }()
	var begun []int // without a lock: first runs on the caller's own goroutine
	release := make(chan struct{})
	start := func(n int, why *mapping.Error) *mapping.Error {
		return l.start(func() *mapping.Error {
			begun = append(begun, n)
			return why
		}, func(context.Context) { <-release })
	}
	for n := range maxLocals {
		if why := start(n, nil); why != nil {
			t.Fatal(why)
		}
	}
	if why := start(maxLocals, nil); why == nil || why.Code != mapping.CodeOverLimit {
		t.Errorf("one more is %v, want %d", why, mapping.CodeOverLimit)
	}
	for n, got := range begun {
		if n != got {
			t.Fatalf("command %d began as number %d", got, n)
		}
	}
	if len(begun) != maxLocals {
		t.Errorf("%d have begun, want %d", len(begun), maxLocals)
	}
	close(release)
	l.work.Wait()
	if why := start(0, mapping.Errorf(mapping.CodeConflict, "no")); why == nil || why.Code != mapping.CodeConflict || l.running != 0 {
		t.Errorf("one that is refused at its beginning is %v; %d still run", why, l.running)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if why := start(0, nil); why == nil || why.Code != mapping.CodeUnavailable {
		t.Errorf("after the end one is %v, want %d", why, mapping.CodeUnavailable)
	}
}
