package bridge

import (
	"context"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/broker"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
	"github.com/gb2mqtt/gb2mqtt/shadowsync"
)

// restore gives the fleet what it knew before, and brings the shadows in line with it: who
// was online is unknown now, in one change for all and without an event for each.
func (b *Bridge) restore(ctx context.Context) error {
	records, channels, err := b.registrations.load()
	if err != nil {
		return err
	}
	b.restoreModels(records)
	b.fleet.Restore(records, time.Now())
	for device, list := range channels {
		b.fleet.RestoreChannels(device, list)
	}
	b.fleet.Each(func(d fleet.Device) {
		b.shadows.Report(thing(d.ID), b.presencePatch(d), nil)
		for _, ch := range b.fleet.Channels(d.ID) {
			b.shadows.Report(channelThing(d.ID, ch.ID), map[string]any{
				"presence": ch.Presence.String(), "presence_reason": orNil(ch.Reason),
			}, nil)
		}
	})
	return b.shadows.Flush(ctx)
}

// presencePatch is what a device's shadow says of its presence.
func (b *Bridge) presencePatch(d fleet.Device) map[string]any {
	return map[string]any{
		"presence": d.Presence.String(), "presence_reason": orNil(d.Reason),
		"breaker": b.breakers.State(d.ID.String()).String(),
	}
}

// publishRetained publishes all that is retained, through publish: presence and state of
// each device and channel, what the bridge is, and last that it is online.
func (b *Bridge) publishRetained(publish func(broker.Message)) {
	b.fleet.Each(func(d fleet.Device) {
		b.publishRetainedOf(d.ID.String(), "", d.Presence, thing(d.ID), publish)
		for _, ch := range b.fleet.Channels(d.ID) {
			b.publishRetainedOf(d.ID.String(), ch.ID.String(), ch.Presence, channelThing(d.ID, ch.ID), publish)
		}
	})
	publish(b.infoMessage())
	publish(b.topics.stateOf("online"))
}

func (b *Bridge) publishRetainedOf(device, channel string, p fleet.Presence, k shadowsync.Key, publish func(broker.Message)) {
	publish(broker.Message{
		Topic: b.topics.of(device, channel, "presence"), Payload: []byte(p.String()), QoS: 1, Retain: true,
	})
	if doc, err := b.shadows.Get(k); err == nil {
		publish(b.stateMessage(device, channel, doc))
	}
}

// birth is called after each (re)connection of a link: its server may have lost or never
// had what is retained.
func (b *Bridge) birth(_ string, publish func(broker.Message)) { b.publishRetained(publish) }

// reportAnew writes the whole of what is known of a device or a channel into a shadow that
// somebody deleted.
func (b *Bridge) reportAnew(device gb28181.ID, channel string) {
	if channel == "" {
		if d, known := b.fleet.Device(device); known {
			b.shadows.Report(thing(device), b.presencePatch(d), nil)
			b.recovery.Returned(device)
		}
		return
	}
	id, err := gb28181.ParseID(channel)
	if err != nil {
		return
	}
	if ch, there := b.fleet.Channel(device, id); there {
		b.reportChannelPresence(device, ch)
		b.recovery.Returned(device) // its catalogue entry is asked for again
	}
}

// janitorInterval is how late something may be forgotten.
const janitorInterval = time.Minute

// janitor does what is due once in a while.
func (b *Bridge) janitor(ctx context.Context) error {
	tick := time.NewTicker(janitorInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			b.forgetVanished(now)
			b.lockout.Sweep(now)
			b.frequent.sweep(now)
			b.twins.sweep(now)
			b.refreshes.sweep(now)
			b.switches.sweep(now)
		}
	}
}
