package bridge

import (
	"maps"
	"strings"

	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
	"github.com/gb2mqtt/gb2mqtt/shadowsync"
)

// retained answers for what is retained of devices and channels, so that it need not live
// twice: presence is the fleet's, state the shadow service's.
type retained struct{ *Bridge }

// The leaves of a device's and of a channel's retained topics.
var retainedLeaves = []string{"presence", "state"}

// Holds tells whether topic is P/D/presence, P/D/state or a channel's.
func (r retained) Holds(topic string) bool {
	_, _, _, ours := r.topics.parseRetained(topic)
	return ours
}

// Topics lists the topics of some devices, or of the one that filter names.
func (r retained) Topics(filter string, place uint64) (topics []string, next uint64) {
	level, ours := r.topics.deviceLevel(filter)
	if !ours {
		return nil, 0
	}
	ids := make([]gb28181.ID, 1)
	if level == "+" || level == "#" {
		ids, next = r.fleet.List(place)
	} else if id, err := gb28181.ParseID(level); err == nil {
		ids[0] = id
	}
	for _, id := range ids {
		if _, known := r.fleet.Device(id); known {
			topics = r.topicsOf(topics, id)
		}
	}
	return topics, next
}

func (r retained) topicsOf(topics []string, device gb28181.ID) []string {
	add := func(channel string) {
		for _, leaf := range retainedLeaves {
			topics = append(topics, r.topics.of(device.String(), channel, leaf))
		}
	}
	add("")
	for _, ch := range r.fleet.Channels(device) {
		add(ch.ID.String())
	}
	return topics
}

// Retained is what is retained under topic now. State is read from the store where it is not
// in memory.
func (r retained) Retained(topic string) []byte {
	device, channel, leaf, _ := r.topics.parseRetained(topic)
	d, known := r.fleet.Device(device)
	presence, k := d.Presence, thing(device)
	if !channel.IsZero() {
		var ch fleet.Channel
		ch, known = r.fleet.Channel(device, channel)
		presence, k = ch.Presence, channelThing(device, channel)
	}
	switch {
	case !known:
		return nil
	case leaf == "presence":
		return []byte(presence.String())
	}
	doc, err := r.shadows.Glance(k)
	if err != nil {
		return nil // there is none, or none that can be read: the shadow service has said so
	}
	return statePayload(doc)
}

// deviceLevel is the level of a filter below the prefix: an ID, "+", or "#" where the filter
// ends above it. ours is false where nothing of ours can match.
func (t topics) deviceLevel(filter string) (level string, ours bool) {
	for prefix := range strings.SplitSeq(t.prefix, "/") {
		level, rest, more := strings.Cut(filter, "/")
		switch {
		case level == "#":
			return level, true
		case level != "+" && level != prefix || !more:
			return "", false
		}
		filter = rest
	}
	level, _, _ = strings.Cut(filter, "/")
	return level, true
}

// parseRetained reads P/D[/C]/presence and P/D[/C]/state.
func (t topics) parseRetained(topic string) (device, channel gb28181.ID, leaf string, ours bool) {
	rest, below := strings.CutPrefix(topic, t.prefix+"/")
	if !below || len(rest) < gb28181.IDLength+1 || rest[gb28181.IDLength] != '/' {
		return
	}
	device, err := gb28181.ParseID(rest[:gb28181.IDLength])
	leaf = rest[gb28181.IDLength+1:]
	if name, last, named := strings.Cut(leaf, "/"); named && err == nil {
		leaf = last
		channel, err = gb28181.ParseID(name)
	}
	return device, channel, leaf, err == nil && (leaf == "presence" || leaf == "state")
}

// statePayload is the retained state of a document: what is reported, with version and time.
func statePayload(doc shadowsync.Document) []byte {
	state := make(map[string]any, len(doc.State.Reported)+2)
	maps.Copy(state, doc.State.Reported)
	state["ts"], state["version"] = doc.ReportedAt, doc.Version
	return mustJSON(state)
}
