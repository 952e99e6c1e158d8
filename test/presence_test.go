package test

import (
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// quickPresence makes presence turn within seconds, and asks devices nothing by itself.
func quickPresence(interval string) config {
	return baseConfig().with("sip.keepalive.interval", interval).with("devices.on_register", []string{})
}

func presences(m *client, topic string) []string {
	var states []string
	for _, msg := range m.messages(topic) {
		states = append(states, string(msg.payload))
	}
	return states
}

func TestPresenceTurnsByKeepaliveSemantics(t *testing.T) {
	t.Parallel() // it waits most of the time
	p := start(t, quickPresence("2s"))
	d := newCamera(t, p.udp, 1, func(c *camera.Config) { c.Stubborn = true })
	topic := "gb28181/" + d.ID()
	m := connect(t, p.mqtt, topic+"/#")

	if code := keepalive(t, d); code != 403 {
		t.Errorf("keepalive without a registration got %d, want 403", code)
	}
	register(t, d)
	if code := keepalive(t, d); code != 200 {
		t.Fatalf("keepalive got %d, want 200", code)
	}
	heard := time.Now()
	d.SetSilent(true)
	unknown := m.wait(0, "unknown", on(topic+"/presence", "unknown"))
	offline := m.wait(0, "offline", on(topic+"/presence", "offline"))
	// Late by the rule's tolerance, and by what a busy machine adds to it; never early.
	for what, got := range map[string]time.Duration{
		"unknown after 1.5 K": unknown.at.Sub(heard) - 3*time.Second,
		"offline after 3 K":   offline.at.Sub(heard) - 6*time.Second,
	} {
		if got < -100*time.Millisecond || got > time.Second {
			t.Errorf("%s came %v off", what, got)
		}
	}
	mark := m.mark()
	m.publish(topic+"/cmd/device_info", map[string]any{"clientToken": "x"})
	rejected := m.wait(mark, "rejected", token(topic+"/cmd/device_info/rejected", "x")).json(t)
	if rejected["code"] != 503.0 {
		t.Errorf("a command to an offline device got %v, want 503", rejected)
	}
	d.SetSilent(false)
	if code := keepalive(t, d); code != 200 {
		t.Errorf("keepalive after silence got %d, want 200", code)
	}
	m.wait(mark, "online again", on(topic+"/presence", "online"))
	if err := d.Unregister(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	last := m.wait(mark, "the last presence event", func(msg message) bool {
		return msg.topic == topic+"/event/presence" && at(msg.json(t), "reason") == "unregistered"
	}).json(t)
	if last["presence"] != "offline" || last["previous"] != "online" {
		t.Errorf("presence event is %v", last)
	}
	want := []string{"online", "unknown", "offline", "online", "offline"}
	got := presences(m, topic+"/presence")
	if len(got) != len(want) {
		t.Fatalf("presence messages %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("presence messages %v, want %v", got, want)
		}
	}
	late := connect(t, p.mqtt, topic+"/presence")
	if msg := late.wait(0, "retained presence", on(topic+"/presence", "offline")); !msg.retained {
		t.Error("presence is not retained")
	}
}

func TestLostConnectionIsUnknownAndItsChannelsWithIt(t *testing.T) {
	p := start(t, baseConfig())
	d := newCamera(t, p.tcp, 1, func(c *camera.Config) { c.Retry = time.Minute })
	topic := "gb28181/" + d.ID()
	m := connect(t, p.mqtt, topic+"/#")
	register(t, d)
	channel := topic + "/" + channelID(1, 0)
	m.wait(0, "channel online", on(channel+"/presence", "online"))
	mark := m.mark()
	d.Disconnect()
	m.wait(mark, "device unknown", on(topic+"/presence", "unknown"))
	m.wait(mark, "channel unknown", on(channel+"/presence", "unknown"))
	m.reported(d.ID(), "", "connection_lost", func(r map[string]any) bool {
		return r["presence_reason"] == "connection_lost" && r["breaker"] == "open"
	})
}

func TestNobodyIsCalledOnlineAfterACrashUntilHeard(t *testing.T) {
	t.Parallel() // it waits most of the time
	c, folder := quickPresence("2s"), t.TempDir()
	p := startIn(t, folder, c)
	d := newCamera(t, p.udp, 1, func(c *camera.Config) { c.Stubborn = true })
	topic := "gb28181/" + d.ID()
	m := connect(t, p.mqtt, topic+"/#")
	register(t, d)
	m.wait(0, "online", on(topic+"/presence", "online"))
	// The registration reaches the store within the second; a crash before costs one REGISTER.
	time.Sleep(1500 * time.Millisecond)
	p.kill()

	p = startIn(t, folder, c)
	m = connect(t, p.mqtt, topic+"/#")
	if msg := m.wait(0, "retained presence", on(topic+"/presence")); string(msg.payload) != "unknown" {
		t.Errorf("presence after the crash is %s, want unknown", msg.payload)
	}
	state := m.wait(0, "retained state", on(topic+"/state")).json(t)
	shadow := m.shadow(d.ID(), "")
	if state["presence"] != "unknown" || state["presence_reason"] != "restarted" || state["version"] != shadow["version"] {
		t.Errorf("the retained state says %v, want unknown (restarted) in version %v", state, shadow["version"])
	}
	reported := at(shadow, "state.reported").(map[string]any)
	if reported["presence"] != "unknown" || reported["presence_reason"] != "restarted" {
		t.Errorf("the shadow says %v (%v), want unknown (restarted)", reported["presence"], reported["presence_reason"])
	}
	m.wait(0, "offline after m·K of silence", on(topic+"/presence", "offline"))
	first := m.wait(0, "presence event", on(topic+"/event/presence")).json(t)
	if first["presence"] != "offline" || first["previous"] != "unknown" {
		t.Errorf("the first presence event since the start is %v, want that of going offline", first)
	}
}
