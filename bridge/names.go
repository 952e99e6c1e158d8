package bridge

import (
	"context"
	"sync"
	"time"

	"github.com/gb2mqtt/gb2mqtt/broker"
	"github.com/gb2mqtt/gb2mqtt/shadowsync"
)

// How often the list of a thing's named shadows is published while it changes, and how often
// one of several pages is.
const (
	namesInterval     = time.Second
	manyNamesInterval = 10 * time.Second
	namesPerInterval  = 2000 // things
)

// names keeps the retained lists of named shadows in line with the shadows: where one came
// or went its thing's list is published, at most once a second for each thing.
type names struct {
	prefix  string
	list    func(thing string) []string
	publish func(broker.Message)
	dirty   chan struct{} // holds a token when changed has got its first

	mu      sync.Mutex           // guards what follows
	changed map[string]time.Time // things, and when their list is due
	large   map[string]time.Time // things of many names, and when their list may be published again
}

func newNames(prefix string, list func(string) []string, publish func(broker.Message)) *names {
	return &names{
		prefix: prefix, list: list, publish: publish, dirty: make(chan struct{}, 1),
		changed: make(map[string]time.Time), large: make(map[string]time.Time),
	}
}

// touch tells that a named shadow of thing came or went.
func (n *names) touch(k shadowsync.Key, now time.Time) {
	if k.Name == "" {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, waits := n.changed[k.Thing]; waits {
		return
	}
	due := now.Add(namesInterval)
	if again, large := n.large[k.Thing]; large && again.After(due) {
		due = again
	}
	n.changed[k.Thing] = due
	select {
	case n.dirty <- struct{}{}:
	default:
	}
}

// Run publishes until ctx ends.
func (n *names) Run(ctx context.Context) error {
	tick := time.NewTicker(namesInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.dirty:
		}
		for n.publishDue(time.Now()) {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	}
}

// publishDue publishes what is due; it returns false when nothing waits any more.
func (n *names) publishDue(now time.Time) bool {
	n.mu.Lock()
	var due []string
	for thing, at := range n.changed {
		if !at.After(now) && len(due) < namesPerInterval {
			due = append(due, thing)
			delete(n.changed, thing)
		}
	}
	for thing, again := range n.large {
		if again.Before(now) {
			delete(n.large, thing)
		}
	}
	more := len(n.changed) > 0
	n.mu.Unlock()
	for _, thing := range due {
		if pages := n.publishList(thing, now); pages > 1 {
			n.mu.Lock()
			n.large[thing] = now.Add(manyNamesInterval)
			n.mu.Unlock()
		}
	}
	return more
}

// publishList publishes the pages of thing's list, and clears the one behind the last.
func (n *names) publishList(thing string, now time.Time) (pages int) {
	list := n.list(thing)
	for {
		payload := shadowsync.NamesPage(list, pages+1, now)
		n.publish(broker.Message{Topic: shadowsync.NamesTopic(n.prefix, thing, pages+1), Payload: payload, QoS: 1, Retain: true})
		if payload == nil {
			return pages
		}
		pages++
	}
}
