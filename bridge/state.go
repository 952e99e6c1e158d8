package bridge

import (
	"time"

	"github.com/gb2mqtt/gb2mqtt/broker"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
	"github.com/gb2mqtt/gb2mqtt/shadowsync"
)

// Updated follows the shadow service: each new reported state of a device or a channel is
// its retained state, and whatever differs from what is desired is worked on.
func (b *Bridge) Updated(k shadowsync.Key, doc shadowsync.Document, reported, delta bool) {
	device, channel, ours := b.shadowOf(k)
	if !ours {
		return
	}
	if topic := b.topics.of(device, channel, "state"); reported && b.broker.Wanted(topic) {
		b.broker.Publish(broker.Message{Topic: topic, Payload: statePayload(doc), QoS: 1, Retain: true})
	}
	if id, err := gb28181.ParseID(device); err == nil && channel == "" && !reported {
		b.subscriptions.Wish(id)
	}
	if _, refusedBefore := doc.State.Reported["errors"]; delta || refusedBefore {
		b.reconciler.Kick(k)
	}
}

// Created has the list of the thing's named shadows published.
func (b *Bridge) Created(k shadowsync.Key) { b.names.touch(k, time.Now()) }

// Deleted makes a deleted shadow of something that is there anew: it is the bridge's
// account of it, and readers rely on it.
func (b *Bridge) Deleted(k shadowsync.Key) {
	b.names.touch(k, time.Now())
	device, channel, ours := b.shadowOf(k)
	if !ours {
		return
	}
	id, _ := gb28181.ParseID(device)
	b.reportAnew(id, channel)
}

// shadowOf tells whose shadow k is; ours is false for a thing that is no device's and for a
// named shadow that is no channel's.
func (b *Bridge) shadowOf(k shadowsync.Key) (device, channel string, ours bool) {
	id, err := gb28181.ParseID(k.Thing)
	if err != nil {
		return "", "", false
	}
	if _, known := b.fleet.Device(id); !known {
		return "", "", false
	}
	if k.Name == "" {
		return k.Thing, "", true
	}
	ch, err := gb28181.ParseID(k.Name)
	if err != nil {
		return "", "", false
	}
	_, there := b.fleet.Channel(id, ch)
	return k.Thing, k.Name, there
}

// clearRetained takes a retained topic away.
func (b *Bridge) clearRetained(topic string) {
	b.broker.Publish(broker.Message{Topic: topic, QoS: 1, Retain: true})
}
