package guard

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// linked is what Links tell in a test.
type linked struct {
	*Links
	told []Link
	bad  int
}

// measuring runs a story with Links whose Run runs, in virtual time.
func measuring(t *testing.T, story func(t *testing.T, l *linked)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := new(linked)
		var err error
		l.Links, err = NewLinks(LinkOptions{
			OnChange:   func(_ string, k Link) { l.told = append(l.told, k) },
			OnBad:      func(string) { l.bad++ },
			Registerer: prometheus.NewRegistry(),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		story(t, l)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// note tells l of requests: round-trip times, 0 for one without an answer.
func (l *linked) note(rtts ...time.Duration) Link {
	for _, rtt := range rtts {
		if rtt == 0 {
			l.TimedOut(cam, OverUDP)
		} else {
			l.Answered(cam, OverUDP, rtt)
		}
	}
	k, _ := l.Link(cam)
	return k
}

const ms = time.Millisecond

func TestHealthIsOneLessTheWeightedParts(t *testing.T) {
	for _, c := range []struct {
		name   string
		rtts   []time.Duration
		denied bool
		health float64
		level  Level
	}{
		{"steady answers", []time.Duration{20 * ms, 20 * ms, 20 * ms}, false, 1, Good},
		{"one answer has no jitter", []time.Duration{3 * time.Second}, false, 1, Good},
		{"quick answers vary by the device's own doing", []time.Duration{1 * ms, 9 * ms}, false, 1 - 0.45*4/50, Good},
		{"jitter is the mean deviation by the median", []time.Duration{100 * ms, 200 * ms, 300 * ms}, false, 1 - 0.45*(200.0/3)/200, Warn},
		{"jitter is 1 at most", []time.Duration{1 * ms, 1 * ms, 900 * ms}, false, 1 - 0.45, Bad},
		{"a third lost", []time.Duration{20 * ms, 20 * ms, 0}, false, 1 - 0.35/3, Warn},
		{"all lost", []time.Duration{0, 0, 0}, false, 1 - 0.35, Bad},
		{"denied", []time.Duration{20 * ms}, true, 1 - 0.20, Warn},
		{"everything at its worst", []time.Duration{1 * ms, 1 * ms, 900 * ms, 0, 0, 0}, true, 1 - 0.45 - 0.35/2 - 0.20, Bad},
	} {
		measuring(t, func(t *testing.T, l *linked) {
			if c.denied {
				l.Denied(cam)
			}
			got := l.note(c.rtts...)
			if math.Abs(got.Health-c.health) > 1e-6 || got.Level != c.level {
				t.Errorf("%s: health %.4f %v, want %.4f %v", c.name, got.Health, got.Level, c.health, c.level)
			}
		})
	}
}

func TestWhatIsOlderThanAMinuteCountsNoMore(t *testing.T) {
	measuring(t, func(t *testing.T, l *linked) {
		l.Denied(cam)
		l.note(0, 0, 0)
		time.Sleep(linkWindow + time.Second)
		if got := l.note(20 * ms); got.Timeouts != 0 || got.Denials != 0 || got.Requests != 1 || got.Level != Good {
			t.Errorf("a minute later: %+v", got)
		}
	})
}

func TestRequestsByAnotherWayTellNothing(t *testing.T) {
	measuring(t, func(t *testing.T, l *linked) {
		l.note(0, 0, 0)
		l.Answered(cam, OverTCP, 20*ms)
		if got := l.note(); got.Level != Good || got.Requests != 1 {
			t.Errorf("%+v over TCP, want what one request there tells", got)
		}
		if got := l.note(0); got.Requests != 4 || got.Timeouts != 1 || got.Level != Bad {
			t.Errorf("%+v over UDP, want what four requests there tell", got)
		}
	})
}

func TestHealthRecoversByTheClockAlone(t *testing.T) {
	measuring(t, func(t *testing.T, l *linked) {
		l.Denied(cam)
		time.Sleep(30 * time.Second)
		l.note(20*ms, 20*ms)
		if got := l.note(); got.Level != Warn {
			t.Fatalf("%+v, want warn for the denial", got)
		}
		time.Sleep(30*time.Second + linkInterval)
		if got := l.note(); got.Level != Good {
			t.Errorf("%+v a minute after the denial", got)
		}
	})
}

// A part that stays as it is weighs more than one that jumps about: the same share of lost
// requests costs more where it is always so.
func TestSteadyPartsWeighMore(t *testing.T) {
	worst := func(shares func(minute int) int) (last Link) {
		measuring(t, func(t *testing.T, l *linked) {
			for minute := range 5 {
				lost := shares(minute)
				for n := range 10 {
					rtt := 20 * ms
					if n < lost {
						rtt = 0
					}
					last = l.note(rtt)
				}
				time.Sleep(linkWindow + time.Second)
			}
		})
		return last
	}
	steady := worst(func(int) int { return 5 })
	jumping := worst(func(minute int) int { return map[bool]int{true: 5, false: 0}[minute == 4] })
	if steady.Timeouts != jumping.Timeouts || steady.Health >= jumping.Health-0.02 {
		t.Errorf("always half lost: %.2f; half lost in the last minute: %.2f", steady.Health, jumping.Health)
	}
}

func TestWeightsStayWeights(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	k, now := new(link), linkWindow
	for range 10_000 {
		now += time.Duration(random.Int64N(int64(40 * time.Second)))
		switch random.IntN(3) {
		case 0:
			k.add(now, Way(random.IntN(linkWays)), unanswered)
		case 1:
			k.add(now, Way(random.IntN(linkWays)), random.Uint32N(10_000_000))
		default:
			k.denied = now
		}
		c := k.conclude(now)
		sum := 0.0
		for part, w := range k.weights() {
			sum += w
			if least := linkWeights[part] * leastSteady / mostSteady; w < least || w > 1 {
				t.Fatalf("weight %v of part %d", w, part)
			}
		}
		if math.Abs(sum-1) > 1e-9 || c.Health < 0 || c.Health > 1 || c.Requests > linkRequests || math.IsNaN(c.Health) {
			t.Fatalf("weights add up to %v, %+v", sum, c)
		}
	}
	for via, list := range k.requests {
		if cap(list) > 2*linkRequests {
			t.Errorf("room for %d requests by way %d", cap(list), via)
		}
	}
}

func TestAllLostIsBadWhateverWasBefore(t *testing.T) {
	measuring(t, func(t *testing.T, l *linked) {
		for range 30 {
			l.note(20*ms, 22*ms)
			time.Sleep(linkInterval)
		}
		time.Sleep(linkWindow)
		if got := l.note(0, 0, 0); got.Level != Bad || l.bad == 0 {
			t.Errorf("%+v after five good minutes and one in which all was lost, want bad", got)
		}
	})
}

func TestOnlyNewsIsToldAndNotTooOften(t *testing.T) {
	measuring(t, func(t *testing.T, l *linked) {
		for range 100 {
			l.note(20*ms, 21*ms)
			time.Sleep(time.Second)
		}
		if len(l.told) != 1 || l.told[0].Level != Good {
			t.Fatalf("told %+v of a link that stays as it is", l.told)
		}
		time.Sleep(linkWindow)
		l.told = nil
		l.note(20*ms, 0)
		first := l.note(0, 0)
		if len(l.told) > 1 {
			t.Fatalf("told %d times at once", len(l.told))
		}
		time.Sleep(2*linkInterval + time.Second)
		if last := l.told[len(l.told)-1]; last.Level != first.Level || len(l.told) > 3 {
			t.Errorf("told %+v, want the last to be %v", l.told, first.Level)
		}
	})
}

func TestABadLinkIsToldByEnoughRequestsOnly(t *testing.T) {
	measuring(t, func(t *testing.T, l *linked) {
		for n, want := range []int{0, 0, 1, 2} {
			if l.note(0); l.bad != want {
				t.Errorf("told bad %d times after %d lost requests, want %d", l.bad, n+1, want)
			}
		}
		l.Reset(cam)
		if l.note(20 * ms); l.bad != 2 {
			t.Error("told bad of the link that took its place")
		}
	})
}

func TestDevicesAtRestAreNotRemembered(t *testing.T) {
	measuring(t, func(t *testing.T, l *linked) {
		for n := range 1000 {
			l.Answered(fmt.Sprintf("%020d", n), OverTCP, 20*ms)
		}
		time.Sleep(linkMemory - time.Second)
		if l.Len() != 1000 {
			t.Errorf("%d remembered within five minutes", l.Len())
		}
		time.Sleep(2 * linkInterval)
		if l.Len() != 0 {
			t.Errorf("%d remembered after five minutes of rest", l.Len())
		}
		if _, known := l.Link(cam); known {
			t.Error("a link to a device that was never asked")
		}
	})
}
