package bridge

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
	"github.com/gb2mqtt/gb2mqtt/shadowsync"
)

// applyCatalog brings the channels of a device and their shadows in line with a part of its
// catalogue: a packet of an answer, or a notification.
func (b *Bridge) applyCatalog(device gb28181.ID, items []gb28181.CatalogItem) {
	b.keepNodes(device, b.nodes.Apply(device, items, b.quirks.Of(device).ChannelTypes))
	channels := b.channelsOf(device, items, false)
	if b.speaksOfUnknown(device, channels) && b.refreshes.allow(thing(device), "catalog", time.Now()) {
		b.recovery.Refresh(device)
	}
	applied := b.fleet.ApplyCatalog(device, statusesOf(channels), false)
	changes := make(map[gb28181.ID]*fleet.ChannelChange, len(applied.Changes))
	for i := range applied.Changes {
		changes[applied.Changes[i].Channel.ID] = &applied.Changes[i]
	}
	for i, ch := range channels {
		var fields func() map[string]any
		if !applied.Known[i] {
			fields = func() map[string]any { return mapping.CatalogFields(ch.item) }
		}
		b.reportChannel(device, ch.id, fields, changes[ch.id])
		if ch.item.Event != "" {
			b.catalogEvent(device, ch)
		}
	}
	if counted := b.keepChannels(device, applied.Changes); counted && items[0].Event != "" {
		there, _ := b.fleet.Device(device)
		b.shadows.Report(thing(device), map[string]any{"channels": there.Channels}, nil)
	}
	if applied.Refused > 0 && b.refreshes.allow(thing(device), "refused", time.Now()) {
		b.catalogRefused(device, applied.Refused)
	}
}

// completeCatalog takes a whole answer to our own query as the truth about what is there: what
// it does not list has vanished. What it lists has been applied packet by packet.
func (b *Bridge) completeCatalog(device gb28181.ID, listed []mapping.Listed) {
	items := make([]gb28181.CatalogItem, len(listed))
	places := make(map[string]int, len(listed))
	for i, l := range listed {
		items[i].DeviceID, items[i].Status = l.ID, l.Status
		places[l.ID] = i
	}
	b.keepNodes(device, b.nodes.Retain(device, func(id string) bool { _, is := places[id]; return is }))
	channels := b.channelsOf(device, items, true)
	changes := b.fleet.ApplyCatalog(device, statusesOf(channels), true).Changes
	for i := range changes {
		// A packet that is applied later than this tells the rest; that the device is a channel
		// of its own only the whole tells.
		var fields func() map[string]any
		if place, is := places[device.String()]; is && changes[i].Channel.ID == device && listed[place].Itself != nil {
			own := maps.Clone(listed[place].Itself)
			mapping.OnlyCatalog(own)
			fields = func() map[string]any { return own }
		}
		b.reportChannel(device, changes[i].Channel.ID, fields, &changes[i])
	}
	b.keepChannels(device, changes)
	there, _ := b.fleet.Device(device)
	b.shadows.Report(thing(device), map[string]any{"channels": there.Channels}, nil)
	b.publishEvent(event{kind: "catalog", device: device.String(), at: time.Now(), fields: map[string]any{"channels": there.Channels}})
}

// catalogRefused says that a device has more channels than are taken.
func (b *Bridge) catalogRefused(device gb28181.ID, refused int) {
	there, _ := b.fleet.Device(device)
	b.log.Warn("channels refused", "device", device, "refused", refused, "limits.catalog_items", b.cfg.Fleet.MaxChannels)
	b.publishEvent(event{kind: "catalog", device: device.String(), at: time.Now(), fields: map[string]any{
		"channels": there.Channels, "refused": refused, "refused_reason": fmt.Sprintf("limits.catalog_items is %d", b.cfg.Fleet.MaxChannels),
	}})
}

// statusesOf is what the fleet needs of channels.
func statusesOf(channels []catalogChannel) []fleet.ChannelStatus {
	statuses := make([]fleet.ChannelStatus, len(channels))
	for i, ch := range channels {
		statuses[i] = fleet.ChannelStatus{
			ID: ch.id, Status: ch.item.Status, Online: gb28181.StatusOnline(ch.item.Status), Event: ch.item.Event, Hash: ch.item.Hash(),
		}
	}
	return statuses
}

// catalogChannel is an item of a catalogue that is a channel.
type catalogChannel struct {
	id   gb28181.ID
	item gb28181.CatalogItem
}

