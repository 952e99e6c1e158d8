package test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

func TestFactsThatComeTogetherAreFewVersionsAndNoneWhenNothingChanged(t *testing.T) {
	const channels = 1000
	p := start(t, baseConfig().with("devices.subscribe.catalog", "0s").with("devices.subscribe.alarm", "0s"))
	d := newCamera(t, p.udp, 1, func(c *camera.Config) {
		c.Channels, c.CatalogPerPacket = nil, 10
		for i := range channels {
			c.Channels = append(c.Channels, camera.Channel{ID: channelID(1, i), Name: fmt.Sprint("channel ", i), PTZType: 1})
		}
	})
	m := connect(t, p.mqtt, "gb28181/"+d.ID()+"/event/+")
	versions := func() map[string]float64 {
		seen := map[string]float64{}
		for _, name := range []string{"", channelID(1, 0), channelID(1, 500), channelID(1, channels-1)} {
			seen[name], _ = m.shadow(d.ID(), name)["version"].(float64)
		}
		return seen
	}
	register(t, d)
	m.wait(0, "the whole catalogue", on("gb28181/"+d.ID()+"/event/catalog"))
	m.reported(d.ID(), "", "info and channels", func(r map[string]any) bool {
		return at(r, "info.model") == "X1" && r["channels"] == float64(channels)
	})
	m.reported(d.ID(), channelID(1, channels-1), "its last channel", func(r map[string]any) bool { return r["presence"] == "online" })
	answers := connect(t, p.mqtt, "gb28181/"+d.ID()+"/cmd/+/+")
	again := func() {
		t.Helper()
		for _, query := range []string{"device_info", "catalog"} {
			mark := answers.mark()
			answers.publish("gb28181/"+d.ID()+"/cmd/"+query, map[string]any{"clientToken": query, "timeout_ms": 30000})
			answers.waitFor(mark, 30*time.Second, query+" again", token("gb28181/"+d.ID()+"/cmd/"+query+"/accepted", query))
		}
	}
	again() // what it can do, and how its link is, is known then
	m.reported(d.ID(), "", "link and capabilities", func(r map[string]any) bool { return r["link"] != nil && r["capabilities"] != nil })
	first, link := versions(), at(m.shadow(d.ID(), ""), "state.reported.link")
	if n := first[""]; n < 1 || n > 12 {
		t.Errorf("registration, DeviceInfo and catalogue made %v versions of the device's shadow, want at most 12", n)
	}
	for name, n := range first {
		if name != "" && n > 2 {
			t.Errorf("the catalogue made %v versions of the shadow of channel %s, want at most 2", n, name)
		}
	}

	again()
	for range 20 {
		if code := keepalive(t, d); code != 200 {
			t.Fatalf("keepalive got %d", code)
		}
	}
	same := reflect.DeepEqual(link, at(m.shadow(d.ID(), ""), "state.reported.link")) // on a busy machine it varies
	for name, n := range versions() {
		if n != first[name] && (name != "" || same) {
			t.Errorf("the shadow %q went from version %v to %v, but nothing has changed", name, first[name], n)
		}
	}
}
