//go:build unix

package test

import (
	"syscall"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// A bridge that was stopped for longer than a camera may be silent makes nobody offline when it
// goes on: silence counts from then.
func TestAStoppedBridgeMakesNoCameraOffline(t *testing.T) {
	t.Parallel() // it waits most of the time
	p := start(t, quickPresence("2s"))
	d := newCamera(t, p.udp, 1, func(c *camera.Config) { c.Stubborn = true })
	topic := "gb28181/" + d.ID() + "/presence"
	m := connect(t, p.mqtt, topic)
	register(t, d)
	m.wait(0, "online", on(topic, "online"))
	signal := func(s syscall.Signal) {
		t.Helper()
		if err := p.cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	time.Sleep(7 * time.Second) // longer than 3 K
	goesOn := time.Now()
	signal(syscall.SIGCONT)
	unknown := m.wait(0, "unknown", on(topic, "unknown"))
	if after := unknown.at.Sub(goesOn); after < 3*time.Second-100*time.Millisecond {
		t.Errorf("unknown %v after the bridge went on, want 1.5 K of silence from then", after)
	}
	if code := keepalive(t, d); code != 200 {
		t.Errorf("keepalive: %d", code)
	}
	m.wait(0, "online again", func(msg message) bool { return msg.at.After(unknown.at) && string(msg.payload) == "online" })
	if got := presences(m, topic); got[1] != "unknown" {
		t.Errorf("presence messages %v, want unknown as the second", got)
	}
}
