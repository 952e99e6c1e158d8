package broker

import (
	"log/slog"
	"sync"
	"testing"
)

// countedJournal runs during once, within the first reading.
type countedJournal struct {
	*memoryJournal
	during func()
}

func (j *countedJournal) Each(link string, after uint64, fn func(uint64, []byte) bool) error {
	first := sync.OnceFunc(j.during)
	return j.memoryJournal.Each(link, after, func(seq uint64, msg []byte) bool {
		first()
		return fn(seq, msg)
	})
}

func TestEventsThatComeWhileTheOutboxCountsAreCountedOnce(t *testing.T) {
	j := &countedJournal{memoryJournal: newMemoryJournal()}
	o := newOutbox("up", Outbox{}, j, slog.New(slog.DiscardHandler))
	add := func(o *outbox, event string) { o.append([]byte(event), func(error) {}) }
	add(newOutbox("up", Outbox{}, j, slog.New(slog.DiscardHandler)), "of the run before")
	add(o, "before the count, and seen by it")
	j.during = func() { add(o, "while it counts, and not seen") }
	o.count(t.Context())
	add(o, "after it")

	stored := 0
	j.during = func() {}
	_ = j.Each("up", 0, func(_ uint64, raw []byte) bool { stored += len(raw); return true })
	if o.bytes != stored {
		t.Errorf("%d bytes counted, %d are stored", o.bytes, stored)
	}
}
