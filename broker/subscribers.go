package broker

import (
	"strings"
	"sync"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// maxKnownTopics bounds the topics whose subscribers are remembered.
const maxKnownTopics = 4096

// subscriber is a client and what it subscribed to, all its filters that match taken together.
type subscriber struct {
	client string
	sub    packets.Subscription
}

// subscribers finds who subscribed to a topic, and remembers it until any subscription
// changes: mochi walks a tree and makes several maps each time.
type subscribers struct {
	find func(topic string) *mochi.Subscribers

	mu      sync.RWMutex // guards what follows
	known   map[string][]subscriber
	changes uint64
}

// of returns who gets a message on topic. It must not be changed.
func (s *subscribers) of(topic string) []subscriber {
	s.mu.RLock()
	all, known := s.known[topic]
	changes := s.changes
	s.mu.RUnlock()
	if known {
		return all
	}
	found := s.find(topic)
	shared := len(found.Shared) > 0
	if shared {
		found.SelectShared()
		found.MergeSharedSelected()
	}
	for client, sub := range found.Subscriptions {
		all = append(all, subscriber{client, sub})
	}
	if !shared { // or each message would go to the same one of them
		s.remember(topic, all, changes)
	}
	return all
}

// remember keeps what was found when there had been so many changes, unless there were more
// since.
func (s *subscribers) remember(topic string, all []subscriber, changes uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes != changes {
		return
	}
	if s.known == nil || len(s.known) >= maxKnownTopics {
		s.known = make(map[string][]subscriber)
	}
	s.known[strings.Clone(topic)] = all
}

// changed forgets all: a subscription came or went. It is called before the client is told.
func (s *subscribers) changed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	s.known = nil
}
