package broker

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// ackDelay is how long the PUBACK of a request may wait for the answer to go out with it: one
// write to the client and one read there instead of two.
const ackDelay = 10 * time.Millisecond

// acceptedSuffix is what the topic of a request's answer has behind that of the request.
const acceptedSuffix = "/accepted"

// awaitsAnswer tells whether the answer to a request will come to who sent it. Who does not
// listen gets the PUBACK at once.
func (s *server) awaitsAnswer(client string, request packets.Packet) bool {
	answer := request.Properties.ResponseTopic
	if answer == "" {
		answer = request.TopicName + acceptedSuffix
	}
	return slices.ContainsFunc(s.topics.of(answer), func(to subscriber) bool { return to.client == client })
}

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
