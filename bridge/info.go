package bridge

import (
	"context"
	"time"

	"github.com/gb2mqtt/gb2mqtt/broker"
)

// infoInterval bounds how often the counts of devices are published while they change.
const infoInterval = time.Second

// info keeps the retained P/bridge/info in line with the fleet: at once after a quiet time,
// at most once a second in a storm.
type info struct {
	publish func()
	dirty   chan struct{} // capacity 1
}

func newInfo(publish func()) *info { return &info{publish: publish, dirty: make(chan struct{}, 1)} }

// changed tells that the counts are others now.
func (i *info) changed() {
	select {
	case i.dirty <- struct{}{}:
	default:
	}
}

// Run publishes until ctx ends.
func (i *info) Run(ctx context.Context) error {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-i.dirty:
		}
		i.publish()
		pause.Reset(infoInterval)
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
	}
}

func (b *Bridge) infoMessage() broker.Message {
	online, offline, unknown := b.fleet.Counts()
	links := make([]any, 0, len(b.cfg.MQTT.Links))
	for _, l := range b.broker.Links() {
		breaker := broker.LinkOpen // one that is tried just now is told of when it is up
		if l.Up {
			breaker = broker.LinkClosed
		}
		links = append(links, map[string]any{"name": l.Name, "breaker": breaker})
	}
	return broker.Message{
		Topic: b.topics.bridge("info"), QoS: 1, Retain: true,
		Payload: mustJSON(map[string]any{
			"version": b.cfg.Version, "server_id": b.cfg.SIP.ServerID, "started_at": b.started.UnixMilli(),
			"devices": map[string]any{"online": online, "offline": offline, "unknown": unknown},
			"links":   links,
		}),
	}
}

// stateOf is the retained P/bridge/state: online while the bridge serves, offline as its
// last word and, on links, as its will.
func (t topics) stateOf(word string) broker.Message {
	return broker.Message{Topic: t.bridge("state"), Payload: []byte(word), QoS: 1, Retain: true}
}
