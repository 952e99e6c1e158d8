package guard

import (
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The bounds of the lock-out's memory, and how a source is slowed that fails for many IDs.
const (
	maxPairs       = 1 << 16
	maxSources     = 1 << 14
	sourceFailures = 5             // times the failures of one pair that a source has for free within the window
	slowedInterval = time.Second   // a slowed source may be wrong once in this time
	goodFor        = 2 * time.Hour // a device that registered from a failing source stays exempt for so long
	evictionSample = 16            // entries looked at for the one to give up when memory is full
)

// Lockout counts wrong answers per source address and device, and refuses a pair for a time
// that had too many: nobody can lock a camera out from elsewhere. A source that fails for
// many devices is slowed down, not banned, for cameras share addresses: beyond five times
// the failures of one pair within the window, each wrong answer holds the whole source up
// for a second, apart from devices that have registered from it since it began to fail.
type Lockout struct {
	cfg     LockoutConfig
	metrics *lockoutMetrics

	mu      sync.Mutex // guards pairs and sources
	pairs   map[pair]tally
	sources map[netip.Addr]source
}

type pair struct {
	ip     netip.Addr
	device [20]byte
}

// tally is what is remembered about a pair until its end.
type tally struct {
	failures int
	ends     time.Time // of the window, or of the ban
	banned   bool
	good     bool // it registered: never slowed
}

type source struct {
	failures int
	ends     time.Time // of the window
	next     time.Time // before this a slowed source is refused
}

// NewLockout returns a lock-out that holds nothing against anybody.
func NewLockout(cfg LockoutConfig, reg prometheus.Registerer) (*Lockout, error) {
	m, err := newLockoutMetrics(reg)
	if err != nil {
		return nil, err
	}
	return &Lockout{cfg: cfg, metrics: m, pairs: make(map[pair]tally), sources: make(map[netip.Addr]source)}, nil
}

// Banned reports whether device may not try from ip now, and for how long not.
func (l *Lockout) Banned(ip netip.Addr, device [20]byte, now time.Time) (retryAfter time.Duration, banned bool) {
	ip = ip.Unmap()
	l.mu.Lock()
	defer l.mu.Unlock()
	t, known := l.pairs[pair{ip, device}]
	known = known && now.Before(t.ends)
	if known && t.banned {
		l.metrics.refusals.Inc()
		return t.ends.Sub(now), true
	}
	if s := l.sources[ip]; now.Before(s.next) && !(known && t.good) {
		l.metrics.slowed.Inc()
		return s.next.Sub(now), true
	}
	return 0, false
}

// Failed counts a wrong answer.
func (l *Lockout) Failed(ip netip.Addr, device [20]byte, now time.Time) {
	ip = ip.Unmap()
	l.metrics.failures.Inc()
	l.mu.Lock()
	defer l.mu.Unlock()
	key := pair{ip, device}
	t, known := l.pairs[key]
	if !known || t.good || !now.Before(t.ends) {
		if !known {
			makeRoom(l.pairs, maxPairs, now, tally.worth)
		}
		t = tally{ends: now.Add(l.cfg.Window)}
	}
	if t.failures++; t.failures >= l.cfg.Failures && !t.banned {
		t.banned, t.ends = true, now.Add(l.cfg.Ban)
		l.metrics.bans.Inc()
	}
	l.pairs[key] = t

	s, known := l.sources[ip]
	if !known || !now.Before(s.ends) {
		if !known {
			makeRoom(l.sources, maxSources, now, source.worth)
		}
		s = source{ends: now.Add(l.cfg.Window)}
	}
	if s.failures++; s.failures > sourceFailures*l.cfg.Failures {
		s.next = now.Add(slowedInterval)
	}
	l.sources[ip] = s
}

// Succeeded forgets what device did wrong from ip.
func (l *Lockout) Succeeded(ip netip.Addr, device [20]byte) {
	ip = ip.Unmap()
	l.mu.Lock()
	defer l.mu.Unlock()
	key := pair{ip, device}
	if _, failing := l.sources[ip]; !failing {
		delete(l.pairs, key)
		return
	}
	now := time.Now()
	if _, known := l.pairs[key]; !known {
		makeRoom(l.pairs, maxPairs, now, tally.worth)
	}
	l.pairs[key] = tally{good: true, ends: now.Add(goodFor)}
}

// Sweep forgets what has ended. Its owner calls it now and then; the memory is bounded
// without it too.
func (l *Lockout) Sweep(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, t := range l.pairs {
		if !now.Before(t.ends) {
			delete(l.pairs, key)
		}
	}
	for ip, s := range l.sources {
		if !now.Before(s.ends) && !now.Before(s.next) {
			delete(l.sources, ip)
		}
	}
}

// worth ranks what memory is given up for: what has ended first, bans last.
func (t tally) worth(now time.Time) int {
	switch {
	case !now.Before(t.ends):
		return 0
	case t.good:
		return 1
	case !t.banned:
		return 2
	}
	return 3
}

func (s source) worth(now time.Time) int {
	switch {
	case !now.Before(s.ends):
		return 0
	case !now.Before(s.next):
		return 1
	}
	return 2
}

// makeRoom gives up the entry of least worth among a few when m is full: the order of a
// map's range is by chance.
func makeRoom[K comparable, V any](m map[K]V, full int, now time.Time, worth func(V, time.Time) int) {
	if len(m) < full {
		return
	}
	var victim K
	least, seen := int(^uint(0)>>1), 0
	for key, v := range m {
		if w := worth(v, now); w < least {
			victim, least = key, w
		}
		if seen++; seen == evictionSample || least == 0 {
			break
		}
	}
	delete(m, victim)
}
