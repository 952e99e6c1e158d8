package test

import (
	"strings"
	"testing"
)

// A device of 2022 that belongs elsewhere is told where, and is there for good; one of 2016 stays.
func TestADeviceThatBelongsElsewhereIsRedirected(t *testing.T) {
	other := start(t, baseConfig())
	there := "sip:" + serverID + "@" + strings.TrimPrefix(other.udp, "udp://")
	p := start(t, baseConfig().with("sip.redirect", map[string]any{deviceID(1)[:18]: there}))
	m := connect(t, p.mqtt, "gb28181/#")
	newer := dialRaw(t, p.udp, "")
	a := newer.register(deviceID(1), sipPassword, "Expires: 600", "X-GB-Ver: 3.0")
	if a.code != 302 || a.header("contact") != "<"+there+">" || a.header("expires") != "600" || a.header("x-gb-ver") != "3.0" {
		t.Fatalf("got\n%s", a.text)
	}
	to, _, _ := strings.Cut(a.header("contact"), ">")
	_, address, _ := strings.Cut(to, "@")
	if a := dialRaw(t, "udp://"+address, "").register(deviceID(1), sipPassword, "X-GB-Ver: 3.0"); a.code != 200 {
		t.Errorf("where it belongs it got\n%s", a.text)
	}
	connect(t, other.mqtt, "gb28181/#").wait(0, "presence there", on("gb28181/"+deviceID(1)+"/presence", "online"))
	if a := dialRaw(t, p.udp, "").register(deviceID(2), sipPassword, "X-GB-Ver: 2.0"); a.code != 200 {
		t.Errorf("one of 2016 got\n%s", a.text)
	}
	m.wait(0, "presence here", on("gb28181/"+deviceID(2)+"/presence", "online"))
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, x := range m.inbox {
		if strings.HasPrefix(x.topic, "gb28181/"+deviceID(1)+"/") {
			t.Errorf("it left %s %s here", x.topic, x.payload)
		}
	}
}
