package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

func deviceNumber(t *testing.T, n int) gb28181.ID {
	t.Helper()
	id, err := gb28181.ParseID(fmt.Sprintf("3402000000132%07d", n))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// runRecovery starts r and stops it with the test.
func runRecovery(t *testing.T, r *recovery) {
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("recovery ended with %v", err)
		}
	})
}

func TestReturnedDeviceIsAskedOnceHoweverOftenItReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := make(chan gb28181.ID, 10)
		r := newRecovery(500, func(_ context.Context, d gb28181.ID) error { asked <- d; return nil })
		for range 5 {
			r.Returned(deviceNumber(t, 1))
		}
		runRecovery(t, r)
		synctest.Wait()
		if len(asked) != 1 {
			t.Fatalf("asked %d times, want once", len(asked))
		}
		if r.Len() != 0 {
			t.Fatalf("%d devices are remembered after their recovery", r.Len())
		}
	})
}

func TestDeviceThatReturnsWhileItIsAskedIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r *recovery
		times := make(chan int, 10)
		n := 0
		r = newRecovery(500, func(_ context.Context, d gb28181.ID) error {
			n++
			times <- n
			if n == 1 {
				r.Returned(d)
			}
			return nil
		})
		r.Returned(deviceNumber(t, 1))
		runRecovery(t, r)
		synctest.Wait()
		if len(times) != 2 {
			t.Fatalf("asked %d times, want twice", len(times))
		}
	})
}

func TestRecoveryRetriesWithBackOffUntilTheDeviceLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		asked := make(chan time.Duration, 10)
		r := newRecovery(500, func(context.Context, gb28181.ID) error {
			asked <- time.Since(start)
			return errors.New("no answer")
		})
		d := deviceNumber(t, 1)
		r.Returned(d)
		runRecovery(t, r)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		r.Left(d)
		time.Sleep(time.Hour)
		close(asked)
		var got []time.Duration
		for at := range asked {
			got = append(got, at)
		}
		if want := []time.Duration{0, 5 * time.Second, 15 * time.Second}; !slices.Equal(got, want) {
			t.Fatalf("asked at %v, want %v and never after it left", got, want)
		}
	})
}

func TestLongestWaitingDeviceIsAskedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := make(chan gb28181.ID, 3)
		r := newRecovery(500, func(_ context.Context, d gb28181.ID) error { asked <- d; return nil })
		for n := range 3 {
			r.Returned(deviceNumber(t, n))
			time.Sleep(time.Millisecond)
		}
		for n := range 3 {
			e, _ := r.next()
			if e == nil || e.Value.device != deviceNumber(t, n) {
				t.Fatalf("entry %d is %v, want device %d", n, e, n)
			}
		}
	})
}
