package bridge

import (
	"strings"

	"github.com/gb2mqtt/gb2mqtt/broker"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// topics builds and reads the topics below one prefix. Their tree is what users rely on:
//
//	P/bridge/state                      P/bridge/info
//	P/D/presence  P/D/C/presence        P/D/state  P/D/C/state
//	P/D/event/TYPE  P/D/C/event/TYPE
//	P/D/cmd/NAME[/accepted|/rejected]   P/D/C/cmd/NAME[/accepted|/rejected]
type topics struct{ prefix string }

func (t topics) bridge(leaf string) string { return t.prefix + "/bridge/" + leaf }

// of returns the topic of a device's leaf or, when channel is not empty, of its channel's.
func (t topics) of(device, channel, leaf string) string {
	if channel == "" {
		return t.prefix + "/" + device + "/" + leaf
	}
	return t.prefix + "/" + device + "/" + channel + "/" + leaf
}

// commandTopic is a command's topic, taken apart.
type commandTopic struct {
	device, channel gb28181.ID // channel is zero on a device's own topic
	name            string
}

// answer returns the topic of a command's accepted or rejected.
func (t topics) answer(c commandTopic, kind string) string {
	return t.of(c.device.String(), c.channel.String(), "cmd/"+c.name+"/"+kind)
}

// parseCommand reads P/D/cmd/NAME or P/D/C/cmd/NAME.
func (t topics) parseCommand(topic string) (commandTopic, bool) {
	rest, ok := strings.CutPrefix(topic, t.prefix+"/")
	if !ok {
		return commandTopic{}, false
	}
	parts := strings.Split(rest, "/")
	var c commandTopic
	var err error
	switch {
	case len(parts) == 3 && parts[1] == "cmd":
		c.name = parts[2]
	case len(parts) == 4 && parts[2] == "cmd":
		c.name = parts[3]
		if c.channel, err = gb28181.ParseID(parts[1]); err != nil {
			return commandTopic{}, false
		}
	default:
		return commandTopic{}, false
	}
	if c.device, err = gb28181.ParseID(parts[0]); err != nil || c.name == "" {
		return commandTopic{}, false
	}
	return c, true
}

// commandFilters are the filters under which commands arrive.
func (t topics) commandFilters() []string {
	return []string{t.prefix + "/+/cmd/+", t.prefix + "/+/+/cmd/+"}
}

// classify tells who may publish what below the prefix: commands are anybody's to ask,
// all else of ours is the bridge's alone, the rest is the clients' own.
func (t topics) classify(topic string) broker.Class {
	rest, ok := strings.CutPrefix(topic, t.prefix+"/")
	if !ok {
		return broker.Open
	}
	parts := strings.Split(rest, "/")
	if parts[0] == "bridge" {
		return broker.Owned
	}
	if _, err := gb28181.ParseID(parts[0]); err != nil {
		return broker.Open
	}
	parts = parts[1:]
	if len(parts) > 1 {
		if _, err := gb28181.ParseID(parts[0]); err == nil {
			parts = parts[1:]
		}
	}
	switch {
	case len(parts) == 0:
		return broker.Open
	case parts[0] == "cmd" && len(parts) == 2:
		return broker.Request
	case parts[0] == "cmd", parts[0] == "presence", parts[0] == "state", parts[0] == "event":
		return broker.Owned
	}
	return broker.Open
}
