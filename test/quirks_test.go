package test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// What can't be detected of a device is told by its configuration: of a model once the device has
// said what it is, over a restart too; of a device at once, before what its model has.
func TestQuirksOfAModelAndOfADeviceCount(t *testing.T) {
	c := baseConfig().with("devices.quirks", map[string]any{
		"acme/x1": map[string]any{
			"subscribe": map[string]any{"alarm": "0s"}, "poll_catalog": true, "iframe": "IFrameCmd",
			"ptz_speed": map[string]any{"pan": 63}, "keepalive": map[string]any{"interval": "20s"},
			"clock": map[string]any{"zone": "+00:00"},
		},
		deviceID(1): map[string]any{"iframe": "IFameCmd", "on_register": []string{"device_info"}, "clock": map[string]any{"no_date": true}},
	})
	folder := t.TempDir()
	p := startIn(t, folder, c)
	own, other := newCamera(t, p.udp, 1, nil), newCamera(t, p.udp, 2, nil)
	stranger := newCamera(t, p.udp, 3, func(c *camera.Config) { c.Model = "X2" })
	for _, d := range []*camera.Device{own, other, stranger} {
		register(t, d)
	}
	if date := own.State().Date; date != "" {
		t.Errorf("a device that Date upsets got %q", date)
	}
	checkQuirks(t, p, own, other, stranger)
	if count(own, func(r *camera.Request) bool { return r.Method == "MESSAGE" && r.CmdType == "Catalog" }) != 0 {
		t.Error("a device of which nothing but its info is to be asked was asked for its catalog")
	}

	m := connect(t, p.mqtt, "gb28181/+/cmd/#")
	m.publish("gb28181/"+own.ID()+"/cmd/diagnose", map[string]any{"clientToken": "d"})
	told := m.wait(0, "the diagnosis", token("gb28181/"+own.ID()+"/cmd/diagnose/accepted", "d")).json(t)
	if got := fmt.Sprint(at(told, "result.quirks")); got != "[clock.zone clock.no_date keepalive.interval on_register subscribe.alarm poll_catalog iframe ptz_speed.pan]" {
		t.Errorf("its quirks are %s", got)
	}

	p.stop()
	p = startIn(t, folder, c)
	m = connect(t, p.mqtt)
	if r := at(m.shadow(other.ID(), ""), "state.reported.keepalive.interval_s"); r != 20.0 {
		t.Errorf("after a restart the keepalive is %v, want that of the model's quirks", r)
	}
}

func checkQuirks(t *testing.T, p *program, own, other, stranger *camera.Device) {
	t.Helper()
	m := connect(t, p.mqtt, "gb28181/#")
	m.reported(other.ID(), "", "its model's quirks", func(r map[string]any) bool {
		return at(r, "subscriptions.alarm") == 0.0 && at(r, "subscription_state.alarm") == "off" &&
			at(r, "subscription_state.catalog") == "refused" && at(r, "keepalive.interval_s") == 20.0
	})
	m.reported(stranger.ID(), "", "no quirks", func(r map[string]any) bool {
		return at(r, "subscription_state.alarm") == "active" && at(r, "subscription_state.catalog") == "active" && at(r, "keepalive.interval_s") == 60.0
	})
	m.reported(own.ID(), "", "its model's quirks", func(r map[string]any) bool { return at(r, "keepalive.interval_s") == 20.0 })
	for d, spelling := range map[*camera.Device]string{own: "IFameCmd", other: "IFrameCmd", stranger: "IFameCmd"} {
		m.publish("gb28181/"+d.ID()+"/cmd/iframe", map[string]any{})
		obeyed(t, d, spelling, control(spelling, "Send"))
	}
	m.publish("gb28181/"+other.ID()+"/cmd/ptz", map[string]any{"pan": 255})
	obeyed(t, other, "a movement at the speed that it takes for its fastest", control("PTZCmd", "A50F01013F0000F5"))

	for d, want := range map[*camera.Device]int{other: 8, stranger: 0} {
		mark := m.mark()
		if code, err := d.SendXML(within(t, 5*time.Second), fmt.Sprintf("<Notify><CmdType>Alarm</CmdType><SN>%d</SN><DeviceID>%s</DeviceID>"+
			"<AlarmPriority>1</AlarmPriority><AlarmMethod>2</AlarmMethod><AlarmTime>2026-09-23T08:00:00</AlarmTime></Notify>", d.NextSN(), d.ID())); err != nil || code != 200 {
			t.Fatalf("alarm got %d, %v", code, err)
		}
		alarm := m.wait(mark, "alarm", on("gb28181/"+d.ID()+"/event/alarm")).json(t)
		if got := alarm["alarm_time"]; got != float64(time.Date(2026, 9, 23, want, 0, 0, 0, time.UTC).UnixMilli()) {
			t.Errorf("%s: 8:00 of its clock is %v, want %d:00 UTC", d.ID(), got, want)
		}
	}
}
