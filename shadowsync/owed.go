package shadowsync

import "time"

// Debts are reports that a change of very many things at once owes to its shadows. None of
// them is written before somebody asks for that shadow or changes it; who asks sees it as if
// it had been written at once.
type Debts interface {
	// Owed is the patch that must be laid over the reported state of k before anything else is
	// done with it, and since when; nil: none. It must not block.
	Owed(k Key) (patch map[string]any, since time.Time)
	// Paid tells that it was laid over, durably.
	Paid(k Key)
}

// Settle has what is owed to k written.
func (s *Service) Settle(k Key) { s.Report(k, nil, nil) }

// owed is what k is owed, ready to be laid over; nil: nothing.
func (s *Service) owed(k Key) (map[string]any, time.Time) {
	if s.opts.Debts == nil {
		return nil, time.Time{}
	}
	patch, since := s.opts.Debts.Owed(k)
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
	if patch, _ := s.owed(k); patch == nil {
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
	if patch, since := w.s.owed(j.key); patch != nil {
		w.apply(&job{op: OpUpdate, key: j.key, patches: []map[string]any{patch}, owed: true, at: since})
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
