package bridge

import (
	"cmp"
	"context"
	"errors"

	"github.com/gb2mqtt/gb2mqtt/broker"
	"github.com/gb2mqtt/gb2mqtt/shadowsync/store"
	"github.com/gb2mqtt/gb2mqtt/shadowsync/upstream"
)

// upstreams is the shadow sync of each link of kind aws, by the link's name.
type upstreams map[string]*upstream.Upstream

// buildUpstreams makes the sync of each link of kind aws.
func (b *Bridge) buildUpstreams() {
	for _, l := range b.cfg.MQTT.Links {
		if l.Kind != "aws" {
			continue
		}
		direction := cmp.Or(l.Direction, "both")
		u := upstream.New(upstream.Config{
			Link: l.Name, Thing: cmp.Or(l.Thing, "{device}"), Prefix: b.cfg.Shadow.Prefix,
			Up: direction != "down", Down: direction != "up",
		}, b.shadows, upstreamMemory{b.store.Table(store.KindUpstream)}, b.log)
		b.shadows.Observe(u)
		b.upstreams[l.Name] = u
	}
}

// upstream syncs over one connection of a link.
func (b *Bridge) upstream(ctx context.Context, link string, c *broker.UpstreamConn) error {
	return b.upstreams[link].Run(ctx, c)
}

// receive takes what comes over a link.
func (u upstreams) receive(link, topic string, payload []byte) { u[link].Receive(topic, payload) }

// upstreamMemory keeps the clouds' desired state in the store.
type upstreamMemory struct{ table *store.Table }

// Load returns what Save has kept.
func (m upstreamMemory) Load(name string) (value []byte, known bool, err error) {
	value, err = m.table.Get(name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, false, nil
	}
	return value, err == nil, err
}

// Save keeps value and calls done once that is durable.
func (m upstreamMemory) Save(name string, value []byte, done func(error)) {
	b := new(store.Batch)
	m.table.Put(b, name, value)
	m.table.CommitAsync(b, done)
}
