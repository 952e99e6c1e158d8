package guard

import (
	"context"
	"math"
	"math/rand/v2"
	"runtime/metrics"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The bounds of a Capacity, and how it moves within them.
const (
	leastSlots    = 8
	mostSlots     = 32768
	fleetMoved    = 0.05             // the floor follows the fleet once it has moved by this part
	sessionLimit  = 30 * time.Second // a session that lasts longer is taken to be lost
	nearGC        = 0.1              // of the period, before and after the next GC is expected: no growth
	gcPoll        = 50 * time.Millisecond
	smoothing     = 0.1 // weight of the newest session and of the newest period in their means
	firstSession  = 10 * time.Millisecond
	firstGCPeriod = time.Second
	retryLeast    = time.Second // of a request beyond capacity, and as much again by chance eight times
	retrySpread   = 8 * time.Second
)

// Capacity bounds how many sessions of signalling are at work at once: a registration, and
// what is to be done about it. Its floor follows the fleet: N devices whose sessions last T
// seconds need N·T/(G/1000) slots over a GC period of G milliseconds. It grows on demand up to
// 32,768, but not when a GC is imminent: its mark phase would take the time that the new
// sessions need. After a GC lost sessions are swept, and what was not needed is given back.
type Capacity struct {
	devices func() int
	metrics *capacityMetrics

	mu      sync.Mutex // guards all below; never held in a callback
	used    map[*Slot]struct{}
	size    int
	floor   int
	fleet   int           // the N of floor
	session time.Duration // mean
	period  time.Duration // of the GC, mean
	gc      time.Time     // the end of the last one that was noticed
}

// Slot is the place of one session.
type Slot struct {
	c     *Capacity
	since time.Time
}

// NewCapacity returns a Capacity for a fleet of as many as devices tells.
func NewCapacity(devices func() int, reg prometheus.Registerer) (*Capacity, error) {
	c := &Capacity{
		devices: devices, used: make(map[*Slot]struct{}),
		size: leastSlots, floor: leastSlots, session: firstSession, period: firstGCPeriod,
	}
	var err error
	c.metrics, err = newCapacityMetrics(reg)
	c.metrics.show(c)
	return c, err
}

// Enter takes a slot. Without one it tells after what time the caller may try again, a time
// that differs from one to the next, so that those who were refused do not return together.
func (c *Capacity) Enter(now time.Time) (s *Slot, retryAfter time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if 4*(len(c.used)+1) > 3*c.size && c.size < mostSlots && !c.imminentLocked(now) {
		c.size = min(2*c.size, mostSlots)
		c.metrics.show(c)
	}
	if len(c.used) >= c.size {
		c.metrics.refused.Inc()
		return nil, retryLeast + rand.N(retrySpread)
	}
	s = &Slot{c, now}
	c.used[s] = struct{}{}
	c.metrics.used.Set(float64(len(c.used)))
	return s, 0
}

// Leave gives the slot back. Only the first call counts, and none after the slot was swept.
func (s *Slot) Leave(now time.Time) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, held := c.used[s]; !held {
		return
	}
	delete(c.used, s)
	c.session = mean(c.session, max(0, now.Sub(s.since)))
	c.metrics.used.Set(float64(len(c.used)))
}

// Run follows the fleet and the GC until ctx ends.
func (c *Capacity) Run(ctx context.Context) error {
	tick := time.NewTicker(gcPoll)
	defer tick.Stop()
	cycles := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}}
	var seen uint64
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			metrics.Read(cycles)
			if n := cycles[0].Value.Uint64(); n != seen {
				c.collected(now, int(n-seen))
				seen = n
			}
			c.follow(c.devices())
		}
	}
}

// collected takes note of GC cycles that have ended since the last call.
func (c *Capacity) collected(now time.Time, cycles int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.gc.IsZero() {
		c.period = mean(c.period, now.Sub(c.gc)/time.Duration(cycles))
	}
	c.gc = now
	for s := range c.used {
		if now.Sub(s.since) > sessionLimit {
			delete(c.used, s)
			c.metrics.swept.Inc()
		}
	}
	if 4*len(c.used) < c.size {
		c.size = max(c.floor, c.size/2)
	}
	c.metrics.show(c)
}

// follow sets the floor for a fleet of n.
func (c *Capacity) follow(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if math.Abs(float64(n-c.fleet)) <= fleetMoved*float64(c.fleet) {
		return
	}
	c.fleet = n
	c.floor = slotsFor(n, c.session, c.period)
	c.size = max(c.size, c.floor)
	c.metrics.show(c)
}

// slotsFor is ceil(N·T/(G/1000)) within the bounds.
func slotsFor(n int, session, period time.Duration) int {
	need := math.Ceil(float64(n) * session.Seconds() / period.Seconds())
	return int(min(max(need, leastSlots), mostSlots))
}

// imminentLocked tells that the next GC is expected now. One that does not come when it is
// expected is not waited for: the program has grown quiet.
func (c *Capacity) imminentLocked(now time.Time) bool {
	if c.gc.IsZero() {
		return false
	}
	early := time.Duration(nearGC * float64(c.period))
	next := c.gc.Add(c.period)
	return now.After(next.Add(-early)) && now.Before(next.Add(early))
}

func mean(m, newest time.Duration) time.Duration {
	return max(time.Microsecond, time.Duration((1-smoothing)*float64(m)+smoothing*float64(newest)))
}
