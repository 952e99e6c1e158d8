package bridge

import (
	"sync"
	"time"

	"github.com/gb2mqtt/gb2mqtt/shadowsync"
)

// shadowInterval is how often a value that changes all the time may write its shadow.
const shadowInterval = time.Second

// throttle lets through once in an interval what may come all the time: values of high rate
// into a shadow, the others are events alone.
type throttle struct {
	interval time.Duration

	mu   sync.Mutex // guards last
	last map[throttled]time.Time
}

// throttled is one section of one shadow.
type throttled struct {
	key     shadowsync.Key
	section string // "position", "ptz", "catalog", "link"
}

func newThrottle(interval time.Duration) *throttle {
	return &throttle{interval: interval, last: make(map[throttled]time.Time)}
}

// allow tells whether a section of key may be written, or asked for, now.
func (t *throttle) allow(key shadowsync.Key, section string, now time.Time) bool {
	k := throttled{key, section}
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.last[k]) < t.interval {
		return false
	}
	t.last[k] = now
	return true
}

// sweep forgets whom nothing holds back any more.
func (t *throttle) sweep(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, last := range t.last {
		if now.Sub(last) >= t.interval {
			delete(t.last, k)
		}
	}
}
