package bridge

import (
	"context"
	"sync"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/due"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// The back-off of a device that did not answer what it was asked on its return.
const (
	firstRecoveryRetry = 5 * time.Second
	lastRecoveryRetry  = 5 * time.Minute
)

// The back-off of a device that returns again and again.
const (
	manyReturns    = 10 // are asked at once, if no more than flapWindow lies between two of them
	flapWindow     = time.Minute
	firstFlapDelay = time.Second
	lastFlapDelay  = time.Minute
)

// recoveryWorkers is how many devices are asked at once, each with one request in flight: while
// none of them answers within four seconds, that is 250 requests a second, and as many
// subscriptions.
const recoveryWorkers = 1000

// probeQuestion is what a device is asked of which a sign of life alone is wanted.
const probeQuestion = "device_status"

// recoveryOptions are what a recovery works with.
type recoveryOptions struct {
	Wait func(ctx context.Context) error // for a place in the budget of requests
	// Questions are what a device is asked on its return; an answer may change what follows it.
	Questions func(device gb28181.ID) []string
	// Ask asks one question, and returns once it is answered.
	Ask func(ctx context.Context, device gb28181.ID, question string) error
}

// recovery brings returned devices up to date: it asks each what the configuration names, the
// longest waiting first, at the pace of the budget. A device waits in it once, however often it
// returns; it holds no goroutine and no timer per device.
type recovery struct {
	o recoveryOptions

	mu      sync.Mutex // guards what follows; never held while asking
	waiting map[gb28181.ID]*recoveryEntry
	queue   due.Queue[*recoveryEntry]
	returns map[gb28181.ID]returns
	changed chan struct{} // capacity 1: the head of the queue may have changed
}

type recoveryEntry struct {
	device gb28181.ID
	due    due.Entry[*recoveryEntry] // in the queue, but while it is asked
	delay  time.Duration             // of the next retry
	again  bool                      // it returned once more while it was asked
	probe  bool                      // it has not returned: a sign of life alone is wanted
}

// returns is how often a device has returned in quick succession.
type returns struct {
	count int
	last  time.Time
}

func newRecovery(o recoveryOptions) *recovery {
	return &recovery{
		o: o, waiting: make(map[gb28181.ID]*recoveryEntry), returns: make(map[gb28181.ID]returns), changed: make(chan struct{}, 1),
	}
}

// Returned asks for a device that has come back to be brought up to date, later if it does
// nothing but come and go.
func (r *recovery) Returned(device gb28181.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wantLocked(device, r.flapDelayLocked(device))
}

// Refresh asks for a device to be brought up to date that has been there all the time.
func (r *recovery) Refresh(device gb28181.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wantLocked(device, 0)
}

// wantLocked has device asked all its questions after wait.
func (r *recovery) wantLocked(device gb28181.ID, wait time.Duration) {
	e := r.waiting[device]
	switch {
	case e == nil:
		r.putLocked(r.addLocked(device), firstRecoveryRetry, wait)
	case !e.due.Queued():
		e.again = true
	default:
		e.probe = false
		r.soonerLocked(e, wait)
	}
	r.signal()
}

// Probe asks for a sign of life of a device. One that waits to be brought up to date gives it by
// that.
func (r *recovery) Probe(device gb28181.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.waiting[device]
	switch {
	case e == nil:
		e = r.addLocked(device)
		e.probe = true
		r.putLocked(e, 0, 0)
	case e.due.Queued():
		r.soonerLocked(e, 0)
	}
	r.signal()
}

// flapDelayLocked counts a return of device, and tells how long its questions wait for that.
func (r *recovery) flapDelayLocked(device gb28181.ID) time.Duration {
	now := time.Now()
	n := r.returns[device]
	if now.Sub(n.last) > flapWindow {
		n.count = 0
	}
	n.count, n.last = n.count+1, now
	r.returns[device] = n
	if n.count <= manyReturns {
		return 0
	}
	return min(firstFlapDelay<<min(n.count-manyReturns-1, 10), lastFlapDelay)
}

// sweep forgets the returns of devices that stay.
func (r *recovery) sweep(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for device, n := range r.returns {
		if now.Sub(n.last) > flapWindow {
			delete(r.returns, device)
		}
	}
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

func (r *recovery) addLocked(device gb28181.ID) *recoveryEntry {
	e := &recoveryEntry{device: device}
	e.due.Value = e
	r.waiting[device] = e
	return e
}

// putLocked has e asked after wait; delay is that of the try after it.
func (r *recovery) putLocked(e *recoveryEntry, delay, wait time.Duration) {
	e.delay, e.due.At = delay, time.Now().Add(wait)
	r.queue.Put(&e.due)
}

// soonerLocked has e, which waits, asked after wait unless its turn comes before: whoever
// returns once more does not lose its place.
func (r *recovery) soonerLocked(e *recoveryEntry, wait time.Duration) {
	if time.Now().Add(wait).Before(e.due.At) {
		r.putLocked(e, firstRecoveryRetry, wait)
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
	due.Work(ctx, recoveryWorkers, r.next, r.changed, func(e *recoveryEntry) { r.finished(e, r.ask(ctx, e)) })
	return nil
}

// next takes the entry that is due.
func (r *recovery) next() (*due.Entry[*recoveryEntry], time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.queue.Take()
}

// ask asks the device of e all that is to be asked. The first question that is not answered ends
// it: all are asked again after a while.
func (r *recovery) ask(ctx context.Context, e *recoveryEntry) error {
	r.mu.Lock()
	probe := e.probe
	r.mu.Unlock()
	questions := []string{probeQuestion}
	for i := 0; ; i++ {
		if !probe {
			questions = r.o.Questions(e.device)
		}
		if i >= len(questions) {
			return nil
		}
		if err := r.o.Wait(ctx); err != nil {
			return err
		}
		if err := r.o.Ask(ctx, e.device, questions[i]); err != nil {
			return err
		}
	}
}

func (r *recovery) finished(e *recoveryEntry, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting[e.device] != e {
		return // it left meanwhile
	}
	switch {
	case e.again:
		e.again, e.probe = false, false
		r.putLocked(e, firstRecoveryRetry, 0)
	case err != nil && !e.probe: // a breaker asks for its probes itself
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
