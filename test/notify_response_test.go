package test

import (
	"testing"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// A NOTIFY whose root is Response is a notification of whatever kind all the same.
func TestEveryKindOfNotificationMayHaveTheRootResponse(t *testing.T) {
	p := start(t, baseConfig())
	d := newCamera(t, p.udp, 1, func(c *camera.Config) { c.Quirks = []camera.Quirk{camera.NotifyResponse} })
	topic := "gb28181/" + d.ID() + "/"
	m := connect(t, p.mqtt, topic+"#")
	register(t, d)
	m.wait(0, "channel", on(topic+channelID(1, 0)+"/presence", "online"))
	for _, kind := range []string{"position", "ptz_position"} {
		m.publish(topic+"cmd/subscribe", map[string]any{"kind": kind, "expires": 600})
	}
	m.wait(0, "position", on(topic+"event/position"))
	m.wait(0, "PTZ position", on(topic+"event/ptz"))
	subscribed(t, d, "Alarm")
	alarmIn(t, m, d)
}
