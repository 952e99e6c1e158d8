package broker

import (
	"context"
	"time"
)

// The positions of a link's breaker: closed while it is connected; open between two tries, when
// nothing is sent over it and events wait in the journal; half open while it is tried.
const (
	LinkClosed   = "closed"
	LinkOpen     = "open"
	LinkHalfOpen = "half_open"
)

// steadyLink is how long a connection must have lasted for its loss to count as the first failure
// of a row.
const steadyLink = 5 * time.Second

// backOff is how long a link stays open after so many failures in a row before the last.
func (b *Broker) backOff(failures int) time.Duration {
	if b.opts.BackOff == nil {
		return time.Second
	}
	return b.opts.BackOff(failures)
}

// moveLocked sets the position of the breaker. l.mu is held.
func (l *link) moveLocked(to string, retryAt time.Time) {
	gauge := l.b.metrics.linkBreaker
	if l.state != "" {
		gauge.WithLabelValues(l.cfg.Name, l.state).Set(0)
	}
	gauge.WithLabelValues(l.cfg.Name, to).Set(1)
	l.state, l.retryAt = to, retryAt
}

// try half-opens the breaker for a connection.
func (l *link) try() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.moveLocked(LinkHalfOpen, time.Time{})
}

// connectedLocked closes the breaker. l.mu is held.
func (l *link) connectedLocked() {
	l.up, l.since = true, time.Now()
	l.moveLocked(LinkClosed, time.Time{})
	l.b.metrics.linkUp.WithLabelValues(l.cfg.Name).Set(1)
}

// connected tells of a link that is up.
func (l *link) connected() {
	l.b.log.Info("MQTT link up", "link", l.cfg.Name, "url", l.cfg.URL)
	if l.b.opts.OnLink != nil {
		l.b.opts.OnLink(l.cfg.Name, true)
	}
}

// run connects again and again until ctx ends, with a back-off that no two bridges share.
func (l *link) run(ctx context.Context) {
	l.b.metrics.linkUp.WithLabelValues(l.cfg.Name).Set(0)
	for failures, told := 0, ""; ctx.Err() == nil; failures++ {
		l.try()
		err := l.session(ctx)
		if ctx.Err() != nil {
			return
		}
		lasted, wasUp := l.down(err)
		if lasted >= steadyLink {
			failures = 0
		}
		wait := l.b.backOff(failures)
		l.open(wait)
		if wasUp && l.b.opts.OnLink != nil {
			l.b.opts.OnLink(l.cfg.Name, false)
		}
		tell := l.b.log.Debug // the same again is no news
		if wasUp || err.Error() != told {
			tell, told = l.b.log.Warn, err.Error()
		}
		tell("MQTT link down", "link", l.cfg.Name, "url", l.cfg.URL, "err", err, "retry_in", wait)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// open opens the breaker until it is tried again.
func (l *link) open(wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.moveLocked(LinkOpen, time.Now().Add(wait))
}

// down takes the link out of service, and tells for how long it was in it.
func (l *link) down(err error) (lasted time.Duration, wasUp bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if wasUp = l.up; wasUp {
		lasted = time.Since(l.since)
	}
	// What waits is not lost: retained state comes with the next birth, events are in the journal.
	l.b.metrics.linkLost.WithLabelValues(l.cfg.Name).Add(float64(len(l.queue)))
	l.up, l.err, l.queue, l.unacked = false, err, nil, 0
	clear(l.places)
	l.b.metrics.linkUp.WithLabelValues(l.cfg.Name).Set(0)
	return lasted, wasUp
}
