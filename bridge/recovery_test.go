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

// newTestRecovery has each device asked one question, by ask.
func newTestRecovery(ask func(ctx context.Context, d gb28181.ID) error) *recovery {
	return newRecovery(recoveryOptions{
		Wait: newPace(500).Wait, Questions: func(gb28181.ID) []string { return []string{"device_info"} },
		Ask: func(ctx context.Context, d gb28181.ID, _ string) error { return ask(ctx, d) },
	})
}

func TestReturnedDeviceIsAskedOnceHoweverOftenItReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := make(chan gb28181.ID, 10)
		r := newTestRecovery(func(_ context.Context, d gb28181.ID) error { asked <- d; return nil })
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
		r = newTestRecovery(func(_ context.Context, d gb28181.ID) error {
			n++
			times <- n
			if n == 1 {
				r.Returned(d)
			}
			return nil
		})
		r.Returned(deviceNumber(t, 1))
		runRecovery(t, r)
		time.Sleep(time.Second)
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
		r := newTestRecovery(func(context.Context, gb28181.ID) error {
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
		r := newTestRecovery(func(_ context.Context, d gb28181.ID) error { asked <- d; return nil })
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

func TestADeviceThatReturnsOnceMoreKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTestRecovery(func(context.Context, gb28181.ID) error { return nil })
		for n := range 3 {
			r.Returned(deviceNumber(t, n))
			time.Sleep(time.Millisecond)
		}
		r.Returned(deviceNumber(t, 0))
		r.Probe(deviceNumber(t, 1))
		for n := range 3 {
			if e, _ := r.next(); e == nil || e.Value.device != deviceNumber(t, n) {
				t.Fatalf("entry %d is %v, want device %d", n, e, n)
			}
		}
	})
}

func TestADeviceThatReturnsAgainAndAgainIsAskedLessAndLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		asked := make(chan time.Duration, 1000)
		r := newTestRecovery(func(context.Context, gb28181.ID) error { asked <- time.Since(begun); return nil })
		runRecovery(t, r)
		d := deviceNumber(t, 1)
		for time.Since(begun) < 10*time.Minute { // it comes and goes, there for 20 s
			r.Returned(d)
			time.Sleep(20 * time.Second)
			r.Left(d)
			r.sweep(time.Now())
		}
		if n := len(asked); n < manyReturns || n > manyReturns+5 {
			t.Errorf("asked %d times in 30 returns", n)
		}
		r.Returned(d)
		time.Sleep(lastFlapDelay + time.Second)
		if len(asked) == 0 {
			t.Error("not asked although it stays at last")
		}
		for len(asked) > 0 {
			<-asked
		}
		time.Sleep(flapWindow)
		r.sweep(time.Now())
		if len(r.returns) != 0 {
			t.Errorf("%d returns are remembered", len(r.returns))
		}
		r.Returned(d)
		time.Sleep(time.Second)
		if len(asked) != 1 {
			t.Error("not asked at once after it had stayed for a while")
		}
	})
}

func TestAProbeIsOneQuestionAndARecoveryIsProbeEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := make(chan string, 100)
		r := newRecovery(recoveryOptions{
			Wait: newPace(500).Wait, Questions: func(gb28181.ID) []string { return []string{"device_info", "catalog"} },
			Ask: func(_ context.Context, _ gb28181.ID, question string) error {
				asked <- question
				if question == probeQuestion {
					return errors.New("no answer")
				}
				return nil
			},
		})
		expect := func(when string, want ...string) {
			t.Helper()
			time.Sleep(time.Second)
			var got []string
			for len(asked) > 0 {
				got = append(got, <-asked)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: asked %v, want %v", when, got, want)
			}
		}
		runRecovery(t, r)
		d := deviceNumber(t, 1)
		r.Probe(d)
		expect("probe", "device_status")
		time.Sleep(time.Hour)
		expect("a failed probe is not repeated by itself")
		r.Probe(d)
		r.Returned(d)
		r.Probe(d)
		expect("a return that probes", "device_info", "catalog")
		if r.Len() != 0 {
			t.Errorf("%d are remembered", r.Len())
		}
	})
}
