package shadowsync

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/gb2mqtt/gb2mqtt/shadowsync/store"
)

// Bounds of a group. Together with the largest single update it stays below what the store
// takes as one batch.
const (
	maxGroupJobs   = 512
	maxGroupBytes  = 400 << 10
	maxOwnDocument = 256 << 10 // bytes of state, for the program's own reports
	maxText        = 512 << 10 // bytes of state and metadata together
)

// group is jobs that are committed together.
type group struct {
	jobs  []*job
	batch *store.Batch
}

func newGroup() *group { return &group{batch: new(store.Batch)} }

func (g *group) full() bool { return len(g.jobs) >= maxGroupJobs || g.batch.Size() >= maxGroupBytes }

// writer applies jobs in their order. While a group is synced the next one is applied on top
// of it; if the sync fails, both are undone and the second is applied anew.
type writer struct {
	s         *Service
	emit      chan<- []*job
	committed chan error // the outcome of syncing

	open    *group          // being filled
	syncing *group          // on its way to the disk; nil: none
	pending map[Key]*shadow // what the jobs of both made, not durable yet
	held    held            // reports that were not stored
	givesUp time.Time       // when reports that still wait at the end are given up; zero: it is not the end
	lost    int             // reports given up
	shadows int             // documents there are, with those of both; kept where they are limited
}

// stopDrain is how long reports that wait at the end are still written; requests of clients
// always are answered. What is given up is found out again after the next start.
const stopDrain = 3 * time.Second

// run works until ctx has ended and nothing is left, or is to be given up.
func (w *writer) run(ctx context.Context) {
	w.open = newGroup()
	w.countShadows()
	ended, ending := ctx.Done(), false
	for {
		if w.syncing == nil && len(w.open.jobs) > 0 {
			w.commit()
			continue
		}
		var wake <-chan struct{}
		if !w.open.full() {
			if w.fill() {
				continue
			}
			wake = w.s.queue.wake
		}
		if ending && w.syncing == nil {
			w.tellLost()
			return
		}
		select {
		case <-w.held.timer.C:
			w.tryHeld()
		case <-wake:
		case err := <-w.committed:
			w.settle(err)
		case <-ended:
			ended, ending = nil, true
			w.givesUp = time.Now().Add(w.s.drain)
			w.s.queue.close()
		}
	}
}

// fill applies waiting jobs to the open group; it returns false when there are none.
func (w *writer) fill() bool {
	taken := w.s.queue.take(min(32, maxGroupJobs-len(w.open.jobs)))
	late := !w.givesUp.IsZero() && time.Now().After(w.givesUp)
	for _, j := range taken {
		if late && j.op == OpUpdate && !j.client {
			w.lost++
			j.failure = ErrStopped
			w.emit <- []*job{j}
			continue
		}
		for _, made := range j.makes {
			if patch := made(); patch != nil {
				j.patches = append(j.patches, patch)
			}
		}
		j.makes = nil
		w.apply(j)
	}
	w.s.queue.done(len(taken))
	return len(taken) > 0
}

// commit hands the open group to the store and opens the next one.
func (w *writer) commit() {
	g := w.open
	w.open = newGroup()
	if g.batch.Len() == 0 {
		w.emit <- g.jobs
		w.heldStored()
		return
	}
	w.syncing = g
	w.s.st.CommitAsync(g.batch, func(err error) { w.committed <- err })
}

// settle ends the group that was synced.
func (w *writer) settle(err error) {
	g := w.syncing
	w.syncing = nil
	if err == nil {
		for _, j := range g.jobs {
			if j.after != nil {
				w.s.cache.put(j.key, j.after)
				if w.pending[j.key] == j.after {
					delete(w.pending, j.key)
				}
			}
		}
		w.emit <- g.jobs
		w.heldStored()
		return
	}
	w.s.log.Error("shadows not stored", "updates", g.batch.Len(), "err", err)
	clear(w.pending)
	for _, j := range g.jobs {
		w.undo(j, err)
	}
	w.emit <- g.jobs
	again := w.open.jobs
	w.open = newGroup()
	w.countShadows()
	for _, j := range again {
		w.apply(j)
	}
}

// undo makes j a job of a group that was not stored: what it would have changed it has not,
// and a get looks again.
func (w *writer) undo(j *job, err error) {
	if j.refused != nil || j.flushed != nil {
		return
	}
	j.after, j.denied, j.failure = nil, nil, nil
	if j.op == OpGet {
		w.decide(j)
		return
	}
	j.denied, j.failure = errInternal, err
	if j.op == OpUpdate && !j.client {
		w.hold(j)
	}
}

