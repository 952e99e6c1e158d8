package test

import (
	"strings"
	"testing"
)

// Two devices that were given one ID take the registration from one another: both are told so, for
// nobody finds that out from presence alone.
func TestTwoDevicesWithOneIDAreNamedInAnEvent(t *testing.T) {
	p := start(t, baseConfig())
	topic := "gb28181/" + deviceID(1)
	m := connect(t, p.mqtt, topic+"/#")
	one, other := dialRaw(t, p.udp, ""), dialRaw(t, p.udp, "")
	for i, r := range []*raw{one, other, one} {
		mark := m.mark()
		if a := r.register(deviceID(1), sipPassword); a.code != 200 {
			t.Fatalf("got\n%s", a.text)
		}
		var rival any
		if i == 2 {
			rival = other.conn.LocalAddr().String()
		}
		if e := m.wait(mark, "registered", on(topic+"/event/registered")).json(t); e["rival"] != rival || e["remote"] != r.conn.LocalAddr().String() {
			t.Errorf("the %d. registration is the event %v, want rival %v", i+1, e, rival)
		}
	}
	mark := m.mark()
	m.publish(topic+"/cmd/diagnose", map[string]any{"clientToken": "d", "timeout_ms": 100})
	if d := m.wait(mark, "the diagnosis", token(topic+"/cmd/diagnose/accepted", "d")); !strings.Contains(string(d.payload), "two devices have its ID") {
		t.Errorf("the diagnosis does not say so: %s", d.payload)
	}
}
