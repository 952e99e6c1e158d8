// Package latency counts durations while they happen, and tells quantiles of any stretch
// between two looks.
//
//	answers ──▶ Histogram ──▶ Counts (at one moment) ──▶ Since(earlier) ──▶ Quantile
package latency

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A Histogram counts durations in microseconds, each power of two in 32 steps: what it
// tells is at most 1/32 too large, from 1 µs to beyond an hour, in 9 KiB. The zero value is
// ready, and any number of goroutines may use it.
type Histogram struct {
	slots [slots]atomic.Uint64
	most  atomic.Int64 // nanoseconds
}

const (
	steps = 32
	slots = 36 * steps
)

// Add counts one duration.
func (h *Histogram) Add(d time.Duration) {
	h.slots[slot(uint64(max(d.Microseconds(), 0)))].Add(1)
	for {
		most := h.most.Load()
		if int64(d) <= most || h.most.CompareAndSwap(most, int64(d)) {
			return
		}
	}
}

// Counts returns what has been counted so far.
func (h *Histogram) Counts() *Counts {
	c := &Counts{most: time.Duration(h.most.Load())}
	for i := range h.slots {
		c.slots[i] = h.slots[i].Load()
	}
	return c
}

// Counts is what a Histogram held at one moment, or gained between two.
type Counts struct {
	slots [slots]uint64
	most  time.Duration
}

// Add adds what another has counted.
func (c *Counts) Add(other *Counts) {
	for i, n := range other.slots {
		c.slots[i] += n
	}
	c.most = max(c.most, other.most)
}

// Since returns what was counted after earlier, a look at the same Histogram. Its Max is as
// exact as a quantile.
func (c *Counts) Since(earlier *Counts) *Counts {
	gained := new(Counts)
	for i, n := range c.slots {
		if gained.slots[i] = n - earlier.slots[i]; gained.slots[i] > 0 {
			gained.most = time.Duration(top(i)) * time.Microsecond
		}
	}
	gained.most = min(gained.most, c.most)
	return gained
}

// Total returns how many durations were counted.
func (c *Counts) Total() uint64 {
	var total uint64
	for _, n := range c.slots {
		total += n
	}
	return total
}

// Max returns the longest; 0 when nothing was counted.
func (c *Counts) Max() time.Duration { return c.most }

// Quantile returns the duration that q of the counted do not exceed; 0 when nothing was
// counted.
func (c *Counts) Quantile(q float64) time.Duration {
	rank := uint64(q*float64(c.Total()) + .5)
	var seen uint64
	for i, n := range c.slots {
		if seen += n; seen > 0 && seen >= rank {
			return min(time.Duration(top(i))*time.Microsecond, c.most)
		}
	}
	return 0
}

// slot returns where v counts.
func slot(v uint64) int {
	if v < steps {
		return int(v)
	}
	shift := bits.Len64(v) - 6 // leaves 32…63
	return min((shift+1)*steps+int(v>>shift)-steps, slots-1)
}

// top returns the largest value that counts at slot i.
func top(i int) uint64 {
	if i < steps {
		return uint64(i)
	}
	shift := i/steps - 1
	return (uint64(i%steps+steps)+1)<<shift - 1
}