// apply puts j into the open group.
func (w *writer) apply(j *job) {
	w.payFirst(j)
	w.open.jobs = append(w.open.jobs, j)
	j.after, j.denied, j.failure, j.held = nil, nil, nil, false
	if j.refused != nil || j.flushed != nil {
		return
	}
	if j.op == OpUpdate && !j.client {
		w.underHeld(j)
	}
	w.decide(j)
	if j.after != nil {
		w.pending[j.key] = j.after
		w.write(j)
		switch {
		case j.after.doc == nil:
			w.shadows--
		case j.before.doc == nil:
			w.shadows++
		}
	}
}

// decide finds what comes of j, without writing.
func (w *writer) decide(j *job) {
	if !j.owed {
		j.at = time.Now()
	}
	sh, err := w.lookup(j.key)
	if err != nil {
		w.s.log.Error("shadow not read", "thing", j.key.Thing, "shadow", j.key.Name, "err", err)
		j.denied, j.failure = errInternal, err
		if j.op == OpUpdate && !j.client {
			w.hold(j)
		}
		return
	}
	j.before = sh
	switch {
	case j.op == OpUpdate && j.client:
		w.decideUpdate(j)
	case j.op == OpUpdate:
		w.decideReport(j)
	case sh.doc == nil:
		j.denied, j.failure = noShadow(j.key), ErrNotFound
	case j.op == OpDelete:
		j.after = &shadow{last: sh.doc.Version + 1} // the deletion is a version of its own [device-shadow 6]
	}
}

// countShadows counts the documents that are stored, where their number is limited.
func (w *writer) countShadows() {
	if w.s.cfg.Shadows == 0 {
		return
	}
	w.shadows = 0
	err := w.s.st.ScanKeys(store.Prefix(store.KindDocument), func([]byte) bool { w.shadows++; return true })
	if err != nil {
		w.s.log.Error("shadows not counted: limits.shadows may let too many in", "err", err)
	}
}

func (w *writer) decideUpdate(j *job) {
	r, prev := &j.request, j.before.doc
	current := int64(0) // also of a deleted shadow: an old version is a conflict
	if prev != nil {
		current = prev.Version
	}
	if r.stateNull && !w.s.cfg.ClientReported && prev != nil && prev.State.Reported != nil {
		j.denied = errForbidden // it would remove what only the bridge may write
		return
	}
	if r.hasVersion && r.version != current {
		j.denied = errConflict
		return
	}
	if limit := w.s.cfg.Shadows; prev == nil && limit > 0 && w.shadows >= limit {
		j.denied = &Error{429, "Too many shadows: limits.shadows is " + strconv.Itoa(limit) + "; delete one first"}
		return
	}
	d, _, reported := update(prev, r.desired, r.reported, j.before.version()+1, stamp(j.at.Unix()))
	d.encode(prev, r.desired.given, r.reported.given)
	if reported {
		d.ReportedAt = j.at.UnixMilli()
	}
	grown := prev == nil || d.Size() > prev.Size() // what makes room goes through
	if d.Size() > w.s.cfg.MaxDocument && grown || len(d.text) > maxText {
		j.denied = errTooLarge
		return
	}
	j.after, j.reportedChanged = &shadow{doc: d}, reported
}

func (w *writer) decideReport(j *job) {
	prev, at, changed := j.before.doc, any(stamp(j.at.Unix())), false
	d := prev
	for _, patch := range j.patches {
		var c bool
		d, _, c = update(d, section{}, section{given: true, object: patch}, j.before.version()+1, at)
		changed = changed || c
	}
	if !changed || len(j.patches) > 1 && equal(d.State.Reported, j.before.reported()) {
		return
	}
	d.encode(prev, false, true)
	d.ReportedAt = j.at.UnixMilli()
	if d.Size() > maxOwnDocument || len(d.text) > maxText {
		j.failure = fmt.Errorf("%w: shadow %s: %d bytes of state; at most %d", ErrTooLarge, j.key, d.Size(), maxOwnDocument)
		return
	}
	j.after, j.reportedChanged = &shadow{doc: d}, true
}

// write adds to the batch what makes j last.
func (w *writer) write(j *job) {
	w.writeHistory(j)
	key := store.Key(store.KindDocument, j.key.Thing, j.key.Name)
	if j.after.doc != nil {
		w.open.batch.Set(key, j.after.doc.stored())
		return
	}
	w.open.batch.Delete(key)
	w.open.batch.SetTTL(store.Key(store.KindTombstone, j.key.Thing, j.key.Name), encodeTombstone(j.after.last), tombstoneTTL)
}

// lookup returns the newest state of k, whether it is durable already or not.
func (w *writer) lookup(k Key) (*shadow, error) {
	if sh, ok := w.pending[k]; ok {
		return sh, nil
	}
	return w.s.cache.get(k)
}

// noShadow names the shadow that is not there; the classic one by its thing.
func noShadow(k Key) *Error {
	name := k.Name
	if name == "" {
		name = k.Thing
	}
	return &Error{404, "No shadow exists with name: '" + name + "'"}
}
