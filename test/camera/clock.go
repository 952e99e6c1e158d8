package camera

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// clock runs functions at their time: one goroutine and one timer for any number of
// devices, transactions and keepalives. What it runs must be quick.
type clock struct {
	wake chan struct{} // holds one token when the earliest entry has changed

	mu      sync.Mutex // guards entries; never held while an entry runs
	entries entries
}

// entry is one appointment of a clock.
type entry struct {
	at    time.Time
	run   func()
	place int // in the heap; -1: no longer there
}

func newClock() *clock { return &clock{wake: make(chan struct{}, 1)} }

// after has run called once, d from now, on the clock's goroutine.
func (c *clock) after(d time.Duration, run func()) *entry {
	e := &entry{at: time.Now().Add(d), run: run}
	c.mu.Lock()
	heap.Push(&c.entries, e)
	first := e.place == 0
	c.mu.Unlock()
	if first {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
	return e
}

// stop takes e out, if it has not run yet. A nil entry is no error.
func (c *clock) stop(e *entry) {
	if e == nil {
		return
	}
	c.mu.Lock()
	if e.place >= 0 {
		heap.Remove(&c.entries, e.place)
	}
	c.mu.Unlock()
}

// run keeps the appointments until ctx ends; those still open then are never kept.
func (c *clock) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var due []*entry
	for {
		next := time.Hour
		now := time.Now()
		c.mu.Lock()
		for len(c.entries) > 0 {
			if d := c.entries[0].at.Sub(now); d > 0 {
				next = d
				break
			}
			due = append(due, heap.Pop(&c.entries).(*entry))
		}
		c.mu.Unlock()
		if len(due) > 0 {
			for i, e := range due {
				if ctx.Err() != nil {
					return
				}
				e.run()
				due[i] = nil
			}
			due = due[:0]
			continue
		}
		timer.Reset(next)
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		case <-timer.C:
		}
	}
}

// entries is a heap by time.
type entries []*entry

func (h entries) Len() int           { return len(h) }
func (h entries) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h entries) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *entries) Push(x any) {
	e := x.(*entry)
	e.place = len(*h)
	*h = append(*h, e)
}

func (h *entries) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	e.place = -1
	return e
}
