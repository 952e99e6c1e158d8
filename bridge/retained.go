package bridge

import (
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
	"github.com/gb2mqtt/gb2mqtt/shadowsync"
)

// retained answers for what is retained of devices, channels and things, so that it need not
// live twice: presence is the fleet's, state and the lists of shadows the shadow service's.
type retained struct{ *Bridge }

// The leaves of a device's and of a channel's retained topics.
var retainedLeaves = []string{"presence", "state"}

// Holds tells whether topic is P/D/presence, P/D/state, a channel's, or a list of shadows.
func (r retained) Holds(topic string) bool {
	if _, _, _, ours := r.topics.parseRetained(topic); ours {
		return true
	}
	_, _, list := shadowsync.ParseNamesTopic(r.cfg.Shadow.Prefix, topic)
	return list
}

// Topics lists the topics of some devices, then those of some things, or of the one that
// filter names.
func (r retained) Topics(filter, place string) (topics []string, next string) {
	device, devices := levelBelow(r.topics.prefix, filter, "")
	thing, lists := levelBelow(r.cfg.Shadow.Prefix, filter, "shadow/"+string(shadowsync.OpNames))
	switch {
	case !devices && !lists:
		return nil, ""
	case !devices && place == "":
		place = thingsBegin
	}
	one := func(level string) bool { return level != "+" && level != "#" }
	if !strings.HasPrefix(place, thingsBegin) {
		if one(device) {
			if id, err := gb28181.ParseID(device); err == nil {
				topics = r.topicsOf(nil, id)
			}
		} else if topics, next = r.list(place); !strings.HasPrefix(next, thingsBegin) {
			return topics, next
		}
		if next = thingsBegin; !lists {
			next = ""
		}
		return topics, next
	}
	if one(thing) {
		return r.listsOf(nil, thing), ""
	}
	return r.list(place)
}

// thingsBegin is the place where the devices end and the things with lists begin; what
// follows is the shadow service's.
const thingsBegin = "t"

// list lists all that is retained, from a place on: "" is the beginning, and the end.
func (r retained) list(place string) (topics []string, next string) {
	if after, things := strings.CutPrefix(place, thingsBegin); things {
		return r.lists(after)
	}
	at, _ := strconv.ParseUint(place, 10, 64)
	ids, further := r.fleet.List(at)
	for _, id := range ids {
		topics = r.topicsOf(topics, id)
	}
	if further == 0 {
		return topics, thingsBegin
	}
	return topics, strconv.FormatUint(further, 10)
}

// lists lists the topics of the lists of shadows.
func (r retained) lists(after string) (topics []string, next string) {
	things, further, err := r.shadows.ThingsWithNames(after)
	if err != nil {
		r.log.Error("lists of shadows not told", "err", err)
		return nil, ""
	}
	for _, thing := range things {
		topics = r.listsOf(topics, thing)
	}
	if further == "" {
		return topics, ""
	}
	return topics, thingsBegin + further
}

// listsOf adds the topics of the pages of one thing's list.
func (r retained) listsOf(topics []string, thing string) []string {
	for n := range shadowsync.NamesPages(r.shadows.Names(thing)) {
		topics = append(topics, shadowsync.NamesTopic(r.cfg.Shadow.Prefix, thing, n+1))
	}
	return topics
}

func (r retained) topicsOf(topics []string, device gb28181.ID) []string {
	if _, known := r.fleet.Device(device); !known {
		return topics
	}
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
	if thing, n, list := shadowsync.ParseNamesTopic(r.cfg.Shadow.Prefix, topic); list {
		return shadowsync.NamesPage(r.shadows.Names(thing), n, time.Now())
	}
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

// levelBelow is the level of a filter below prefix: a name, "+", or "#" where the filter ends
// above it. ours is false where the filter can match nothing there, and, where rest is given,
// nothing that goes on with rest.
func levelBelow(prefix, filter, rest string) (level string, ours bool) {
	if strings.HasPrefix(prefix, "$") && !strings.HasPrefix(filter, "$") { // [MQTT5 4.7.2]
		return "", false
	}
	for want := range strings.SplitSeq(prefix, "/") {
		level, behind, more := strings.Cut(filter, "/")
		switch {
		case level == "#":
			return level, true
		case level != "+" && level != want || !more:
			return "", false
		}
		filter = behind
	}
	level, filter, _ = strings.Cut(filter, "/")
	if level == "#" || rest == "" {
		return level, true
	}
	for want := range strings.SplitSeq(rest, "/") {
		next, behind, _ := strings.Cut(filter, "/")
		switch next {
		case "#":
			return level, true
		case "+", want:
		default:
			return "", false
		}
		filter = behind
	}
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
