package broker

import (
	"slices"
	"sync"
)

// memoryJournal is a Journal that survives its broker.
type memoryJournal struct {
	mu    sync.Mutex
	next  uint64
	links map[string][]entry
}

type entry struct {
	seq uint64
	msg []byte
}

func newMemoryJournal() *memoryJournal { return &memoryJournal{links: map[string][]entry{}} }

func (j *memoryJournal) Append(link string, msg []byte, done func(uint64, error)) {
	j.mu.Lock()
	j.next++
	seq := j.next
	j.links[link] = append(j.links[link], entry{seq, msg})
	j.mu.Unlock()
	done(seq, nil)
}

func (j *memoryJournal) Each(link string, after uint64, fn func(uint64, []byte) bool) error {
	j.mu.Lock()
	all := slices.Clone(j.links[link])
	j.mu.Unlock()
	for _, e := range all {
		if e.seq > after && !fn(e.seq, e.msg) {
			return nil
		}
	}
	return nil
}

func (j *memoryJournal) Remove(link string, seqs ...uint64) error {
	gone := make(map[uint64]bool, len(seqs))
	for _, s := range seqs {
		gone[s] = true
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.links[link] = slices.DeleteFunc(j.links[link], func(e entry) bool { return gone[e.seq] })
	return nil
}

func (j *memoryJournal) Len(link string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.links[link])
}
