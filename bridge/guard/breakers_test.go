package guard

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const cam = "34020000001320000001"

// record collects what breakers tell.
type record struct {
	mu     sync.Mutex
	states []State
	probes int
}

func (r *record) take() (states []State, probes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	states, probes = r.states, r.probes
	r.states, r.probes = nil, 0
	return states, probes
}

// running returns breakers whose Run runs for the length of the test.
func running(t *testing.T) (*Breakers, *record) {
	t.Helper()
	r := new(record)
	b, err := NewBreakers(BreakerOptions{
		OnChange: func(device string, s State, _ string, _ time.Time) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if device == cam {
				r.states = append(r.states, s)
			}
		},
		Probe: func(string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.probes++
		},
		Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return b, r
}

// try enters and reports the outcome; it returns the refusal.
func try(t *testing.T, b *Breakers, o Outcome) *OpenError {
	t.Helper()
	done, refused := b.Enter(t.Context(), cam)
	if refused == nil {
		done(o)
	}
	return refused
}

func TestThreeTimeoutsInARowOpenTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := running(t)
		for _, o := range []Outcome{Timeout, Timeout, Success, Timeout, Timeout} {
			try(t, b, o)
		}
		if b.State(cam) != Closed {
			t.Fatal("opened although an answer stood between the time-outs")
		}
		try(t, b, Timeout)
		refused := try(t, b, Success)
		if refused == nil || refused.Reason != ReasonTimeouts {
			t.Fatalf("refusal %v, want reason %s", refused, ReasonTimeouts)
		}
		if wait := time.Until(refused.RetryAt); wait < probeInterval || wait > lastBackOff {
			t.Errorf("tried again in %v, want %v to %v", wait, probeInterval, lastBackOff)
		}
		if states, _ := r.take(); !slices.Equal(states, []State{Open}) {
			t.Errorf("told %v", states)
		}
	})
}

func TestALowRateOfSuccessOpensTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := running(t)
		try(t, b, Success)
		for range 4 {
			try(t, b, Failure)
		}
		if b.State(cam) != Closed {
			t.Fatal("opened at a rate of exactly 0.2")
		}
		try(t, b, Failure)
		if b.State(cam) != Open {
			t.Fatal("not open at 1 success of 6")
		}
	})
}

func TestFewSamplesOpenNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := running(t)
		for range 4 {
			try(t, b, Failure)
		}
		if b.State(cam) != Closed {
			t.Fatal("opened by 4 samples")
		}
		time.Sleep(windowSpan + time.Second)
		try(t, b, Failure)
		if b.State(cam) != Closed {
			t.Fatal("failures of more than a minute ago were counted")
		}
	})
}

func TestTheWindowHoldsTheLastHundred(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := running(t)
		for range 1000 {
			try(t, b, Success)
		}
		for range 80 {
			try(t, b, Failure)
		}
		if b.State(cam) != Closed {
			t.Fatal("opened at 20 successes of the last 100")
		}
		try(t, b, Failure)
		if b.State(cam) != Open {
			t.Fatal("not open at 19 successes of the last 100")
		}
	})
}

func TestAGoneDeviceIsTriedAgainAtItsNextSignOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := running(t)
		b.Trip(cam, "keepalive_lost")
		if refused := try(t, b, Success); refused == nil || refused.Reason != "keepalive_lost" || !refused.RetryAt.IsZero() {
			t.Fatalf("refusal %+v, want keepalive_lost without a time", refused)
		}
		time.Sleep(time.Hour)
		if b.State(cam) != Open {
			t.Fatal("half-open without a sign of life")
		}
		b.Alive(cam)
		if b.State(cam) != HalfOpen {
			t.Fatalf("%v after a sign of life long after the back-off", b.State(cam))
		}
		if states, probes := r.take(); !slices.Equal(states, []State{Open, HalfOpen}) || probes != 1 {
			t.Fatalf("told %v and asked for %d probes, want open, half_open and 1", states, probes)
		}
		if refused := try(t, b, Success); refused != nil || b.State(cam) != Closed {
			t.Fatalf("probe %v, then %v", refused, b.State(cam))
		}
	})
}

func TestASignOfLifeDoesNotShortenTheBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := running(t)
		begun := time.Now()
		b.Trip(cam, "unregistered")
		b.Alive(cam)
		if b.State(cam) != Open {
			t.Fatal("half-open before the back-off has run")
		}
		if refused := try(t, b, Success); refused != nil { // it waits, and is the probe
			t.Fatal(refused)
		}
		if waited := time.Since(begun); waited < probeInterval {
			t.Errorf("waited %v, want at least %v", waited, probeInterval)
		}
	})
}

