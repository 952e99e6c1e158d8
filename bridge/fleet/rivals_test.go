package fleet

import (
	"fmt"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
)

func TestTwoDevicesWithOneIDAreNoticed(t *testing.T) {
	inTime(t, testConfig(time.Minute), func(t *testing.T, f *Fleet, n *notes) {
		away := udp("192.168.1.65:5060")
		at := func(p sip.Path, wait time.Duration, want string) {
			t.Helper()
			time.Sleep(wait)
			register(f, cam, p, password, func(r *sip.Request) { r.CallID = []byte(p.Remote.String() + p.Network.String()) })
			n.want(t, want)
		}
		at(home, 0, "registered 3600 true; unknown>online registered")
		at(away, time.Second, "registered 3600 true") // it may have moved
		at(home, time.Second, "rivals 192.168.1.65:5060 192.168.1.64:5060; registered 3600 true")
		at(away, time.Second, "rivals 192.168.1.64:5060 192.168.1.65:5060; registered 3600 true")
		at(home, 61*time.Second, "registered 3600 true") // it went away for a while
		at(tcp("192.168.1.64:5061", 1), time.Second, "registered 3600 true")
		at(home, time.Second, "registered 3600 true") // UDP and TCP in turn
		at(udp("192.168.1.64:5099"), time.Second, "registered 3600 true")
		at(home, time.Second, "rivals 192.168.1.64:5099 192.168.1.64:5060; registered 3600 true") // behind one NAT
	})
}

func TestMovesAreRememberedWithinBounds(t *testing.T) {
	var sh shard
	for i := range 3 * maxMoved {
		s := &session{id: mustID(fmt.Sprintf("3402000000132%07d", i)), heartbeat: Heartbeat{Interval: time.Minute}}
		sh.rivalLocked(s, home, udp("192.168.1.65:5060"), 0)
	}
	if len(sh.moved) > maxMoved {
		t.Errorf("%d are remembered, want %d at most", len(sh.moved), maxMoved)
	}
}
