package bridge

import (
	"testing"

	"github.com/gb2mqtt/gb2mqtt/broker"
)

const (
	testDevice  = "34020000001320000001"
	testChannel = "34020000001310000001"
)

func TestWhoMayPublishOnATopic(t *testing.T) {
	tp := topics{prefix: "gb28181"}
	for topic, want := range map[string]broker.Class{
		"gb28181/bridge/state":                                                       broker.Owned,
		"gb28181/bridge/anything":                                                    broker.Owned,
		"gb28181/" + testDevice + "/presence":                                        broker.Owned,
		"gb28181/" + testDevice + "/state":                                           broker.Owned,
		"gb28181/" + testDevice + "/event/alarm":                                     broker.Owned,
		"gb28181/" + testDevice + "/" + testChannel + "/presence":                    broker.Owned,
		"gb28181/" + testDevice + "/" + testChannel + "/event/alarm":                 broker.Owned,
		"gb28181/" + testDevice + "/cmd/ptz":                                         broker.Request,
		"gb28181/" + testDevice + "/" + testChannel + "/cmd/ptz":                     broker.Request,
		"gb28181/" + testDevice + "/cmd/ptz/accepted":                                broker.Owned,
		"gb28181/" + testDevice + "/" + testChannel + "/cmd/ptz/rejected":            broker.Owned,
		"gb28181/" + testDevice + "/notes":                                           broker.Open,
		"gb28181/notes":                                                              broker.Open,
		"home/kitchen":                                                               broker.Open,
		"gb28181x/" + testDevice + "/presence":                                       broker.Open,
		"gb28181/" + testDevice:                                                      broker.Open,
		"gb28181/" + testDevice + "/" + testChannel + "/" + testChannel + "/cmd/ptz": broker.Open,
	} {
		if got := tp.classify(topic); got != want {
			t.Errorf("classify(%s) = %v, want %v", topic, got, want)
		}
	}
}

func TestCommandTopicIsReadFromTheLeft(t *testing.T) {
	tp := topics{prefix: "site/gb28181"}
	for topic, want := range map[string]string{
		"site/gb28181/" + testDevice + "/cmd/cmd":                           testDevice + "  cmd",
		"site/gb28181/" + testDevice + "/" + testChannel + "/cmd/ptz":       testDevice + " " + testChannel + " ptz",
		"site/gb28181/" + testDevice + "/cmd/":                              "",
		"site/gb28181/" + testDevice + "/cmd/ptz/accepted":                  "",
		"site/gb28181/1234/cmd/ptz":                                         "",
		"site/gb28181/" + testDevice + "/12/cmd/ptz":                        "",
		"gb28181/" + testDevice + "/cmd/ptz":                                "",
		"site/gb28181/" + testDevice + "/" + testChannel + "/event/cmd/ptz": "",
	} {
		got := ""
		if c, ok := tp.parseCommand(topic); ok {
			got = c.device.String() + " " + c.channel.String() + " " + c.name
		}
		if got != want {
			t.Errorf("parseCommand(%s) = %q, want %q", topic, got, want)
		}
	}
}

func TestRetainedTopicsOfDevicesAndChannelsAreKnown(t *testing.T) {
	tp := topics{prefix: "site/gb28181"}
	for topic, want := range map[string]string{
		"site/gb28181/" + testDevice + "/presence":                                      testDevice + "  presence",
		"site/gb28181/" + testDevice + "/state":                                         testDevice + "  state",
		"site/gb28181/" + testDevice + "/" + testChannel + "/state":                     testDevice + " " + testChannel + " state",
		"site/gb28181/" + testDevice + "/" + testDevice + "/presence":                   testDevice + " " + testDevice + " presence",
		"site/gb28181/" + testDevice + "/event/presence":                                "",
		"site/gb28181/" + testDevice + "/notes":                                         "",
		"site/gb28181/" + testDevice:                                                    "",
		"site/gb28181/" + testDevice + "/" + testChannel + "/" + testChannel + "/state": "",
		"site/gb28181/bridge/state":                                                     "",
		"gb28181/" + testDevice + "/state":                                              "",
	} {
		got := ""
		if device, channel, leaf, ours := tp.parseRetained(topic); ours {
			got = device.String() + " " + channel.String() + " " + leaf
		}
		if got != want {
			t.Errorf("parseRetained(%s) = %q, want %q", topic, got, want)
		}
	}
}

func TestFilterNamesItsDevices(t *testing.T) {
	for filter, want := range map[string]string{
		"#": "#", "site/#": "#", "site/gb28181/#": "#", "+/+/+/state": "+", "site/gb28181/+/+/presence": "+",
		"site/gb28181/" + testDevice + "/#": testDevice, "site/gb28181/bridge/state": "bridge",
		"site/gb28181": "", "site": "", "other/#": "", "$aws/things/+/shadow/get": "", "+/other/#": "",
	} {
		if level, ours := levelBelow("site/gb28181", filter, ""); level != want || ours != (want != "") {
			t.Errorf("levelBelow(%s) = %q, %v, want %q", filter, level, ours, want)
		}
	}
}

func TestFilterNamesTheThingsWhoseListsItTells(t *testing.T) {
	for filter, want := range map[string]string{
		"$aws/#": "#", "$aws/things/#": "#", "$aws/things/+/shadow/names": "+", "$aws/things/t1/shadow/#": "t1",
		"$aws/things/t1/shadow/names/+": "t1", "$aws/things/t1/+/+": "t1", "$aws/things/t1/#": "t1",
		"#": "", "+/things/#": "", "$aws/things/+/shadow/get/+": "", "$aws/things/+/shadow/name/+/update/documents": "",
		"$aws/things/t1/shadow": "", "$aws/things/t1": "", "$aws/things": "", "$SYS/#": "",
	} {
		if level, ours := levelBelow("$aws/things", filter, "shadow/names"); ours != (want != "") || ours && level != want {
			t.Errorf("levelBelow(%s) = %q, %v, want %q", filter, level, ours, want)
		}
	}
}