func TestOthersWaitForTheProbe(t *testing.T) {
	for _, c := range []struct {
		outcome Outcome
		served  int
	}{{Success, 5}, {Timeout, 0}} {
		synctest.Test(t, func(t *testing.T) {
			b, _ := running(t)
			b.Trip(cam, "expired")
			time.Sleep(time.Minute)
			b.Alive(cam)
			probe, refused := b.Enter(t.Context(), cam)
			if refused != nil {
				t.Fatal(refused)
			}
			served := make(chan bool, 5)
			for range 5 {
				go func() {
					done, refused := b.Enter(t.Context(), cam)
					if refused == nil {
						done(Success)
					}
					served <- refused == nil
				}()
			}
			synctest.Wait()
			if len(served) != 0 {
				t.Fatal("somebody did not wait for the probe")
			}
			probe(c.outcome)
			n := 0
			for range 5 {
				if <-served {
					n++
				}
			}
			if n != c.served {
				t.Errorf("after a probe with outcome %d %d were served, want %d", c.outcome, n, c.served)
			}
		})
	}
}

func TestWaitingEndsWithTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := running(t)
		b.Trip(cam, "expired")
		b.Alive(cam)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, refused := b.Enter(ctx, cam); refused == nil || refused.RetryAt.IsZero() {
			t.Fatalf("refusal %v, want one with a time", refused)
		}
	})
}

func TestAWithdrawnProbeLeavesTheTurnToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := running(t)
		b.Trip(cam, "expired")
		time.Sleep(time.Minute)
		b.Alive(cam)
		probe, _ := b.Enter(t.Context(), cam)
		next := make(chan *OpenError, 1)
		go func() { next <- try(t, b, Success) }()
		synctest.Wait()
		probe(Withdrawn)
		if refused := <-next; refused != nil || b.State(cam) != Closed {
			t.Fatalf("next: %v, state %v", refused, b.State(cam))
		}
	})
}

func TestAProbeFromBeforeTheDeviceLeftCountsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := running(t)
		b.Trip(cam, "expired")
		time.Sleep(time.Minute)
		b.Alive(cam)
		probe, _ := b.Enter(t.Context(), cam)
		b.Trip(cam, "unregistered")
		probe(Success)
		if b.State(cam) != Open {
			t.Fatal("closed by the outcome of an older probe")
		}
		time.Sleep(time.Minute)
		b.Alive(cam)
		again, _ := b.Enter(t.Context(), cam)
		probe(Success)
		if b.State(cam) != HalfOpen {
			t.Fatal("closed by the outcome of an older probe while a newer is under way")
		}
		again(Success)
	})
}

func TestProbesAreApartAndBackOffGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := running(t)
		for range 3 {
			try(t, b, Timeout)
		}
		last, longest := time.Now(), time.Duration(0)
		for range 12 {
			for b.State(cam) != HalfOpen {
				time.Sleep(time.Millisecond)
			}
			gap := time.Since(last)
			if gap < probeInterval || gap > lastBackOff+10*time.Millisecond {
				t.Fatalf("probe after %v", gap)
			}
			longest = max(longest, gap)
			last = time.Now()
			try(t, b, Timeout)
		}
		if longest < 3*time.Second {
			t.Errorf("longest back-off %v after 12 failed probes", longest)
		}
		if _, probes := r.take(); probes != 12 {
			t.Errorf("asked for %d probes, want 12: nobody waited", probes)
		}
	})
}

func TestADeviceAtRestIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := running(t)
		for i := range 1000 {
			done, _ := b.Enter(t.Context(), fmt.Sprintf("%020d", i))
			done(Success)
		}
		if b.Len() != 1000 {
			t.Fatalf("%d remembered", b.Len())
		}
		time.Sleep(windowSpan + 2*sweepInterval)
		if b.Len() != 0 {
			t.Errorf("%d still remembered after the window", b.Len())
		}
	})
}

func TestACallbackMayCallBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *Breakers
		var told []State
		b, err := NewBreakers(BreakerOptions{
			OnChange: func(_ string, s State, _ string, _ time.Time) {
				told = append(told, s)
				if s == Open {
					time.Sleep(time.Minute)
					b.Alive(cam)
				}
			},
			Probe:      func(string) { try(t, b, Success) },
			Registerer: prometheus.NewRegistry(),
		})
		if err != nil {
			t.Fatal(err)
		}
		b.Trip(cam, "expired")
		if !slices.Equal(told, []State{Open, HalfOpen, Closed}) {
			t.Errorf("told %v", told)
		}
	})
}
