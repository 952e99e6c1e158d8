package guard

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func newCapacity(t *testing.T) *Capacity {
	t.Helper()
	c, err := NewCapacity(func() int { return 0 }, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fill takes slots until one is refused.
func fill(c *Capacity, now time.Time) (taken []*Slot, retryAfter time.Duration) {
	for {
		s, after := c.Enter(now)
		if s == nil {
			return taken, after
		}
		taken = append(taken, s)
	}
}

func TestSlotsFollowTheFleet(t *testing.T) {
	for _, c := range []struct {
		devices         int
		session, period time.Duration
		want            int
	}{
		{0, time.Second, time.Second, 8},
		{10, time.Second, time.Second, 10},
		{1000, 10 * time.Millisecond, 500 * time.Millisecond, 20},
		{1001, 10 * time.Millisecond, 500 * time.Millisecond, 21},
		{1_000_000, time.Second, time.Second, 32768},
	} {
		if got := slotsFor(c.devices, c.session, c.period); got != c.want {
			t.Errorf("%d devices, %v, %v: %d slots, want %d", c.devices, c.session, c.period, got, c.want)
		}
	}
}

func TestFloorMovesWithMoreThanATwentiethOfTheFleet(t *testing.T) {
	c := newCapacity(t)
	c.session, c.period = time.Second, time.Second
	for _, step := range []struct{ devices, want int }{{1000, 1000}, {1050, 1000}, {1051, 1051}, {1000, 1051}, {900, 900}} {
		if c.follow(step.devices); c.floor != step.want {
			t.Errorf("with %d devices the floor is %d, want %d", step.devices, c.floor, step.want)
		}
	}
}

func TestCapacityGrowsOnDemandToItsBoundAndThenRefuses(t *testing.T) {
	c := newCapacity(t)
	taken, after := fill(c, start)
	if len(taken) != mostSlots || after < time.Second || after > 9*time.Second {
		t.Fatalf("%d slots, then told to try again after %v; want %d and 1s to 9s", len(taken), after, mostSlots)
	}
	taken[0].Leave(start)
	taken[0].Leave(start) // counts once
	if s, _ := c.Enter(start); s == nil {
		t.Error("a slot that was given back is not there")
	}
	if s, _ := c.Enter(start); s != nil {
		t.Error("a slot that was given back twice serves two")
	}
}

func TestCapacityDoesNotGrowWhileAGCIsImminent(t *testing.T) {
	c := newCapacity(t)
	c.collected(start, 1)
	c.period = time.Second
	for _, step := range []struct {
		at    time.Duration
		grows bool
	}{{950 * time.Millisecond, false}, {1050 * time.Millisecond, false}, {1200 * time.Millisecond, true}} {
		taken, _ := fill(c, start.Add(step.at))
		if grew := len(taken) > leastSlots; grew != step.grows {
			t.Errorf("%v after a GC, period 1s: %d slots", step.at, len(taken))
		}
		for _, s := range taken {
			s.Leave(start)
		}
	}
}

func TestLostSessionsAreSweptAfterAGC(t *testing.T) {
	c := newCapacity(t)
	lost, _ := c.Enter(start)
	fresh, _ := c.Enter(start.Add(sessionLimit))
	c.collected(start.Add(sessionLimit+time.Second), 1)
	if _, held := c.used[lost]; held {
		t.Error("a session that was lost holds its slot")
	}
	if _, held := c.used[fresh]; !held {
		t.Error("a session at work lost its slot")
	}
}

func TestCapacityIsGivenBackGCByGC(t *testing.T) {
	c := newCapacity(t)
	taken, _ := fill(c, start)
	for _, s := range taken {
		s.Leave(start)
	}
	for i := range 20 {
		c.collected(start.Add(time.Duration(i)*time.Second), 1)
	}
	if c.size != leastSlots {
		t.Errorf("%d slots long after the storm, want %d", c.size, leastSlots)
	}
}

func TestRefusedOnesDoNotReturnTogether(t *testing.T) {
	c := newCapacity(t)
	fill(c, start)
	seen := map[time.Duration]bool{}
	for range 20 {
		_, after := c.Enter(start)
		seen[after] = true
	}
	if len(seen) < 10 {
		t.Errorf("20 refused ones were told %d different times", len(seen))
	}
}
