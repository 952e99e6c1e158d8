package bridge

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
	"golang.org/x/time/rate"
)

// The back-off of a device that did not answer what it was asked on its return.
const (
	firstRecoveryRetry = 5 * time.Second
	lastRecoveryRetry  = 5 * time.Minute
	recoveryWorkers    = 64 // devices asked at once; each has one request in flight
)

// recovery brings returned devices up to date: it asks each what the configuration names,
// the longest waiting first, in all at most rate requests a second. A device waits in it
// once, however often it returns; it holds no goroutine and no timer per device.
type recovery struct {
	limit *rate.Limiter
	ask   func(ctx context.Context, device gb28181.ID) error // asks everything; an error asks for another try

	mu      sync.Mutex // guards what follows; never held while asking
	waiting map[gb28181.ID]*recoveryEntry
	queue   recoveryQueue
	changed chan struct{} // capacity 1: the head of the queue may have changed
}

type recoveryEntry struct {
	device gb28181.ID
	due    time.Time
	delay  time.Duration // of the next retry
	index  int           // in the queue; -1 while it is asked
	again  bool          // it returned once more while it was asked
}

func newRecovery(perSecond int, ask func(context.Context, gb28181.ID) error) *recovery {
	return &recovery{
		limit: rate.NewLimiter(rate.Limit(perSecond), max(1, perSecond/10)), ask: ask,
		waiting: make(map[gb28181.ID]*recoveryEntry), changed: make(chan struct{}, 1),
	}
}

// Returned asks for a device to be brought up to date.
func (r *recovery) Returned(device gb28181.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.waiting[device]
	switch {
	case e == nil:
		e = &recoveryEntry{device: device, due: time.Now(), delay: firstRecoveryRetry}
		r.waiting[device] = e
		heap.Push(&r.queue, e)
	case e.index < 0:
		e.again = true
	default:
		e.due, e.delay = time.Now(), firstRecoveryRetry
		heap.Fix(&r.queue, e.index)
	}
	r.signal()
}

// Left forgets a device that went away: its return will come with a new call of Returned.
func (r *recovery) Left(device gb28181.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.waiting[device]; e != nil {
		if e.index >= 0 {
			heap.Remove(&r.queue, e.index)
		}
		delete(r.waiting, device)
	}
}

func (r *recovery) signal() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// Run works the queue off until ctx ends.
func (r *recovery) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	defer workers.Wait()
	slots := make(chan struct{}, recoveryWorkers)
	for {
		e, wait := r.next()
		if e == nil {
			var timer <-chan time.Time
			if wait > 0 {
				timer = time.After(wait)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-r.changed:
			case <-timer:
			}
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		workers.Go(func() {
			defer func() { <-slots }()
			r.finished(e, r.ask(ctx, e.device))
		})
	}
}

// next takes the entry that is due, or tells how long to wait for it; 0: until told.
func (r *recovery) next() (*recoveryEntry, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 {
		return nil, 0
	}
	if wait := time.Until(r.queue[0].due); wait > 0 {
		return nil, wait
	}
	return heap.Pop(&r.queue).(*recoveryEntry), 0
}

func (r *recovery) finished(e *recoveryEntry, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting[e.device] != e {
		return // it left meanwhile
	}
	switch {
	case e.again:
		e.again, e.due, e.delay = false, time.Now(), firstRecoveryRetry
	case err != nil:
		e.due = time.Now().Add(e.delay)
		e.delay = min(2*e.delay, lastRecoveryRetry)
	default:
		delete(r.waiting, e.device)
		return
	}
	heap.Push(&r.queue, e)
	r.signal()
}

// Len returns how many devices wait or are asked.
func (r *recovery) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting)
}

// recoveryQueue is a heap by due time.
type recoveryQueue []*recoveryEntry

func (q recoveryQueue) Len() int           { return len(q) }
func (q recoveryQueue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q recoveryQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *recoveryQueue) Push(x any) {
	e := x.(*recoveryEntry)
	e.index = len(*q)
	*q = append(*q, e)
}

func (q *recoveryQueue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	e.index = -1
	return e
}
