package shadowsync

import (
	"sync"

	"github.com/gb2mqtt/gb2mqtt/shadowsync/store"
)

// mishap is what happens to one commit of a run.
type mishap int

const (
	diskFull    mishap = iota + 1 // it is not made, and the service is told so
	diesBefore                    // the process ends before it is made
	diesBetween                   // the process ends when it is made, before anybody is told
)

// fragile is a store with a mishap at a commit that is chosen beforehand. Once dead it makes
// nothing durable any more.
type fragile struct {
	*store.Store
	mu    sync.Mutex // guards what follows
	plan  mishap
	after int // commits that still go well
	dead  bool
}

// CommitAsync implements keeper.
func (f *fragile) CommitAsync(b *store.Batch, done func(error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := mishap(0)
	if f.plan != 0 {
		if f.after--; f.after < 0 {
			now, f.plan = f.plan, 0
		}
	}
	switch {
	case f.dead || now == diskFull:
		go done(store.ErrFull)
	case now == diesBefore:
		f.dead = true
		go done(store.ErrFull)
	case now == diesBetween:
		f.dead = true
		f.Store.CommitAsync(b, func(error) { done(store.ErrFull) })
	default:
		f.Store.CommitAsync(b, done)
	}
}

// died tells whether the process has ended: what is told from then on nobody hears.
func (f *fragile) died() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}
