package bridge

import (
	"context"
	"log/slog"
	"maps"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/bridge/guard"
	"github.com/gb2mqtt/gb2mqtt/broker"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
	"github.com/gb2mqtt/gb2mqtt/shadowsync"
)

// What the fleet concludes becomes a report to the shadow, a retained topic, an event. The
// methods of this file are the Bridge's side of fleet.Sink.

// thing is the shadow of a device itself.
func thing(device gb28181.ID) shadowsync.Key { return shadowsync.Key{Thing: device.String()} }

// channelThing is the named shadow of one of a device's channels.
func channelThing(device, channel gb28181.ID) shadowsync.Key {
	return shadowsync.Key{Thing: device.String(), Name: channel.String()}
}

// Registered reports the binding, and has the device asked what it is when it is fresh.
func (b *Bridge) Registered(r fleet.Registration, fresh bool) {
	if !fresh {
		return
	}
	if d, _ := b.fleet.Device(r.Device); d.Since.Before(r.At) {
		made := func() map[string]any {
			now, _ := b.fleet.Device(r.Device)
			return b.registrationPatch(now)
		}
		b.shadows.ReportMade(thing(r.Device), made, false, func(_ shadowsync.Document, err error) { b.missed(r.Device, gb28181.ID{}, err) })
	} // else its presence has changed with it, which is reported with the registration
	fields := withHeaders(registrationFields(r), r.Headers)
	fields["rival"] = b.rivals.of(r.Device, r.At) // told of just before
	b.publishEvent(event{kind: "registered", device: r.Device.String(), at: r.At, fields: withoutNil(fields)})
	b.log.Info("registered", "device", r.Device, "transport", r.Path.Network, "remote", r.Path.Remote)
	b.healing.Registered(r.Device)
}

// registrationFields is the `registration` section of a device's shadow.
func registrationFields(r fleet.Registration) map[string]any {
	return map[string]any{
		"at": r.At.UnixMilli(), "expires": r.Expires,
		"transport": r.Path.Network.String(), "remote": r.Path.Remote.String(),
		"user_agent": orNil(r.UserAgent), "gb_version": orNil(r.GBVersion),
	}
}

// registrationPatch is what a device's shadow says of its registration, and of what comes with
// it; nothing of one that has never registered.
func (b *Bridge) registrationPatch(d fleet.Device) map[string]any {
	if d.Registration.At.IsZero() {
		return nil
	}
	patch := map[string]any{
		"registration": registrationFields(d.Registration), "keepalive": keepaliveOf(d),
		"breaker": b.breakers.State(d.ID.String()).String(),
	}
	if b.online(d) {
		maps.Copy(patch, subscriptionsPatch(b.subscriptions.Of(d.ID)))
	}
	return patch
}

// Unregistered tells that a device took its leave.
func (b *Bridge) Unregistered(device gb28181.ID, at time.Time) {
	b.publishEvent(event{kind: "unregistered", device: device.String(), at: at})
	b.log.Info("unregistered", "device", device)
}

// Presence makes of a change one shadow update, one retained message and one event, and
// takes the device's channels along.
func (b *Bridge) Presence(c fleet.Change) {
	id := c.Device.String()
	b.shadows.ReportMade(thing(c.Device), func() map[string]any { return b.changePatch(c) }, true, func(_ shadowsync.Document, err error) {
		b.missed(c.Device, gb28181.ID{}, err)
		// Told also when the store could not take it: who reads presence goes on from memory.
		b.publishPresence(id, "", b.presenceTold(c))
		b.publishEvent(event{kind: "presence", device: id, at: c.At, fields: map[string]any{
			"presence": c.Presence.String(), "reason": c.Reason, "previous": c.Previous.String(),
		}})
	})
	if d, _ := b.fleet.Device(c.Device); d.Channels > crowdSize {
		b.crowds.add(c.Device)
	} else {
		for _, ch := range b.fleet.Channels(c.Device) {
			b.reportChannelPresence(c.Device, ch)
		}
	}
	b.info.changed()
	level := slog.LevelInfo
	if c.Reason == fleet.ReasonRegistered {
		level = slog.LevelDebug // Registered has said so
	}
	b.log.Log(context.Background(), level, "presence", "device", c.Device, "presence", c.Presence, "reason", c.Reason, "previous", c.Previous)
	b.healing.Changed(c)
}

// changePatch is what a device's shadow says of a change of its presence, and of the
// registration that may have made it.
func (b *Bridge) changePatch(c fleet.Change) map[string]any {
	d, _ := b.fleet.Device(c.Device)
	patch := map[string]any{"presence": c.Presence.String(), "presence_reason": c.Reason}
	maps.Copy(patch, b.registrationPatch(d))
	if c.Previous == fleet.Online {
		patch["breaker"] = guard.Open.String() // as Trip will have it: one update for both
		keepalive := keepaliveOf(d)
		maps.Copy(keepalive, noTrouble()) // what its keepalives said is wrong is no more known than the rest
		patch["keepalive"] = keepalive
	}
	return patch
}

// presenceTold is the presence of a change, or the newest where a newer one was told out of
// turn, because its report could not be taken.
func (b *Bridge) presenceTold(c fleet.Change) fleet.Presence {
	if b.fleet.Debts(c.Device, gb28181.ID{})&fleet.Missed == 0 {
		return c.Presence
	}
	d, _ := b.fleet.Device(c.Device)
	return d.Presence
}

// Save keeps what must survive a restart.
func (b *Bridge) Save(records []fleet.Record) { b.registrations.save(records) }

func (b *Bridge) publishPresence(device, channel string, p fleet.Presence) {
	b.broker.Publish(broker.Message{
		Topic: b.topics.of(device, channel, "presence"), Payload: []byte(p.String()), QoS: 1, Retain: true,
	})
}

func (b *Bridge) publishEvent(e event) {
	b.metrics.events.WithLabelValues(e.kind).Inc()
	if !b.broker.Wanted(b.topics.of(e.device, e.channel, "event/"+e.kind)) {
		return
	}
	m := b.topics.message(e)
	m.Event = len(b.cfg.MQTT.Links) > 0 // a link that is down gets it later; the embedded broker is always there
	b.broker.Publish(m)
}

// breakerChanged shows a breaker in the shadow and as an event.
func (b *Bridge) breakerChanged(device string, state guard.State, reason string, retryAt time.Time) {
	b.shadows.Report(shadowsync.Key{Thing: device}, map[string]any{"breaker": state.String()}, nil)
	fields := map[string]any{"state": state.String(), "reason": reason}
	if !retryAt.IsZero() {
		fields["retry_at"] = retryAt.UnixMilli()
	}
	b.publishEvent(event{kind: "breaker", device: device, at: time.Now(), fields: withoutNil(fields)})
	if state == guard.Open {
		b.linkBad(device)
	}
	b.healing.Breaker(device, state)
}

func seconds(d time.Duration) any {
	if s := d.Seconds(); s != float64(int64(s)) {
		return s
	}
	return int64(d / time.Second)
}

// orNil keeps what is not known out of a document.
func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func withoutNil(fields map[string]any) map[string]any {
	for key, v := range fields {
		if v == nil || v == "" {
			delete(fields, key)
		}
	}
	return fields
}
