// Package store keeps what must last on the disk: documents, registrations, messages that
// wait for a link. It is Badger, sized for a small machine, behind one writer.
//
//	Commit ──────┐
//	CommitAsync ─┤
//	Insist ──────┼─▶ waiting ─▶ writer: all that waits, up to 256 batches ─▶ one transaction, one sync ─▶ done
//	Journal ─────┘
//
// While one group is synced the next one gathers, so many writers cost the syncs of one, and
// a lone writer never waits for company.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	badger "github.com/dgraph-io/badger/v4"
	"github.com/prometheus/client_golang/prometheus"
)

// What a caller can react to.
var (
	ErrNotFound = errors.New("store: not found")
	ErrClosed   = errors.New("store: closed")
	ErrFull     = errors.New("store: the disk is full")                      // try again when there is room
	ErrBusy     = errors.New("store: too many commits wait for the disk")    // try again later
	ErrTooBig   = errors.New("store: batch is too big for one transaction")  // it never will be taken
	ErrLocked   = errors.New("store: in use by another process")             // end that one, or use another folder
	ErrFormat   = errors.New("store: written by another version of gb2mqtt") // use that version
	ErrDamaged  = errors.New("store: data can't be read")                    // restore a copy, or move it away
	errSick     = errors.New("store: being reopened after an error")
)

// Store is an open folder of data. It is safe for concurrent use.
type Store struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	disk    *disk

	mu  sync.RWMutex // guards db; never held across I/O
	db  *handle      // nil while it is reopened and after Close
	bad error        // why it must be reopened; the writer's alone

	waitMu  sync.Mutex // guards waiting and closed; held for an append only
	waiting []commit   // at most maxWaiting
	closed  bool
	wake    chan struct{} // holds a token when waiting has grown

	quit chan struct{} // closed by Close, ends the background work
	work sync.WaitGroup

	journal Journal
	late    late
}

// gcInterval is how often space of the value log is taken back.
const gcInterval = 10 * time.Minute

// Open opens the folder cfg.Path, makes it if it is missing, and starts the writer; Close
// ends it. Its errors say what to do; they wrap ErrLocked, ErrFormat, ErrDamaged or ErrFull
// where one of these is the reason. A nil reg registers no metrics.
func Open(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m, err := newMetrics(reg)
	if err != nil {
		return nil, err
	}
	d, err := prepareDisk(cfg.Path)
	if err != nil {
		m.unregister(reg)
		return nil, err
	}
	db, err := openBadger(cfg, log)
	if err != nil {
		m.unregister(reg)
		return nil, err
	}
	s := &Store{
		cfg: cfg, log: log, metrics: m, disk: d, db: newHandle(db),
		wake: make(chan struct{}, 1), quit: make(chan struct{}),
	}
	s.journal.st = s
	s.late = late{wake: make(chan struct{}, 1), rows: make(map[string]lateRow)}
	if err := s.checkFormat(); err != nil {
		m.unregister(reg)
		return nil, errors.Join(err, db.Close())
	}
	s.work.Go(s.write)
	s.work.Go(s.collect)
	s.work.Go(s.insist)
	return s, nil
}

// Close makes the last commits, ends the background work, and closes the database.
func (s *Store) Close() error {
	s.waitMu.Lock()
	if s.closed {
		s.waitMu.Unlock()
		return nil
	}
	s.closed = true
	s.waitMu.Unlock()
	close(s.quit)
	s.work.Wait()
	s.disk.release()
	h := s.take()
	if h == nil {
		return nil
	}
	return closeBadger(h.DB)
}

// Get returns a copy of the value under key, or ErrNotFound.
func (s *Store) Get(key []byte) ([]byte, error) {
	h, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer h.users.Done()
	var value []byte
	err = h.view(func(txn *badger.Txn) error {
		item, err := txn.Get(key)
		if err != nil {
			return err
		}
		value, err = item.ValueCopy(nil)
		return err
	})
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("store: read in %s: %w", s.cfg.Path, err)
	}
	return value, nil
}

// Scan calls fn for every entry whose key begins with prefix, in the order of the keys,
// until fn returns false. Key and value are fn's to keep. It sees the state of its beginning.
func (s *Store) Scan(prefix []byte, fn func(key, value []byte) bool) error {
	return s.scan(prefix, prefix, true, fn)
}

// ScanFrom is Scan from the key from on.
func (s *Store) ScanFrom(prefix, from []byte, fn func(key, value []byte) bool) error {
	return s.scan(prefix, from, true, fn)
}

// ScanKeys is Scan without the values.
func (s *Store) ScanKeys(prefix []byte, fn func(key []byte) bool) error {
	return s.ScanKeysFrom(prefix, prefix, fn)
}

// ScanKeysFrom is ScanKeys from the key from on.
func (s *Store) ScanKeysFrom(prefix, from []byte, fn func(key []byte) bool) error {
	return s.scan(prefix, from, false, func(key, _ []byte) bool { return fn(key) })
}

func (s *Store) scan(prefix, from []byte, values bool, fn func(key, value []byte) bool) error {
	h, err := s.acquire()
	if err != nil {
		return err
	}
	defer h.users.Done()
	err = h.view(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: false})
		defer it.Close()
		for it.Seek(from); it.ValidForPrefix(prefix); it.Next() {
			var value []byte
			if values {
				var err error
				if value, err = it.Item().ValueCopy(nil); err != nil {
					return err
				}
			}
			if !fn(it.Item().KeyCopy(nil), value) {
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store: scan in %s: %w", s.cfg.Path, err)
	}
	return nil
}

// Err returns nil while commits can be made, else the reason why they can't.
func (s *Store) Err() error {
	h, err := s.acquire()
	if err != nil {
		return err
	}
	h.users.Done()
	return s.disk.room()
}

// Commit makes b and returns when it is durable, or with the error for which nothing of it
// was made. When ctx ends first it returns ctx's error, and b may still be made.
func (s *Store) Commit(ctx context.Context, b *Batch) error {
	done := make(chan error, 1)
	s.CommitAsync(b, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// acquire returns the database for reading; the caller ends with users.Done.
func (s *Store) acquire() (*handle, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db != nil {
		s.db.users.Add(1)
		return s.db, nil
	}
	select {
	case <-s.quit:
		return nil, ErrClosed
	default:
		return nil, errSick
	}
}

// take takes the database away from new readers and waits for those there are.
func (s *Store) take() *handle {
	s.mu.Lock()
	h := s.db
	s.db = nil
	s.mu.Unlock()
	if h != nil {
		h.users.Wait()
	}
	return h
}

// collect takes back space of the value log. Values are kept beside their keys, so there is
// rarely any; it is what keeps a folder of an older configuration from growing.
func (s *Store) collect() {
	tick := time.NewTicker(gcInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.quit:
			return
		case <-tick.C:
			if s.disk.room() != nil {
				continue // a rewrite needs room first
			}
			h, err := s.acquire()
			if err != nil {
				continue
			}
			err = h.RunValueLogGC(0.5)
			h.users.Done()
			if err != nil && !errors.Is(err, badger.ErrNoRewrite) && !errors.Is(err, badger.ErrRejected) {
				s.log.Warn("value log not collected", "path", s.cfg.Path, "err", err)
			}
		}
	}
}
