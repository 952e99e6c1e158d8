package shadowsync

import "time"

// Bounds of the reports that the store could not take.
const (
	retryHeld = time.Second
	maxHeld   = maxOwnJobs // shadows
)

// held are the program's own reports that the store could not take: what is reported is a
// fact, and must be in the shadow once there is room again. They lie under the next report of
// their shadow, and are tried again by themselves.
type held struct {
	patches map[Key][]map[string]any // in their order, at most maxMerged
	pause   time.Duration
	timer   *time.Timer // runs while there are patches and no try is under way
	trying  bool        // the last try went well: go on with the next at once
}

func newHeld(pause time.Duration) held {
	h := held{patches: make(map[Key][]map[string]any), pause: pause, timer: time.NewTimer(pause)}
	h.timer.Stop()
	return h
}

// hold keeps the patches of j, which could not be stored.
func (w *writer) hold(j *job) {
	h := &w.held
	all, there := h.patches[j.key] // of reports before it
	if !there && len(h.patches) >= maxHeld {
		return
	}
	all = append(all, j.patches...)
	for len(all) > maxMerged {
		all = append([]map[string]any{overlay(all[0], all[1])}, all[2:]...)
	}
	h.patches[j.key], j.held = all, true
	h.trying = false
	h.timer.Reset(h.pause)
}

// underHeld lays the patches of j over what is held of its shadow.
func (w *writer) underHeld(j *job) {
	if patches, there := w.held.patches[j.key]; there {
		j.patches = append(patches, j.patches...)
		delete(w.held.patches, j.key)
	}
}

// tryHeld puts held patches into the open group: one to see whether the store takes it, all
// of them, a group at a time, once it has.
func (w *writer) tryHeld() {
	for key := range w.held.patches {
		w.apply(&job{op: OpUpdate, key: key})
		if !w.held.trying || w.open.full() {
			break
		}
	}
	w.held.trying = true
}

// heldStored goes on after a group that was stored, or had nothing to store.
func (w *writer) heldStored() {
	if w.held.trying && len(w.held.patches) > 0 {
		w.tryHeld()
	}
}

// tellLost tells at the end what the store never took.
func (w *writer) tellLost() {
	w.held.timer.Stop()
	if n := len(w.held.patches) + w.lost; n > 0 {
		w.s.log.Error("reports lost: the store did not take them before the end", "reports", n)
	}
}
