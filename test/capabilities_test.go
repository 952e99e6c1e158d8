package test

import (
	"testing"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// What commands have shown that a device can or can't do stands in its shadow.
func TestCapabilitiesAreShownOnceCommandsHaveToldThem(t *testing.T) {
	p := start(t, baseConfig())
	d := newCamera(t, p.udp, 1, func(c *camera.Config) {
		c.OnRequest = func(r *camera.Request) bool {
			if r.CmdType != "SDCardStatus" {
				return false
			}
			r.Answer(501)
			return true
		}
	})
	topic := "gb28181/" + d.ID() + "/"
	m := connect(t, p.mqtt, topic+"#")
	register(t, d)
	m.wait(0, "channel", on(topic+channelID(1, 0)+"/presence", "online"))
	m.publish(topic+channelID(1, 0)+"/cmd/presets", map[string]any{})
	m.publish(topic+"cmd/sd_status", map[string]any{})
	m.publish(topic+"cmd/config_get", map[string]any{"types": []string{"basic"}})
	m.publish(topic+"cmd/iframe", map[string]any{"clientToken": "i"})
	m.reported(d.ID(), "", "capabilities", func(r map[string]any) bool {
		return at(r, "capabilities.presets") == true && at(r, "capabilities.sd_status") == false && at(r, "capabilities.config.basic") == true
	})
	m.wait(0, "the IFrame", token(topic+"cmd/iframe/accepted", "i"))
	if can := at(m.shadow(d.ID(), ""), "state.reported.capabilities.iframe"); can != nil {
		t.Errorf("a command that was sent, and may not be done, shows %v", can)
	}
}
