package fleet

import (
	"runtime"
	"sync/atomic"
)

// tellers hand facts to the Sink off the read loops, so that a device is answered before
// anything is done about it. Their goroutines belong to Run.
type tellers struct {
	running atomic.Bool
	ready   chan *shard // with facts; each is in it once at most, so a send never blocks
}

// unlockAndLeave unlocks sh and leaves its facts to a teller; without one they are told here.
func (f *Fleet) unlockAndLeave(sh *shard) {
	switch {
	case len(sh.facts) == 0, sh.telling, sh.waits:
		sh.mu.Unlock()
	case !f.tellers.running.Load():
		sh.unlockAndTell()
	default:
		sh.waits = true
		sh.mu.Unlock()
		f.tellers.ready <- sh
	}
}

// tell works until stop is closed.
func (f *Fleet) tell(stop <-chan struct{}) {
	for {
		select {
		case sh := <-f.tellers.ready:
			sh.mu.Lock()
			sh.waits = false
			sh.unlockAndTell()
		case <-stop:
			return
		}
	}
}

// tellRest tells what was left when the tellers ended.
func (f *Fleet) tellRest() {
	for i := range f.shards {
		sh := &f.shards[i]
		sh.mu.Lock()
		sh.waits = false
		sh.unlockAndTell()
	}
}

// tellerCount leaves a processor to the read loops where there are several.
func tellerCount() int { return max(1, min(runtime.GOMAXPROCS(0)-1, 8)) }
