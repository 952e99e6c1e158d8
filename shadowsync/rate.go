package shadowsync

import (
	"strconv"
	"sync"
	"time"
)

// rate counts the requests of each thing within a second of the clock. It holds no more
// things than were asked for in that second.
type rate struct {
	limit int // per second and thing; 0: none

	mu     sync.Mutex // guards all below
	second int64
	counts map[string]int
}

// refuse counts one request for thing at now, and refuses it beyond the limit.
func (r *rate) refuse(thing string, now time.Time) *Error {
	if r.limit == 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if second := now.Unix(); second != r.second || r.counts == nil {
		r.second, r.counts = second, make(map[string]int)
	}
	if r.counts[thing] >= r.limit {
		return &Error{429, "Too many requests: limits.shadow_rate is " + strconv.Itoa(r.limit) + " a second for each thing; ask again in a second"}
	}
	r.counts[thing]++
	return nil
}
