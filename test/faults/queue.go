package faults

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// queue holds what is late until its time: one goroutine and one timer for all of it.
type queue struct {
	most int           // entries
	wake chan struct{} // holds one token when the earliest entry has changed

	mu      sync.Mutex // guards what follows; never held while something is delivered
	entries entries
	number  uint64
}

// late is one datagram that waits.
type late struct {
	at      time.Time
	number  uint64 // keeps the order of those with the same time
	deliver func()
}

func newQueue(most int) *queue { return &queue{most: most, wake: make(chan struct{}, 1)} }

// after has deliver called d from now, by run; false: the queue is full.
func (q *queue) after(d time.Duration, deliver func()) bool {
	q.mu.Lock()
	if len(q.entries) >= q.most {
		q.mu.Unlock()
		return false
	}
	q.number++
	heap.Push(&q.entries, late{time.Now().Add(d), q.number, deliver})
	first := q.entries[0].number == q.number
	q.mu.Unlock()
	if first {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// run delivers until ctx ends; what waits then is lost.
func (q *queue) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		deliver, wait := q.next(time.Now())
		if deliver != nil && ctx.Err() == nil {
			deliver()
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-q.wake:
		case <-timer.C:
		}
	}
}

// next takes out what is due, or says how long nothing is.
func (q *queue) next(now time.Time) (deliver func(), wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.entries) == 0 {
		return nil, time.Hour
	}
	if wait := q.entries[0].at.Sub(now); wait > 0 {
		return nil, wait
	}
	return heap.Pop(&q.entries).(late).deliver, 0
}

// entries is a heap by time.
type entries []late

func (h entries) Len() int { return len(h) }
func (h entries) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].number < h[j].number
	}
	return h[i].at.Before(h[j].at)
}
func (h entries) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *entries) Push(x any)   { *h = append(*h, x.(late)) }

func (h *entries) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = late{}
	*h = old[:len(old)-1]
	return last
}
