package command

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

const (
	stopTwice    = 2                      // UDP may lose a stop, and a camera that goes on turning is worse than one told twice
	stopDistance = 100 * time.Millisecond // between the two
	stopAtOnce   = 256                    // cameras that are told to stop at the same time
	stopTimeout  = 2 * time.Second        // for all stops at the end of the Engine
)

// motions owns the ends of movements: one heap and one timer for all cameras.
type motions struct {
	e       *Engine
	changed chan struct{} // capacity 1: the head of the heap may have changed
	slots   chan struct{} // of stops being sent
	sending sync.WaitGroup
	ctx     context.Context // of stops being sent
	cancel  context.CancelFunc

	mu     sync.Mutex // guards what follows; never held while sending
	moving map[motionKey]*motion
	due    motionHeap
}

type motionKey struct {
	device gb28181.ID
	target string
	kind   mapping.Motion
}

// motion is a camera that moves, or that is to be told once more to stop.
type motion struct {
	key   motionKey
	stop  *mapping.Command
	left  int // stops to send
	at    time.Time
	index int // in the heap; -1 while a stop is being sent
}

func (ms *motions) init(e *Engine) {
	ms.e = e
	ms.changed = make(chan struct{}, 1)
	ms.slots = make(chan struct{}, stopAtOnce)
	ms.moving = make(map[motionKey]*motion)
	ms.ctx, ms.cancel = context.WithCancel(context.Background())
}

// began notes a movement before it is sent, for it may arrive though its 200 does not. It
// returns the new entry when the camera did not move before.
func (ms *motions) began(j *job) *motion {
	if j.cmd.Stop == nil {
		return nil
	}
	after := ms.e.cfg.PTZMax
	if j.cmd.StopAfter > 0 {
		after = min(after, j.cmd.StopAfter)
	}
	key := motionKey{j.device, j.target, j.cmd.Motion}
	ms.mu.Lock()
	_, before := ms.moving[key]
	m := ms.setLocked(key, j.cmd.Stop, stopTwice, after)
	ms.mu.Unlock()
	if before {
		return nil
	}
	return m
}

// sent takes note of how a command went: a movement that the device refused needs no stop;
// a stop that a user sent is sent once more.
func (ms *motions) sent(j *job, began *motion, refused bool) {
	key := motionKey{j.device, j.target, j.cmd.Motion}
	ms.mu.Lock()
	defer ms.mu.Unlock()
	switch {
	case began != nil && refused && ms.moving[key] == began:
		ms.removeLocked(began)
	case j.cmd.Stop == nil && j.cmd.Motion != mapping.NoMotion:
		ms.setLocked(key, j.cmd, stopTwice-1, stopDistance)
	}
}

// setLocked replaces what is known of a camera's movement.
func (ms *motions) setLocked(key motionKey, stop *mapping.Command, left int, after time.Duration) *motion {
	if old := ms.moving[key]; old != nil {
		ms.removeLocked(old)
	}
	m := &motion{key: key, stop: stop, left: left, at: time.Now().Add(after)}
	ms.moving[key] = m
	heap.Push(&ms.due, m)
	select {
	case ms.changed <- struct{}{}:
	default:
	}
	return m
}

func (ms *motions) removeLocked(m *motion) {
	if m.index >= 0 {
		heap.Remove(&ms.due, m.index)
	}
	delete(ms.moving, m.key)
}

// run sends stops as they come due, until ctx ends; it also lets the rests of long lists go.
func (ms *motions) run(ctx context.Context) {
	timer := time.NewTimer(pageFor)
	defer timer.Stop()
	for {
		due, wait := ms.next()
		for _, m := range due {
			select {
			case ms.slots <- struct{}{}:
			case <-ctx.Done():
				return // stopAll sends it
			}
			ms.sending.Go(func() {
				defer func() { <-ms.slots }()
				ms.stopOnce(m)
			})
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-ms.changed:
		case <-timer.C:
			ms.e.pages.expire()
		}
	}
}

// next takes what is due from the heap and tells how long to wait for the rest.
func (ms *motions) next() ([]*motion, time.Duration) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	var due []*motion
	for len(ms.due) > 0 {
		if wait := time.Until(ms.due[0].at); wait > 0 {
			return due, min(wait, pageFor)
		}
		due = append(due, heap.Pop(&ms.due).(*motion))
	}
	return due, pageFor
}

// stopOnce sends one stop, unless the camera has been told to move again meanwhile, and
// plans the second.
func (ms *motions) stopOnce(m *motion) {
	ms.send(m)
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if ms.moving[m.key] != m {
		return
	}
	if m.left--; m.left == 0 {
		delete(ms.moving, m.key)
		return
	}
	m.at = time.Now().Add(stopDistance)
	heap.Push(&ms.due, m)
	select {
	case ms.changed <- struct{}{}:
	default:
	}
}

// send carries a stop to the camera, behind what is under way to it. The breaker is not
// asked: a stop that is not tried helps nobody.
func (ms *motions) send(m *motion) {
	e := ms.e
	t := e.enter(m.key.device, turnOf(m.key.target, m.stop), true, true)
	defer e.leave(t)
	select {
	case <-t.ready:
	case <-ms.ctx.Done():
		return
	}
	ms.mu.Lock()
	stale := ms.moving[m.key] != m
	ms.mu.Unlock()
	p, known := e.o.Directory.Peer(m.key.device)
	if stale || !known || !p.HasPath {
		return
	}
	sn, w := e.expect(m.key.device, m.key.target, m.stop)
	defer e.forget(m.key.device, w)
	ctx, cancel := context.WithTimeout(ms.ctx, m.stop.Timeout)
	defer cancel()
	e.metrics.stops.Inc()
	_, err := e.o.Sender.Request(ctx, p.Path, sip.Outgoing{
		Method: "MESSAGE", User: m.key.target, ContentType: ContentType,
		Body: m.stop.Encode(sn, m.key.target, p.Peer),
	})
	if err != nil {
		e.log.Warn("stop of a movement not answered", "device", m.key.device, "channel", m.key.target, "err", err)
		return
	}
	e.o.Heard(m.key.device)
}

// stopAll stops every camera that still moves and waits until all have been told.
func (ms *motions) stopAll() {
	expired := time.AfterFunc(stopTimeout, ms.cancel)
	defer expired.Stop()
	defer ms.cancel()
	ms.sending.Wait()
	ms.mu.Lock()
	var left []*motion
	for _, m := range ms.moving {
		left = append(left, m)
	}
	ms.mu.Unlock()
	for _, m := range left {
		select {
		case ms.slots <- struct{}{}:
		case <-ms.ctx.Done():
			e := ms.e
			e.log.Warn("camera not told to stop in time", "device", m.key.device, "channel", m.key.target)
			continue
		}
		ms.sending.Go(func() {
			defer func() { <-ms.slots }()
			for range m.left {
				ms.send(m)
			}
		})
	}
	ms.sending.Wait()
}

// motionHeap orders motions by when their stop is due.
type motionHeap []*motion

func (h motionHeap) Len() int           { return len(h) }
func (h motionHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h motionHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *motionHeap) Push(x any) {
	m := x.(*motion)
	m.index = len(*h)
	*h = append(*h, m)
}

func (h *motionHeap) Pop() any {
	old := *h
	m := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	m.index = -1
	return m
}
