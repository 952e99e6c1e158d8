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
