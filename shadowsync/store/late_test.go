package store

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

func insist(s *Store, key, value string, failed func(error)) {
	var b Batch
	b.Set([]byte(key), []byte(value))
	s.Insist(&b, failed)
}

func TestWhatIsInsistedOnIsWrittenOnceThereIsRoomAndTheNewestCounts(t *testing.T) {
	noLeak(t)
	s := open(t, t.TempDir())
	var free atomic.Uint64
	s.disk.free = func(string) (uint64, bool) { return free.Load(), true }
	failed := make(chan error, 3)
	tell := func(err error) { failed <- err }
	insist(s, "a", "old", tell)
	insist(s, "b", "only", tell)
	insist(s, "a", "new", tell)
	for range 3 {
		if err := <-failed; !errors.Is(err, ErrFull) {
			t.Errorf("told %v, want ErrFull", err)
		}
	}
	free.Store(headroom)
	deadline := time.Now().Add(20 * time.Second)
	for _, want := range [][2]string{{"a", "new"}, {"b", "only"}} {
		for {
			got, err := s.Get([]byte(want[0]))
			if err == nil && string(got) == want[1] {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s is %q, %v; want %q", want[0], got, err, want[1])
			}
			time.Sleep(5 * time.Millisecond) // between two looks
		}
	}
}

func TestALaterRowTakesThePlaceOfOneThatWaits(t *testing.T) {
	noLeak(t)
	s := open(t, t.TempDir())
	var free atomic.Uint64
	s.disk.free = func(string) (uint64, bool) { return free.Load(), true }
	failed := make(chan error, 1)
	insist(s, "a", "old", func(err error) { failed <- err })
	<-failed
	free.Store(headroom)
	insist(s, "a", "new", func(err error) { t.Errorf("with room: %v", err) })
	put(t, s, "after", "it")
	s.late.mu.Lock()
	defer s.late.mu.Unlock()
	if len(s.late.rows) != 0 {
		t.Errorf("%d rows still wait: they would be written over the newer one", len(s.late.rows))
	}
}
