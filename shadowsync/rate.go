package shadowsync

import (
	"strconv"
	"sync"
	"time"
)

// rateWindow is the time within which the requests of a thing are counted.
const rateWindow = time.Second

// rate bounds the requests of each thing within any rateWindow, wherever it begins. It holds
// no more than what passed in the last one.
type rate struct {
	limit int // per second and thing; 0: none

	mu     sync.Mutex // guards all below
	passed []pass     // oldest first
	counts map[string]int
}

// pass is one request that was let through.
type pass struct {
	at    time.Time
	thing string
}

// refuse counts one request for thing at now, and refuses it beyond the limit.
func (r *rate) refuse(thing string, now time.Time) *Error {
	if r.limit == 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(now)
	if r.counts[thing] >= r.limit {
		return &Error{429, "Too many requests: limits.shadow_rate is " + strconv.Itoa(r.limit) + " a second for each thing; ask again in a second"}
	}
	if r.counts == nil {
		r.counts = make(map[string]int)
	}
	r.counts[thing]++
	r.passed = append(r.passed, pass{now, thing})
	return nil
}

// forget takes out what passed a window ago.
func (r *rate) forget(now time.Time) {
	n := 0
	for ; n < len(r.passed) && now.Sub(r.passed[n].at) >= rateWindow; n++ {
		thing := r.passed[n].thing
		if r.counts[thing]--; r.counts[thing] == 0 {
			delete(r.counts, thing)
		}
	}
	if r.passed = r.passed[n:]; len(r.passed) == 0 {
		r.passed = nil
	}
}
