package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	badger "github.com/dgraph-io/badger/v4"
)

// Journal keeps the messages that wait for each link, in the order in which they came. The
// sequence numbers of a link only grow, over restarts and when all was removed; a message
// that could not be stored leaves a gap.
type Journal struct {
	st *Store

	mu    sync.Mutex // guards links; held while a link is read for the first time
	links map[string]*journalLink
}

// journalLink is what is kept in memory of one link.
type journalLink struct {
	name string

	mu   sync.Mutex // guards next and len, and keeps the order of appends; never held across I/O
	next uint64
	len  int

	removing sync.Mutex // one removal at a time, so that none is counted twice
}

// maxLinkName bounds the name of a link, which is in every key of its messages.
const maxLinkName = 1 << 10

// Journal returns the journal of the store.
func (s *Store) Journal() *Journal { return &s.journal }

// Append stores msg behind all others of link and returns its sequence number by done, once
// it is durable, or the error. done is called in the order of the appends on the writer's
// goroutine and must not block; an error that is known at once is told on the caller's own.
// The journal keeps msg: it may not be changed any more.
func (j *Journal) Append(link string, msg []byte, done func(seq uint64, err error)) {
	l, err := j.link(link)
	if err != nil {
		done(0, err)
		return
	}
	var b Batch
	l.mu.Lock()
	seq := l.next
	b.Set(l.key(seq), msg)
	err = j.st.submit(commit{&b, func(err error) {
		if err != nil {
			done(0, err)
			return
		}
		l.count(1)
		done(seq, nil)
	}})
	if err == nil {
		l.next++
	}
	l.mu.Unlock()
	if err != nil {
		done(0, err)
	}
}

// Each calls fn for every message of link with a sequence number above after, in order,
// until fn returns false. msg is fn's to keep.
func (j *Journal) Each(link string, after uint64, fn func(seq uint64, msg []byte) bool) error {
	l, err := j.link(link)
	if err != nil || after == 1<<64-1 {
		return err
	}
	return j.st.scan(l.prefix(), l.key(after+1), true, func(key, value []byte) bool { return fn(sequence(key), value) })
}

// Remove takes messages out and returns when that is durable. One that isn't there is no
// error. It waits for the writer, so it may not be called by a done.
func (j *Journal) Remove(link string, seqs ...uint64) error {
	l, err := j.link(link)
	if err != nil {
		return err
	}
	l.removing.Lock()
	defer l.removing.Unlock()
	for len(seqs) > 0 {
		n := min(len(seqs), maxGroupSets/2)
		if err := j.remove(l, seqs[:n]); err != nil {
			return err
		}
		seqs = seqs[n:]
	}
	return nil
}

func (j *Journal) remove(l *journalLink, seqs []uint64) error {
	there, err := j.existing(l, seqs)
	if err != nil || len(there) == 0 {
		return err
	}
	l.mu.Lock()
	last := l.next - 1
	l.mu.Unlock()
	var b Batch
	b.Set(l.markKey(), binary.BigEndian.AppendUint64(nil, last)) // or an emptied journal would count anew
	for seq := range there {
		b.Delete(l.key(seq))
	}
	done := make(chan error, 1)
	j.st.CommitAsync(&b, func(err error) { done <- err })
	if err := <-done; err != nil {
		return err
	}
	l.count(-len(there))
	return nil
}

// existing returns those of seqs that are stored.
func (j *Journal) existing(l *journalLink, seqs []uint64) (map[uint64]bool, error) {
	h, err := j.st.acquire()
	if err != nil {
		return nil, err
	}
	defer h.users.Done()
	there := make(map[uint64]bool, len(seqs))
	err = h.view(func(txn *badger.Txn) error {
		for _, seq := range seqs {
			switch _, err := txn.Get(l.key(seq)); {
			case err == nil:
				there[seq] = true
			case !errors.Is(err, badger.ErrKeyNotFound):
				return fmt.Errorf("store: journal of link %q: %w", l.name, err)
			}
		}
		return nil
	})
	return there, err
}

// Len returns how many messages of link are stored; 0 for one that can't be read, which
// Append and Each tell.
func (j *Journal) Len(link string) int {
	l, err := j.link(link)
	if err != nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.len
}

// link returns the link by name and reads where it stands when it is first used.
func (j *Journal) link(name string) (*journalLink, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if l := j.links[name]; l != nil {
		return l, nil
	}
	if len(name) > maxLinkName {
		return nil, fmt.Errorf("store: journal: a link's name has %d bytes; at most %d", len(name), maxLinkName)
	}
	l := &journalLink{name: name, next: 1}
	mark, err := j.st.Get(l.markKey())
	switch {
	case err == nil && len(mark) == 8:
		l.next = binary.BigEndian.Uint64(mark) + 1
	case err == nil:
		return nil, damaged(j.st.cfg.Path, fmt.Errorf("the mark of link %q has %d bytes instead of 8", name, len(mark)))
	case !errors.Is(err, ErrNotFound):
		return nil, err
	}
	err = j.st.ScanKeys(l.prefix(), func(key []byte) bool {
		l.len++
		l.next = max(l.next, sequence(key)+1)
		return true
	})
	if err != nil {
		return nil, err
	}
	if j.links == nil {
		j.links = make(map[string]*journalLink)
	}
	j.links[name] = l
	return l, nil
}

func (l *journalLink) count(n int) {
	l.mu.Lock()
	l.len += n
	l.mu.Unlock()
}

func (l *journalLink) prefix() []byte  { return Prefix(KindOutbox, l.name) }
func (l *journalLink) markKey() []byte { return Key(KindOutboxMark, l.name) }
func (l *journalLink) key(seq uint64) []byte {
	return binary.BigEndian.AppendUint64(l.prefix(), seq)
}

func sequence(key []byte) uint64 {
	if len(key) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(key[len(key)-8:])
}
