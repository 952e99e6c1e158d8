package test

import (
	"testing"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// What is desired of a channel's head and home, and of a device's configuration, is made so,
// read back where the standard can, and reported as it was desired.
func TestDesiredPositionsAndConfigurationCloseTheirDelta(t *testing.T) {
	p := start(t, baseConfig())
	d := newCamera(t, p.udp, 1, nil)
	channel := channelID(1, 0)
	m := connect(t, p.mqtt, "gb28181/"+d.ID()+"/#")
	register(t, d)
	m.wait(0, "channel", on("gb28181/"+d.ID()+"/"+channel+"/presence", "online"))

	m.publish(shadowTopic(d.ID(), channel)+"/update", map[string]any{"state": map[string]any{"desired": map[string]any{
		"ptz":           map[string]any{"pan": 120.5, "tilt": 15, "zoom": 4},
		"home_position": map[string]any{"enabled": true, "reset_time": 60, "preset_index": 3}}}})
	m.reported(d.ID(), channel, "where it looks and its home", func(r map[string]any) bool {
		return at(r, "ptz.pan") == 120.5 && at(r, "ptz.tilt") == 15.0 && at(r, "ptz.zoom") == 4.0 &&
			at(r, "home_position.enabled") == true && at(r, "home_position.reset_time") == 60.0 && at(r, "home_position.preset_index") == 3.0
	})
	if n := count(d, func(r *camera.Request) bool { return r.Element("PTZPreciseCtrl", "Pan") != "" }); n != 1 {
		t.Errorf("the three axes went out %d times, want once and together", n)
	}
	if got := d.Channel(channel); got.Pan != 120.5 || got.Tilt != 15 || got.Zoom != 4 || !got.Home.Enabled {
		t.Errorf("the camera is at %+v", got)
	}

	m.publish(shadowTopic(d.ID(), "")+"/update", map[string]any{"state": map[string]any{"desired": map[string]any{
		"config": map[string]any{"basic": map[string]any{"name": "north gate", "heart_beat_count": 5}}}}})
	m.reported(d.ID(), "", "the configuration and what follows from it", func(r map[string]any) bool {
		return at(r, "config.basic.name") == "north gate" && at(r, "config.basic.heart_beat_count") == 5.0 && at(r, "keepalive.misses") == 5.0
	})
	if n := count(d, func(r *camera.Request) bool { return r.CmdType == "ConfigDownload" }); n == 0 {
		t.Error("the configuration was not read back")
	}
	for _, name := range []string{"", channel} {
		if doc := m.shadow(d.ID(), name); at(doc, "state.delta") != nil {
			t.Errorf("shadow %q has a delta left: %v", name, at(doc, "state.delta"))
		}
	}

	mark := m.mark()
	for name, want := range map[string]map[string]any{
		"ptz_status":        {"result.pan": 120.5, "result.tilt": 15.0, "result.zoom": 4.0},
		"home_position_get": {"result.home_position.preset_index": 3.0, "result.home_position.enabled": true},
	} {
		topic := "gb28181/" + d.ID() + "/" + channel + "/cmd/" + name
		m.publish(topic, map[string]any{})
		answer := m.wait(mark, name, on(topic+"/accepted")).json(t)
		for path, v := range want {
			if got := at(answer, path); got != v {
				t.Errorf("%s: %s is %v, want %v", name, path, got, v)
			}
		}
	}
}
