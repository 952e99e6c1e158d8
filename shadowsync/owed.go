package shadowsync

import "time"

// Debts are reports that a change of very many things at once owes to its shadows. None of
// them is written before somebody asks for that shadow or changes it; who asks sees it as if
// it had been written at once.
type Debts interface {
	// Owed is the patch that must be laid over the reported state of k before anything else is
	// done with it, and since when; nil: none. caughtUp is false while reports still wait that
	// are older than one that was refused with ErrBusy: what is owed in its stead must wait for
	// them, or they would be laid over it. It must not block.
	Owed(k Key, caughtUp bool) (patch map[string]any, since time.Time)
	// Paid tells that it was laid over, durably; caughtUp is what Owed was told.
	Paid(k Key, caughtUp bool)
}

// Backlog is how many reports wait, and whether what waited when one was refused with ErrBusy
// has been worked on.
func (s *Service) Backlog() (waiting int, caughtUp bool) {
	return int(s.queue.depth()), s.queue.caughtUp()
}

// Settle has what is owed to k written.
func (s *Service) Settle(k Key) { s.Report(k, nil, nil) }

// owed is what k is owed, ready to be laid over; nil: nothing.
func (s *Service) owed(k Key, caughtUp bool) (map[string]any, time.Time) {
	if s.opts.Debts == nil {
		return nil, time.Time{}
	}
	patch, since := s.opts.Debts.Owed(k, caughtUp)
	if patch == nil {
		return nil, since
	}
	own, err := normalize(patch)
	if err != nil {
		s.log.Error("report not taken", "thing", k.Thing, "shadow", k.Name, "err", err)
		return nil, since
	}
	return own, since
}

// settled returns when what is owed to k is in its history.
func (s *Service) settled(k Key) {
	if patch, _ := s.owed(k, s.queue.caughtUp()); patch == nil {
		return
	}
	done := make(chan struct{})
	s.Report(k, nil, func(Document, error) { close(done) })
	<-done
}

// payFirst puts what is owed to the shadow of j into the open group, ahead of j.
func (w *writer) payFirst(j *job) {
	if j.refused != nil || j.flushed != nil || j.owed {
		return
	}
	caughtUp := w.s.queue.caughtUp()
	if patch, since := w.s.owed(j.key, caughtUp); patch != nil {
		w.apply(&job{op: OpUpdate, key: j.key, patches: []map[string]any{patch}, owed: true, caughtUp: caughtUp, at: since})
	}
}

// withOwed is doc, which may be nil, as the writer will make it before anything else.
func withOwed(sh *shadow, patch map[string]any, since time.Time) *Document {
	d, _, changed := update(sh.doc, section{}, section{given: true, object: patch}, sh.version()+1, stamp(since.Unix()))
	if !changed {
		return sh.doc
	}
	d.encode(sh.doc, false, true)
	d.ReportedAt = since.UnixMilli()
	return d
}
