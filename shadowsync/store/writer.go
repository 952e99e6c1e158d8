package store

import (
	"errors"
	"fmt"
	"time"

	badger "github.com/dgraph-io/badger/v4"
)

// Bounds of the group commit. A group stays well below Badger's own bound for a transaction,
// which follows from memTableSize.
const (
	maxGroup      = 256     // batches of one group
	maxGroupBytes = 1 << 20 // of a group, and of a single batch
	maxGroupSets  = 8192    // writes of a group, and of a single batch
	maxWaiting    = 1 << 17 // batches that wait
	reopenPause   = time.Second
)

// commit is a batch on its way to the disk.
type commit struct {
	batch *Batch
	done  func(error)
}

// CommitAsync makes b with the next group. done is called once, in the order of the calls,
// on the writer's goroutine, when b is durable or has failed as a whole; it must not block.
// Only ErrBusy, ErrTooBig and ErrClosed are told at once, on the caller's own goroutine.
func (s *Store) CommitAsync(b *Batch, done func(error)) {
	if err := s.submit(commit{b, done}); err != nil {
		s.metrics.commits.WithLabelValues("refused").Inc()
		done(err)
	}
}

func (s *Store) submit(c commit) error {
	if c.batch.size > maxGroupBytes || len(c.batch.writes) > maxGroupSets {
		return fmt.Errorf("%w: %d bytes in %d writes; at most %d in %d", ErrTooBig,
			c.batch.size, len(c.batch.writes), maxGroupBytes, maxGroupSets)
	}
	s.waitMu.Lock()
	defer s.waitMu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case len(s.waiting) >= maxWaiting:
		return ErrBusy
	}
	s.waiting = append(s.waiting, c)
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// write is the writer: it alone commits. It ends when Close was called and nothing waits.
func (s *Store) write() {
	for {
		group := s.gather()
		if len(group) > 0 {
			s.commitGroup(group)
			continue
		}
		select {
		case <-s.wake:
		case <-s.quit:
			if group := s.gather(); len(group) > 0 {
				s.commitGroup(group)
				continue
			}
			return
		}
	}
}

// gather takes the next group off what waits.
func (s *Store) gather() []commit {
	s.waitMu.Lock()
	defer s.waitMu.Unlock()
	bytes, sets, n := 0, 0, 0
	for n < len(s.waiting) && n < maxGroup {
		b := s.waiting[n].batch
		if n > 0 && (bytes+b.size > maxGroupBytes || sets+len(b.writes) > maxGroupSets) {
			break
		}
		bytes += b.size
		sets += len(b.writes)
		n++
	}
	group := s.waiting[:n:n]
	s.waiting = s.waiting[n:]
	if len(s.waiting) == 0 {
		s.waiting = nil
	}
	return group
}

func (s *Store) commitGroup(group []commit) {
	start := time.Now()
	err := s.transact(group)
	result := "ok"
	if err != nil {
		result = "error"
		s.metrics.errors.Inc()
	} else {
		s.metrics.sync.Observe(time.Since(start).Seconds())
	}
	s.metrics.commits.WithLabelValues(result).Add(float64(len(group)))
	s.metrics.group.Observe(float64(len(group)))
	for _, c := range group {
		c.done(err)
	}
}

// transact makes the group in one transaction and one sync, all of it or nothing.
func (s *Store) transact(group []commit) error {
	if err := s.disk.room(); err != nil {
		return err
	}
	if err := s.heal(); err != nil {
		return err
	}
	h, err := s.acquire()
	if err != nil {
		return err
	}
	err = h.commit(func(txn *badger.Txn) error {
		for _, c := range group {
			for _, w := range c.batch.writes {
				if err := w.in(txn); err != nil {
					return err
				}
			}
		}
		return nil
	})
	h.users.Done()
	if err != nil {
		// Badger may have lost its memtable with a failed write and ends the process on the
		// next one: nothing is written any more before it was reopened.
		s.bad = fmt.Errorf("store: write to %s: %w", s.cfg.Path, err)
		s.log.Error("commit failed, the store is reopened", "path", s.cfg.Path, "err", err)
		return s.bad
	}
	return nil
}

func (w write) in(txn *badger.Txn) error {
	if w.delete {
		return txn.Delete(w.key)
	}
	return txn.SetEntry(&badger.Entry{Key: w.key, Value: w.value, ExpiresAt: w.expires})
}

// heal reopens the database after a failed write.
func (s *Store) heal() error {
	if s.bad == nil {
		return nil
	}
	if h := s.take(); h != nil {
		if err := closeBadger(h.DB); err != nil {
			s.log.Warn("store closed with an error", "path", s.cfg.Path, "err", err)
		}
	}
	db, err := openBadger(s.cfg, s.log)
	if err != nil {
		select { // the group fails; a broken disk is not asked in a tight loop
		case <-time.After(reopenPause):
		case <-s.quit:
		}
		return errors.Join(s.bad, err)
	}
	s.mu.Lock()
	s.db = newHandle(db)
	s.mu.Unlock()
	s.log.Info("store reopened", "path", s.cfg.Path, "after", s.bad)
	s.bad = nil
	return nil
}
