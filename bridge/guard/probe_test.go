package guard

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// halfOpen makes the breaker of cam half-open, now.
func halfOpen(t *testing.T, b *Breakers) {
	t.Helper()
	b.Trip(cam, "expired")
	time.Sleep(time.Minute)
	b.Alive(cam)
	if b.State(cam) != HalfOpen {
		t.Fatalf("breaker is %v", b.State(cam))
	}
}

func TestProbesAreApartAlsoWhenTheyAreWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := running(t)
		halfOpen(t, b)
		var last time.Time
		for n := range 5 {
			done, refused := b.Enter(t.Context(), cam)
			if refused != nil {
				t.Fatal(refused)
			}
			if gap := time.Since(last); n > 0 && gap < probeInterval {
				t.Errorf("probe %d came %v after the one before", n, gap)
			}
			last = time.Now()
			time.Sleep(100 * time.Millisecond)
			done(Withdrawn)
		}
	})
}

func TestAProbeIsAskedForWhenTheOneBeforeToldNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := running(t)
		halfOpen(t, b)
		done, _ := b.Enter(t.Context(), cam)
		if _, asked := r.take(); asked != 1 {
			t.Fatalf("asked for %d probes, want the one that was begun", asked)
		}
		done(Withdrawn)
		time.Sleep(probeInterval + time.Millisecond)
		if _, asked := r.take(); asked != 1 {
			t.Errorf("asked for %d probes, want 1: the last one was withdrawn and nobody waits", asked)
		}
	})
}

func TestOneProbeIsAskedForHoweverOftenTheDeviceIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := running(t)
		halfOpen(t, b)
		for range 10 {
			b.Alive(cam)
		}
		if _, asked := r.take(); asked != 1 {
			t.Errorf("asked for %d probes", asked)
		}
		time.Sleep(probeInterval)
		b.Alive(cam) // the one asked for has not come: it was refused on its way
		if _, asked := r.take(); asked != 1 {
			t.Errorf("asked for %d probes a second later", asked)
		}
	})
}

// A probe that fails before Run has taken the moment of its back-off out of the timetable must
// not leave the breaker open for ever.
func TestABreakerIsTriedAgainWhoeverWasQuicker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := make(chan struct{}, 10)
		b, err := NewBreakers(BreakerOptions{Probe: func(string) { asked <- struct{}{} }, Registerer: prometheus.NewRegistry()})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			try(t, b, Timeout)
		}
		time.Sleep(lastBackOff) // nobody runs: the moment stays in the timetable
		try(t, b, Failure)
		if b.State(cam) != Open {
			t.Fatalf("breaker is %v after a failed probe", b.State(cam))
		}
		for len(asked) > 0 {
			<-asked
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		time.Sleep(lastBackOff)
		if b.State(cam) != HalfOpen || len(asked) != 1 {
			t.Errorf("breaker is %v, asked for %d probes; want half_open and 1", b.State(cam), len(asked))
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestBackOffDoublesWithJitterBetweenOneAndFiveSeconds(t *testing.T) {
	for opened, want := range []time.Duration{100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000} {
		want *= time.Millisecond
		seen := make(map[time.Duration]bool)
		for range 100 {
			got := BackOff(opened)
			if least, most := max(want*8/10, probeInterval), max(min(want*12/10, lastBackOff), probeInterval); got < least || got > most {
				t.Fatalf("opened %d times before: %v, want %v to %v", opened, got, least, most)
			}
			seen[got] = true
		}
		if want*8/10 > probeInterval && len(seen) < 10 {
			t.Errorf("opened %d times before: no jitter", opened)
		}
	}
	if got := BackOff(1_000_000); got > lastBackOff {
		t.Errorf("%v after very many times", got)
	}
}
