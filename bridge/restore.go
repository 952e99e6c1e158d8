package bridge

import (
	"context"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/broker"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// restore gives the fleet what it knew before. Who was online is unknown now, in one change for
// all and without an event for each: shadows are told it as debts, retained topics are told by
// the fleet.
func (b *Bridge) restore() error {
	err := b.registrations.load(func(records []fleet.Record) {
		b.restoreModels(records)
		b.fleet.Restore(records, time.Now())
	}, b.fleet.RestoreChannels)
	if err != nil {
		return err
	}
	return b.restoreNodes()
}

// presencePatch is what a device's shadow says of its presence.
func (b *Bridge) presencePatch(d fleet.Device) map[string]any {
	return map[string]any{
		"presence": d.Presence.String(), "presence_reason": orNil(d.Reason),
		"breaker": b.breakers.State(d.ID.String()).String(), "keepalive": noTrouble(),
	}
}

// channelPatch is what a channel's shadow says of its presence, and of its own word for it.
func channelPatch(ch fleet.Channel) map[string]any {
	return map[string]any{"presence": ch.Presence.String(), "presence_reason": orNil(ch.Reason), "status": orNil(ch.Status)}
}

// birth is called after each (re)connection of a link: its server may have lost or never had
// what is retained. It publishes presence and state of each device and channel, the
// lists of named shadows, what the bridge is, and last that it is online.
func (b *Bridge) birth(_ string, publish func(broker.Message)) {
	r := retained{b}
	for place, more := "", true; more; more = place != "" {
		var topics []string
		topics, place = r.list(place)
		for _, topic := range topics {
			if payload := r.Retained(topic); payload != nil {
				publish(broker.Message{Topic: topic, Payload: payload, QoS: 1, Retain: true})
			}
		}
	}
	publish(b.infoMessage())
	publish(b.topics.stateOf("online"))
}

// reportAnew writes the whole of what is known of a device or a channel into a shadow that
// somebody deleted.
func (b *Bridge) reportAnew(device gb28181.ID, channel string) {
	if channel == "" {
		if d, known := b.fleet.Device(device); known {
			b.shadows.Report(thing(device), b.presencePatch(d), nil)
			b.recovery.Refresh(device)
		}
		return
	}
	id, err := gb28181.ParseID(channel)
	if err != nil {
		return
	}
	if ch, there := b.fleet.Channel(device, id); there {
		b.fleet.ItemLost(device, id)
		b.reportChannelPresence(device, ch)
		b.recovery.Refresh(device) // its catalogue entry is asked for again
	}
}

// janitorInterval is how late something may be forgotten; what is forgotten soon is not
// later than half of its time.
const janitorInterval = time.Minute

// janitor does what is due once in a while.
func (b *Bridge) janitor(ctx context.Context) error {
	tick := time.NewTicker(min(janitorInterval, b.cfg.Vanished/2))
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
			b.rivals.sweep(now)
			b.refreshes.sweep(now)
			b.switches.sweep(now)
			b.recovery.sweep(now)
		}
	}
}
