package bridge

import (
	"slices"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
	"github.com/gb2mqtt/gb2mqtt/shadowsync"
)

// applyCatalog brings the channels of a device and their shadows in line with items.
// complete tells that items are the whole catalogue: what it does not list has vanished.
func (b *Bridge) applyCatalog(device gb28181.ID, items []gb28181.CatalogItem, complete bool) {
	channels := gb28181.Channels(device.String(), items, b.quirks.Of(device).ChannelTypes...)
	statuses := make([]fleet.ChannelStatus, 0, len(channels))
	for _, item := range channels {
		id, err := gb28181.ParseID(item.DeviceID)
		if err != nil {
			continue // a region or a node of the tree, not a channel [GB28181-2022 Annex J]
		}
		statuses = append(statuses, fleet.ChannelStatus{
			ID: id, Status: item.Status, Online: gb28181.StatusOnline(item.Status), Event: item.Event,
		})
	}
	if !complete && b.speaksOfUnknown(device, channels) && b.refreshes.allow(thing(device), "catalog", time.Now()) {
		b.recovery.Returned(device)
	}
	changes := b.fleet.ApplyCatalog(device, statuses, complete)
	for _, item := range channels {
		id, err := gb28181.ParseID(item.DeviceID)
		if err != nil {
			continue
		}
		patch := map[string]any{}
		if fields := mapping.CatalogFields(item); len(fields) > 0 {
			patch["catalog"] = fields
		}
		if ch, there := b.fleet.Channel(device, id); there {
			patch["status"], patch["presence"] = orNil(ch.Status), ch.Presence.String()
			b.shadows.Report(channelThing(device, id), patch, nil)
		}
	}
	changed := make([]fleet.Channel, 0, len(changes))
	for _, change := range changes {
		changed = append(changed, change.Channel)
		if change.Previous == change.Channel.Presence {
			b.shadows.Report(channelThing(device, change.Channel.ID), map[string]any{"presence_reason": orNil(change.Channel.Reason)}, nil)
			continue
		}
		b.reportChannelPresence(device, change.Channel)
		if change.Previous == fleet.Unknown {
			continue // its discovery is told by the event catalog, once for all
		}
		b.publishEvent(event{
			kind: "presence", device: device.String(), channel: change.Channel.ID.String(), at: time.Now(),
			fields: map[string]any{
				"presence": change.Channel.Presence.String(), "previous": change.Previous.String(), "reason": change.Channel.Reason,
			},
		})
	}
	if complete {
		changed = b.fleet.Channels(device) // status words may have changed without their presence
	}
	b.registrations.saveChannels(device, changed)
	if complete {
		known, _ := b.fleet.Device(device)
		there := known.Channels
		b.shadows.Report(thing(device), map[string]any{"channels": there}, nil)
		b.publishEvent(event{kind: "catalog", device: device.String(), at: time.Now(), fields: map[string]any{"channels": there}})
	}
}

// refreshInterval is how often increments that do not add up may have the whole catalogue
// asked for.
const refreshInterval = time.Minute

// speaksOfUnknown tells whether an increment is about a channel that is not known and says
// nothing of what it is: something before it was missed.
func (b *Bridge) speaksOfUnknown(device gb28181.ID, items []gb28181.CatalogItem) bool {
	return slices.ContainsFunc(items, func(item gb28181.CatalogItem) bool {
		id, err := gb28181.ParseID(item.DeviceID)
		if err != nil || item.Event == "" || item.Event == "DEL" || item.Name != "" {
			return false
		}
		_, known := b.fleet.Channel(device, id)
		return !known
	})
}

// reportChannelPresence shows a channel's presence in its shadow and its retained topic.
func (b *Bridge) reportChannelPresence(device gb28181.ID, ch fleet.Channel) {
	b.shadows.Report(channelThing(device, ch.ID), channelPatch(ch), func(shadowsync.Document, error) {
		if now, there := b.fleet.Channel(device, ch.ID); there {
			b.publishPresence(device.String(), ch.ID.String(), now.Presence)
		}
	})
}

// forgetVanished removes the shadows and retained topics of channels that have been gone
// from their catalogue for the configured time.
func (b *Bridge) forgetVanished(now time.Time) {
	b.fleet.Each(func(d fleet.Device) {
		for _, ch := range b.fleet.Channels(d.ID) {
			if ch.VanishedAt.IsZero() || now.Sub(ch.VanishedAt) < b.cfg.Vanished {
				continue
			}
			b.fleet.Forget(d.ID, ch.ID)
			b.registrations.forgetChannel(d.ID, ch.ID)
			device, channel := d.ID.String(), ch.ID.String()
			b.shadows.Delete(channelThing(d.ID, ch.ID), func(error) {
				b.clearRetained(b.topics.of(device, channel, "presence"))
				b.clearRetained(b.topics.of(device, channel, "state"))
			})
		}
	})
}
