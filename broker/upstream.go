package broker

import (
	"context"
	"fmt"
	"sync"
)

// kindAWS is a link that carries shadows only, as a client of the shadow service there.
const kindAWS = "aws"

// UpstreamConn is one connection of a link of kind aws.
type UpstreamConn struct {
	peer peer
	mu   sync.Mutex // keeps publications apart
}

// Subscribe returns once the server has granted all filters.
func (c *UpstreamConn) Subscribe(ctx context.Context, filters ...string) error {
	for _, f := range filters {
		if err := c.peer.subscribe(ctx, f, 1); err != nil {
			return fmt.Errorf("subscribe to %s: %w", f, err)
		}
	}
	return nil
}

// Publish sends with QoS 1 and returns once the server has acknowledged it.
func (c *UpstreamConn) Publish(ctx context.Context, topic string, payload []byte) error {
	c.mu.Lock()
	wait := c.peer.publish(ctx, Message{Topic: topic, Payload: payload}, 1)
	c.mu.Unlock()
	return wait(ctx)
}

// serveUpstream hands the connection to who syncs shadows, until one of them ends.
func (l *link) serveUpstream(ctx context.Context, p peer) error {
	l.mu.Lock()
	l.connectedLocked()
	l.mu.Unlock()
	l.connected()
	return l.b.opts.Upstream(ctx, l.cfg.Name, &UpstreamConn{peer: p})
}
