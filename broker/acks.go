package broker

import (
	"context"
	"sync"
	"time"
)

// ackDelay is how long the PUBACK of a request may wait for the answer to go out with it: one
// write to the client and one read there instead of two.
const ackDelay = 10 * time.Millisecond

// lateAcks is the connections on which PUBACKs wait for company.
type lateAcks struct {
	wake chan struct{} // capacity 1

	mu    sync.Mutex // guards conns
	conns []*queuedConn
}

func (l *lateAcks) add(q *queuedConn) {
	l.mu.Lock()
	l.conns = append(l.conns, q)
	l.mu.Unlock()
	signal(l.wake)
}

// run sends what waited for too long, until ctx ends.
func (l *lateAcks) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(ackDelay):
		}
		l.mu.Lock()
		conns := l.conns
		l.conns = nil
		l.mu.Unlock()
		for _, q := range conns {
			q.flush()
		}
	}
}