// channelsOf picks the channels of device out of items. Only a whole catalogue tells whether
// the device is a channel of its own; a part of one speaks of the one that is known.
func (b *Bridge) channelsOf(device gb28181.ID, items []gb28181.CatalogItem, complete bool) []catalogChannel {
	var channels []catalogChannel
	for _, item := range gb28181.Channels(device.String(), items, b.quirks.Of(device).ChannelTypes...) {
		id, err := gb28181.ParseID(item.DeviceID)
		if err != nil {
			continue // a region or a node of the tree, not a channel [GB28181-2022 Annex J]
		}
		if id == device && !complete {
			if _, known := b.fleet.Channel(device, id); !known {
				continue
			}
		}
		channels = append(channels, catalogChannel{id, item})
	}
	return channels
}

// reportChannel shows in a channel's shadow the fields of its item, if they are news, and what
// changed with it, and tells a change of its presence.
func (b *Bridge) reportChannel(device, id gb28181.ID, fields func() map[string]any, change *fleet.ChannelChange) {
	if fields == nil && change == nil {
		return
	}
	turned := change != nil && change.Previous.Presence != change.Channel.Presence
	patch := func() map[string]any {
		now, there := b.fleet.Channel(device, id)
		if !there {
			return nil // forgotten meanwhile
		}
		patch := channelPatch(now)
		if fields != nil {
			if catalog := fields(); len(catalog) > 0 {
				patch["catalog"] = catalog
			}
		}
		return patch
	}
	b.shadows.ReportMade(channelThing(device, id), patch, false, func(_ shadowsync.Document, err error) {
		if err != nil && fields != nil {
			b.fleet.ItemLost(device, id)
		}
		b.missed(device, id, err)
		if turned {
			b.tellChannelPresence(device, id)
		}
	})
	if !turned || change.Previous.Presence == fleet.Unknown {
		return // its discovery is told by the event catalog, once for all
	}
	b.publishEvent(event{
		kind: "presence", device: device.String(), channel: id.String(), at: time.Now(),
		fields: map[string]any{
			"presence": change.Channel.Presence.String(), "previous": change.Previous.Presence.String(), "reason": change.Channel.Reason,
		},
	})
}

// catalogEvent publishes what a notification did to a channel.
func (b *Bridge) catalogEvent(device gb28181.ID, ch catalogChannel) {
	fields := mapping.CatalogFields(ch.item)
	if fields == nil {
		fields = make(map[string]any, 2)
	}
	fields["event"] = ch.item.Event
	if ch.item.Status != "" && ch.item.Status != ch.item.Event {
		fields["status"] = ch.item.Status
	}
	b.publishEvent(event{kind: "catalog", device: device.String(), channel: ch.id.String(), at: time.Now(), fields: fields})
}

// keepChannels keeps what must be known of channels after a restart where it has changed;
// counted tells that there are more or fewer of them.
func (b *Bridge) keepChannels(device gb28181.ID, changes []fleet.ChannelChange) (counted bool) {
	kept := make([]fleet.Channel, 0, len(changes))
	for _, c := range changes {
		counted = counted || c.Counted()
		if c.Kept() {
			kept = append(kept, c.Channel)
		}
	}
	b.registrations.saveChannels(device, kept)
	return counted
}

// refreshInterval is how often increments that do not add up may have the whole catalogue
// asked for.
const refreshInterval = time.Minute

// speaksOfUnknown tells whether an increment is about a channel that is not known and says
// nothing of what it is: something before it was missed.
func (b *Bridge) speaksOfUnknown(device gb28181.ID, channels []catalogChannel) bool {
	return slices.ContainsFunc(channels, func(ch catalogChannel) bool {
		if ch.item.Event == "" || ch.item.Event == "DEL" || ch.item.Name != "" {
			return false
		}
		_, known := b.fleet.Channel(device, ch.id)
		return !known
	})
}

// reportChannelPresence shows a channel's presence in its shadow and its retained topic.
func (b *Bridge) reportChannelPresence(device gb28181.ID, ch fleet.Channel) {
	b.shadows.Report(channelThing(device, ch.ID), channelPatch(ch), func(_ shadowsync.Document, err error) {
		b.missed(device, ch.ID, err)
		b.tellChannelPresence(device, ch.ID)
	})
}

// tellChannelPresence publishes the presence that a channel has now.
func (b *Bridge) tellChannelPresence(device, id gb28181.ID) {
	if now, there := b.fleet.Channel(device, id); there {
		b.publishPresence(device.String(), id.String(), now.Presence)
	}
}

// forgetVanished removes the shadows and retained topics of channels that have been gone
// from their catalogue for the configured time.
func (b *Bridge) forgetVanished(now time.Time) {
	for device, channels := range b.fleet.Vanished(now.Add(-b.cfg.Vanished)) {
		for _, id := range channels {
			b.fleet.Forget(device, id)
			b.shadows.Delete(channelThing(device, id), func(error) {
				b.clearRetained(b.topics.of(device.String(), id.String(), "presence"))
				b.clearRetained(b.topics.of(device.String(), id.String(), "state"))
			})
		}
		b.registrations.forgetChannels(device, channels)
	}
}
