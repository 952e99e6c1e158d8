package test

import (
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

func TestDesiredStateIsMadeSoAtOnce(t *testing.T) {
	p := start(t, baseConfig())
	d := newCamera(t, p.udp, 1, nil)
	channel := channelID(1, 0)
	m := connect(t, p.mqtt, "$aws/things/"+d.ID()+"/#", "gb28181/#")
	register(t, d)
	m.wait(0, "channel", on("gb28181/"+d.ID()+"/"+channel+"/presence", "online"))

	m.publish(shadowTopic(d.ID(), "")+"/update", map[string]any{"state": map[string]any{"desired": map[string]any{"guard": "on"}}})
	obeyed(t, d, "SetGuard", control("GuardCmd", "SetGuard"))
	m.wait(0, "the delta", on(shadowTopic(d.ID(), "")+"/update/delta"))
	m.reported(d.ID(), "", "guard on", func(r map[string]any) bool { return r["guard"] == "on" })
	if doc := m.shadow(d.ID(), ""); at(doc, "state.delta") != nil {
		t.Errorf("a delta is left: %v", at(doc, "state.delta"))
	}

	m.publish(shadowTopic(d.ID(), channel)+"/update", map[string]any{"state": map[string]any{"desired": map[string]any{
		"recording": true, "ptz": map[string]any{"preset": 5}}}})
	obeyed(t, d, "Record", control("RecordCmd", "Record"))
	r := obeyed(t, d, "preset 5", control("PTZCmd", "A50F01820005003C"))
	if r.DeviceID != channel {
		t.Errorf("the preset was called on %s, want %s", r.DeviceID, channel)
	}
	m.reported(d.ID(), channel, "recording and preset", func(r map[string]any) bool {
		return r["recording"] == true && at(r, "ptz.preset") == 5.0
	})
}

func TestDesiredStateWaitsForItsDeviceOverARestartAndGoesOutOnce(t *testing.T) {
	c, folder := baseConfig(), t.TempDir()
	p := startIn(t, folder, c)
	channel := channelID(1, 0)
	d := newCamera(t, p.udp, 1, nil)
	m := connect(t, p.mqtt, "gb28181/#")
	register(t, d)
	m.wait(0, "channel", on("gb28181/"+d.ID()+"/"+channel+"/presence", "online"))
	if err := d.Unregister(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	d.Close()
	for _, v := range []bool{true, false, true} {
		m.publish(shadowTopic(d.ID(), channel)+"/update", map[string]any{"state": map[string]any{"desired": map[string]any{"recording": v}}})
	}
	if took, code := p.stop(); code != 0 {
		t.Fatalf("stopped with %d after %v", code, took)
	}

	p = startIn(t, folder, c)
	d = newCamera(t, p.udp, 1, nil)
	m = connect(t, p.mqtt, "gb28181/#")
	register(t, d)
	obeyed(t, d, "Record", control("RecordCmd", "Record"))
	m.reported(d.ID(), channel, "recording", func(r map[string]any) bool { return r["recording"] == true })
	if n := count(d, func(r *camera.Request) bool { return r.Element("RecordCmd") != "" }); n != 1 {
		t.Errorf("%d RecordCmd after the return, want 1: the newest value only, once", n)
	}
}

func TestRefusedWishIsToldAndNotTriedInALoop(t *testing.T) {
	p := start(t, baseConfig())
	refuse := make(chan bool, 1)
	refuse <- true
	d := newCamera(t, p.udp, 1, func(c *camera.Config) {
		c.Refuse = func(cmd string) bool {
			now := <-refuse
			refuse <- now
			return now && cmd == "GuardCmd"
		}
	})
	channel := channelID(1, 0)
	m := connect(t, p.mqtt, "gb28181/#")
	register(t, d)
	m.wait(0, "channel", on("gb28181/"+d.ID()+"/"+channel+"/presence", "online"))
	m.publish(shadowTopic(d.ID(), channel)+"/update", map[string]any{"state": map[string]any{"desired": map[string]any{
		"recording": "maybe", "guard": "on", "colour": "red"}}})
	reported := m.reported(d.ID(), channel, "three errors", func(r map[string]any) bool {
		errs, _ := r["errors"].(map[string]any)
		return len(errs) == 3
	})
	for path, code := range map[string]float64{"recording": 400, "colour": 400, "guard": 502} {
		told, _ := reported["errors"].(map[string]any)[path].(map[string]any)
		if told["code"] != code || told["message"] == "" || told["at"] == nil {
			t.Errorf("errors[%s] is %v, want code %v with message and time", path, told, code)
		}
	}
	if n := count(d, control("GuardCmd", "SetGuard")); n != 1 {
		t.Errorf("the refused wish went out %d times at once, want once", n)
	}
	// A new registration tries it again; what is solved or no longer desired is not told any more.
	<-refuse
	refuse <- false
	m.publish(shadowTopic(d.ID(), channel)+"/update", map[string]any{"state": map[string]any{"desired": map[string]any{
		"recording": nil, "colour": nil}}})
	if err := d.Unregister(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	register(t, d)
	m.reported(d.ID(), channel, "guard on and no errors", func(r map[string]any) bool { return r["guard"] == "on" && r["errors"] == nil })
}

func TestClientMayNotWriteReported(t *testing.T) {
	p := start(t, baseConfig())
	d := newCamera(t, p.udp, 1, nil)
	base := shadowTopic(d.ID(), "")
	m := connect(t, p.mqtt, base+"/update/#")
	register(t, d)
	m.publish(base+"/update", map[string]any{"state": map[string]any{"reported": map[string]any{"presence": "offline"}}, "clientToken": "evil"})
	if rejected := m.wait(0, "rejected", token(base+"/update/rejected", "evil")).json(t); rejected["code"] != 403.0 {
		t.Errorf("got %v, want 403", rejected)
	}
}
