package broker

import (
	"context"
	"fmt"
	"time"
)

// publish puts m into the queue while the link is up.
func (l *link) publish(m Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m.Retain && l.newer != nil {
		l.newer[m.Topic] = true
	}
	l.enqueueLocked(m)
}

func (l *link) enqueueLocked(m Message) {
	if !l.up {
		if !m.Retain { // what is retained comes with the next birth, the newest of each topic
			l.b.metrics.linkLost.WithLabelValues(l.cfg.Name).Inc()
		} else if delete(l.cleared, m.Topic); len(m.Payload) == 0 && len(l.cleared) < maxCleared {
			l.cleared[m.Topic] = true
		}
		return
	}
	if m.Retain {
		if at, waits := l.places[m.Topic]; waits {
			l.queue[at] = m
			return
		}
	}
	if len(l.queue) >= maxLinkQueue && !m.Retain {
		l.b.metrics.linkLost.WithLabelValues(l.cfg.Name).Inc()
		return
	}
	if m.Retain {
		l.places[m.Topic] = len(l.queue)
	}
	l.queue = append(l.queue, m)
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// bear publishes a part of the birth, unless a newer value was published since it began. It
// waits while the queue is long.
func (l *link) bear(ctx context.Context, m Message) {
	for ctx.Err() == nil {
		l.mu.Lock()
		if len(l.queue) < maxLinkQueue/2 {
			if !l.newer[m.Topic] {
				l.enqueueLocked(m)
			}
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(settleTime):
		}
	}
}

// send works the queue off.
func (l *link) send(ctx context.Context, sent pipeline, publish func(Message, bool) func(context.Context) error) error {
	taken := func() {
		l.mu.Lock()
		l.unacked--
		l.mu.Unlock()
	}
	for {
		l.mu.Lock()
		batch := l.queue
		l.queue = nil
		l.unacked += len(batch)
		clear(l.places)
		l.mu.Unlock()
		for _, m := range batch {
			if err := sent.add(ctx, publish(m, m.Retain), taken); err != nil {
				return err
			}
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// flush waits until everything was acknowledged, while the link is up.
func (l *link) flush(ctx context.Context) error {
	for {
		l.mu.Lock()
		left := len(l.queue) + l.unacked
		up := l.up
		l.mu.Unlock()
		if !up || left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("flush link %s: %d messages not acknowledged: %w", l.cfg.Name, left, ctx.Err())
		case <-time.After(settleTime):
		}
	}
}
