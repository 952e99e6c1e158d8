package bridge

import (
	"context"
	"sync"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/due"
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
	queue   due.Queue[*recoveryEntry]
	changed chan struct{} // capacity 1: the head of the queue may have changed
}

type recoveryEntry struct {
	device gb28181.ID
	due    due.Entry[*recoveryEntry] // in the queue, but while it is asked
	delay  time.Duration             // of the next retry
	again  bool                      // it returned once more while it was asked
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
		e = &recoveryEntry{device: device}
		e.due.Value = e
		r.waiting[device] = e
		r.putLocked(e, firstRecoveryRetry, 0)
	case !e.due.Queued():
		e.again = true
	default:
		r.putLocked(e, firstRecoveryRetry, 0)
	}
	r.signal()
}

// Left forgets a device that went away: its return will come with a new call of Returned.
func (r *recovery) Left(device gb28181.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.waiting[device]; e != nil {
		r.queue.Remove(&e.due)
		delete(r.waiting, device)
	}
}

// putLocked has e asked after wait; delay is that of the try after it.
func (r *recovery) putLocked(e *recoveryEntry, delay, wait time.Duration) {
	e.delay, e.due.At = delay, time.Now().Add(wait)
	r.queue.Put(&e.due)
}

func (r *recovery) signal() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// Run works the queue off until ctx ends.
func (r *recovery) Run(ctx context.Context) error {
	due.Work(ctx, recoveryWorkers, r.next, r.changed, func(e *recoveryEntry) { r.finished(e, r.ask(ctx, e.device)) })
	return nil
}

// next takes the entry that is due.
func (r *recovery) next() (*due.Entry[*recoveryEntry], time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.queue.Take()
}

func (r *recovery) finished(e *recoveryEntry, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting[e.device] != e {
		return // it left meanwhile
	}
	switch {
	case e.again:
		e.again = false
		r.putLocked(e, firstRecoveryRetry, 0)
	case err != nil:
		r.putLocked(e, min(2*e.delay, lastRecoveryRetry), e.delay)
	default:
		delete(r.waiting, e.device)
		return
	}
	r.signal()
}

// Len returns how many devices wait or are asked.
func (r *recovery) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting)
}
