package guard

import (
	"container/heap"
	"sync"
	"time"
)

// timetable holds the moments at which open breakers are to be looked at: one heap and one
// timer for all devices.
type timetable struct {
	mu      sync.Mutex // guards entries
	entries dueHeap
	changed chan struct{} // capacity 1: there is a new first entry
}

type dueEntry struct {
	at     time.Time
	device string
}

func (t *timetable) add(device string, at time.Time) {
	t.mu.Lock()
	heap.Push(&t.entries, dueEntry{at, device})
	first := t.entries[0].device == device
	t.mu.Unlock()
	if first {
		select {
		case t.changed <- struct{}{}:
		default:
		}
	}
}

// next returns the earliest moment.
func (t *timetable) next() (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.entries) == 0 {
		return time.Time{}, false
	}
	return t.entries[0].at, true
}

// take removes and returns what is due.
func (t *timetable) take(now time.Time) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var devices []string
	for len(t.entries) > 0 && !t.entries[0].at.After(now) {
		devices = append(devices, heap.Pop(&t.entries).(dueEntry).device)
	}
	return devices
}

type dueHeap []dueEntry

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)        { *h = append(*h, x.(dueEntry)) }
func (h *dueHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = dueEntry{}
	*h = old[:len(old)-1]
	return e
}

// announcements brings what is told under locks to the callbacks, in order, after the locks are
// released. Whoever adds while another drains leaves it to that one.
type announcements struct {
	mu       sync.Mutex // guards what follows; never held in a callback
	waiting  []func()
	draining bool
}

func (a *announcements) add(tell func()) {
	a.mu.Lock()
	a.waiting = append(a.waiting, tell)
	a.mu.Unlock()
}

func (a *announcements) drain() {
	a.mu.Lock()
	if a.draining {
		a.mu.Unlock()
		return
	}
	a.draining = true
	defer func() { // also when a callback panics: the next one must still be told
		a.draining = false
		a.mu.Unlock()
	}()
	for len(a.waiting) > 0 {
		batch := a.waiting
		a.waiting = nil
		a.mu.Unlock()
		for _, tell := range batch {
			tell()
		}
		a.mu.Lock()
	}
}
