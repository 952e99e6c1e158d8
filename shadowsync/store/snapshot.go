package store

import (
	"fmt"
	"sync"

	badger "github.com/dgraph-io/badger/v4"
)

// handle is one opening of the database and those who use it now. It numbers the commits
// itself: Badger has a reader wait for every commit under way, and thus for a sync of the disk.
// Here a reader sees what was durable when it came.
type handle struct {
	*badger.DB
	users sync.WaitGroup

	mu      sync.Mutex // guards what follows; never held across I/O
	durable uint64     // number of the last commit that is
	readers map[uint64]int
}

func newHandle(db *badger.DB) *handle {
	h := &handle{DB: db, durable: db.MaxVersion(), readers: make(map[uint64]int)}
	h.SetDiscardTs(h.durable)
	return h
}

// view reads; what Badger says of damaged blocks by a panic becomes an error.
func (h *handle) view(read func(*badger.Txn) error) (err error) {
	at := h.begin()
	defer h.end(at)
	txn := h.NewTransactionAt(at, false)
	defer txn.Discard()
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, panicked)
		}
	}()
	return read(txn)
}

// commit makes what write does, all of it or nothing, and returns once it is durable. The
// store's writer alone calls it.
func (h *handle) commit(write func(*badger.Txn) error) error {
	h.mu.Lock()
	at := h.durable
	h.mu.Unlock()
	txn := h.NewTransactionAt(at, true)
	defer txn.Discard()
	if err := write(txn); err != nil {
		return err
	}
	if err := txn.CommitAt(at+1, nil); err != nil {
		return err
	}
	h.SetDiscardTs(h.advance())
	return nil
}

// begin returns the commit that a reader sees, and keeps what it sees from being discarded
// until end.
func (h *handle) begin() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readers[h.durable]++
	return h.durable
}

func (h *handle) end(at uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.readers[at]--; h.readers[at] == 0 {
		delete(h.readers, at)
	}
}

// advance counts a commit as durable and returns the oldest that somebody sees.
func (h *handle) advance() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.durable++
	oldest := h.durable
	for at := range h.readers {
		oldest = min(oldest, at)
	}
	return oldest
}
