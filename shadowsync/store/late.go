package store

import (
	"sync"
	"time"
)

// latePause is how long rows that could not be written wait between two tries.
const latePause = time.Second

// Bounds of one try, well below those of a group.
const (
	lateRows  = 2048
	lateBytes = maxGroupBytes / 2
)

// late are the rows that Insist could not write, the newest of each key.
type late struct {
	wake chan struct{} // holds a token when rows has got its first

	mu   sync.Mutex // guards rows; held over a submit, which does not block
	rows map[string]lateRow
	last uint64
}

type lateRow struct {
	write
	n uint64 // tells a row from a later one of its key
}

// Insist is CommitAsync for rows that must be written some time: those that can't be now are
// kept in memory, the newest of each key, and tried again each second until they are written
// or the store is closed. failed is told of the first failure, as CommitAsync tells it.
func (s *Store) Insist(b *Batch, failed func(error)) {
	s.late.mu.Lock()
	for _, w := range b.writes {
		delete(s.late.rows, string(w.key)) // it is newer; if it fails it comes back below
	}
	keep := func() {
		for _, w := range b.writes {
			s.late.last++
			s.late.rows[string(w.key)] = lateRow{w, s.late.last}
		}
		select {
		case s.late.wake <- struct{}{}:
		default:
		}
	}
	err := s.submit(commit{b, func(err error) {
		if err == nil {
			return
		}
		s.late.mu.Lock()
		keep()
		s.late.mu.Unlock()
		failed(err)
	}})
	if err != nil {
		keep()
	}
	s.late.mu.Unlock()
	if err != nil {
		failed(err)
	}
}

// insist tries late rows again. It ends with Close.
func (s *Store) insist() {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-s.late.wake:
		case <-s.quit:
			s.tellLost()
			return
		}
		for wait := latePause; ; {
			pause.Reset(wait)
			select {
			case <-pause.C:
			case <-s.quit:
				s.tellLost()
				return
			}
			tried := make(chan error, 1)
			rows := s.tryLate(tried)
			if len(rows) == 0 {
				break
			}
			if wait = 0; <-tried != nil {
				wait = latePause
				continue
			}
			s.forgetLate(rows)
		}
	}
}

// tryLate submits some of the late rows; their outcome comes over tried.
func (s *Store) tryLate(tried chan<- error) map[string]uint64 {
	s.late.mu.Lock()
	defer s.late.mu.Unlock()
	b, rows := new(Batch), make(map[string]uint64)
	for key, row := range s.late.rows {
		if len(rows) == lateRows || b.size > lateBytes {
			break
		}
		b.add(row.write)
		rows[key] = row.n
	}
	if len(rows) == 0 {
		return nil
	}
	if err := s.submit(commit{b, func(err error) { tried <- err }}); err != nil {
		tried <- err
	}
	return rows
}

// forgetLate takes off what has been written; a later row of a key stays.
func (s *Store) forgetLate(rows map[string]uint64) {
	s.late.mu.Lock()
	defer s.late.mu.Unlock()
	for key, n := range rows {
		if s.late.rows[key].n == n {
			delete(s.late.rows, key)
		}
	}
}

func (s *Store) tellLost() {
	s.late.mu.Lock()
	defer s.late.mu.Unlock()
	if n := len(s.late.rows); n > 0 {
		s.log.Error("rows lost: the disk did not take them before the end", "path", s.cfg.Path, "rows", n)
	}
}
