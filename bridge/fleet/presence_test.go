package fleet

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// intervals are those that presence must be exact with.
var intervals = []time.Duration{2 * time.Second, time.Minute}

// exact sees that the last change came within max(100 ms, 2 % of K) after the moment of its rule.
func exact(t *testing.T, n *notes, want time.Time, k time.Duration) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if late := n.last.At.Sub(want); late < 0 || late > max(100*time.Millisecond, k/50) {
		t.Errorf("K %v: %v came %v after its moment", k, n.last.Presence, late)
	}
}

func TestSilentDeviceIsUnknownThenOffline(t *testing.T) {
	for _, k := range intervals {
		inTime(t, testConfig(k), func(t *testing.T, f *Fleet, n *notes) {
			register(f, cam, home, password, nil)
			n.want(t, "registered 3600 true; unknown>online registered")
			for range 5 {
				time.Sleep(k + 7*time.Millisecond)
				if code := keepalive(f, cam, home); code != 200 {
					t.Fatalf("keepalive: %d", code)
				}
			}
			heard := time.Now()
			n.want(t, "")
			time.Sleep(k*3/2 - time.Millisecond)
			n.want(t, "")
			time.Sleep(k / 10)
			n.want(t, "online>unknown keepalive_overdue")
			exact(t, n, heard.Add(k*3/2), k)
			time.Sleep(time.Until(heard.Add(3*k)) - time.Millisecond)
			n.want(t, "")
			time.Sleep(k / 10)
			n.want(t, "unknown>offline keepalive_lost")
			exact(t, n, heard.Add(3*k), k)
			keepalive(f, cam, home)
			n.want(t, "offline>online keepalive")
		})
	}
}

func TestEveryMomentIsExact(t *testing.T) {
	for _, offset := range []time.Duration{0, 1, 19 * time.Millisecond, 333 * time.Millisecond, 20481 * time.Millisecond} {
		inTime(t, testConfig(2*time.Second), func(t *testing.T, f *Fleet, n *notes) {
			time.Sleep(offset)
			register(f, cam, home, password, nil)
			at := time.Now()
			time.Sleep(3*time.Second + 60*time.Millisecond)
			exact(t, n, at.Add(3*time.Second), 2*time.Second)
		})
	}
}

func TestUnregisteredAndExpiredAreOffline(t *testing.T) {
	inTime(t, testConfig(time.Minute), func(t *testing.T, f *Fleet, n *notes) {
		register(f, cam, home, password, nil)
		n.take()
		if a := register(f, cam, home, password, func(r *sip.Request) { r.Expires = 0 }); a.Code != 200 || a.Expires != 0 {
			t.Errorf("unregister: %+v", a)
		}
		n.want(t, "unregistered; online>offline unregistered")
		if code := keepalive(f, cam, home); code != 403 {
			t.Errorf("keepalive of an unregistered device: %d", code)
		}
		register(f, cam, home, password, func(r *sip.Request) { r.Expires = 40 })
		at := time.Now()
		n.want(t, "registered 40 true; offline>online registered")
		time.Sleep(39 * time.Second)
		n.want(t, "")
		time.Sleep(time.Second + 100*time.Millisecond)
		n.want(t, "online>offline expired")
		exact(t, n, at.Add(40*time.Second), time.Minute)
		if code := keepalive(f, cam, home); code != 403 {
			t.Errorf("keepalive after expiry: %d", code)
		}
	})
}

func TestClosedConnectionIsUnknownUnlessAnotherPathIsKnown(t *testing.T) {
	inTime(t, testConfig(time.Minute), func(t *testing.T, f *Fleet, n *notes) {
		first, second := tcp("192.168.1.64:4001", 1), tcp("192.168.1.64:4002", 2)
		register(f, cam, first, password, nil)
		heard := time.Now()
		n.take()
		if code := keepalive(f, cam, second); code != 200 {
			t.Fatalf("new connection from the same address: %d", code)
		}
		f.Closed(second)
		n.want(t, "")
		if d, _ := f.Device(cam); !d.HasPath || d.Path != first {
			t.Errorf("did not go back to the first connection: %+v", d.Path)
		}
		time.Sleep(time.Second)
		f.Closed(first)
		n.want(t, "online>unknown connection_lost")
		if d, _ := f.Device(cam); d.HasPath {
			t.Error("a closed connection is a path")
		}
		time.Sleep(time.Until(heard.Add(180*time.Second + 100*time.Millisecond)))
		n.want(t, "unknown>offline keepalive_lost")
		keepalive(f, cam, tcp("192.168.1.64:4003", 3))
		n.want(t, "offline>online keepalive")
		f.Closed(first)
		n.want(t, "")
		if len(f.conns.devices) != 1 {
			t.Errorf("connections left: %v", f.conns.devices)
		}
	})
}

func TestMQTTClientMakesOnlineWhatSIPDoesNotKnow(t *testing.T) {
	inTime(t, testConfig(2*time.Second), func(t *testing.T, f *Fleet, n *notes) {
		f.MQTTConnected(cam)
		n.want(t, "unknown>online mqtt_connected")
		time.Sleep(time.Minute)
		n.want(t, "") // no keepalive is due over MQTT
		f.MQTTConnected(cam)
		f.MQTTDisconnected(cam)
		n.want(t, "") // one of two
		f.MQTTDisconnected(cam)
		n.want(t, "online>offline mqtt_disconnected")
		register(f, cam, home, password, nil)
		f.MQTTConnected(cam)
		f.MQTTDisconnected(cam)
		n.want(t, "registered 3600 true; offline>online registered")
		time.Sleep(3100 * time.Millisecond)
		n.want(t, "online>unknown keepalive_overdue") // with both, SIP rules
		f.MQTTConnected(cam)
		n.want(t, "unknown>online mqtt_connected")
	})
}

func TestValidAnswerIsASignOfLife(t *testing.T) {
	inTime(t, testConfig(2*time.Second), func(t *testing.T, f *Fleet, n *notes) {
		f.Heard(cam)
		n.want(t, "")
		register(f, cam, home, password, nil)
		n.take()
		for range 5 {
			time.Sleep(2 * time.Second)
			f.Heard(cam)
		}
		n.want(t, "")
		time.Sleep(3100 * time.Millisecond)
		f.Heard(cam)
		n.want(t, "online>unknown keepalive_overdue; unknown>online keepalive")
	})
}

func TestOwnHeartbeatCountsWhenItIsSane(t *testing.T) {
	inTime(t, testConfig(time.Minute), func(t *testing.T, f *Fleet, n *notes) {
		register(f, cam, home, password, nil)
		n.take()
		f.SetHeartbeat(cam, time.Second, 0)
		if d, _ := f.Device(cam); d.Heartbeat != (Heartbeat{time.Minute, 3}) {
			t.Errorf("took over %+v", d.Heartbeat)
		}
		f.SetHeartbeat(cam, 10*time.Second, 5)
		time.Sleep(15*time.Second + 100*time.Millisecond)
		n.want(t, "online>unknown keepalive_overdue")
		time.Sleep(34 * time.Second)
		n.want(t, "")
		time.Sleep(time.Second)
		n.want(t, "unknown>offline keepalive_lost")
	})
}

func TestOwnStallMakesNobodyOffline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, n := newFleet(t, testConfig(2*time.Second), nil)
		register(f, cam, home, password, func(r *sip.Request) { r.Expires = 30 })
		n.take()
		back := time.Now().Add(time.Minute)
		time.Sleep(time.Minute) // nothing turned the wheels: silence and expiry passed
		f.noteStall(back.Add(-time.Minute), back)
		for i := range f.shards {
			f.turn(&f.shards[i], f.since(back))
		}
		n.want(t, "")
		if code := keepalive(f, cam, home); code != 200 {
			t.Errorf("keepalive within the grace: %d", code)
		}
		time.Sleep(2100 * time.Millisecond)
		for i := range f.shards {
			f.turn(&f.shards[i], f.since(time.Now()))
		}
		n.want(t, "online>offline expired")
	})
}

func TestWhatCountsAsAStallOfOurOwn(t *testing.T) {
	for _, c := range []struct {
		what      string
		gap, wall time.Duration
		want      bool
	}{
		{"a tick", tick, tick, false},
		{"a busy machine", 900 * time.Millisecond, 900 * time.Millisecond, false},
		{"a stopped process", 2 * time.Second, 2 * time.Second, true},
		{"a clock that was set forward", tick, time.Hour, true},
		{"a clock that was set back", tick, -time.Hour, true},
		{"a clock that slews", tick, tick + 500*time.Millisecond, false},
		{"a machine that slept, as seen by a clock that slept too", tick, 8 * time.Hour, true},
	} {
		if got := wasAway(c.gap, c.wall); got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}

func TestAfterARestartDevicesAreUnknownUntilHeard(t *testing.T) {
	other, gone, left := mustID("34020000001320000002"), mustID("34020000001320000003"), mustID("34020000001320000004")
	synctest.Test(t, func(t *testing.T) {
		f, n := newFleet(t, testConfig(2*time.Second), nil)
		stop := start(f)
		long := func(r *sip.Request) { r.GBVersion = []byte("3.0"); r.UserAgent = []byte("IPC") }
		register(f, cam, home, password, long)
		register(f, other, tcp("192.168.1.65:4000", 9), password, nil)
		register(f, gone, home, password, func(r *sip.Request) { r.Expires = 30 })
		register(f, left, home, password, nil)
		register(f, left, home, password, func(r *sip.Request) { r.Expires = 0 })
		time.Sleep(1100 * time.Millisecond)
		n.mu.Lock()
		if len(n.saved) != 4 {
			t.Errorf("saved %d of 4 within a second", len(n.saved))
		}
		n.mu.Unlock()
		stop()
		time.Sleep(time.Minute)

		var records []Record
		for _, r := range n.saved {
			records = append(records, stored(t, r))
		}
		f, n = newFleet(t, testConfig(2*time.Second), nil)
		f.Restore(records, time.Now())
		stop = start(f)
		defer stop()
		n.want(t, "")
		for id, want := range map[gb28181.ID]string{cam: "unknown restarted true", other: "unknown restarted false",
			gone: "offline expired false", left: "offline unregistered false"} {
			d, _ := f.Device(id)
			if got := d.Presence.String() + " " + d.Reason + map[bool]string{true: " true", false: " false"}[d.HasPath]; got != want {
				t.Errorf("%v: got %s, want %s", id, got, want)
			}
		}
		if d, _ := f.Device(cam); d.Registration.GBVersion != "3.0" || d.Registration.UserAgent != "IPC" || d.Path != home {
			t.Errorf("restored %+v", d)
		}
		none := gb28181.ID{}
		f.Owe(cam, none, Missed)
		if f.Debts(cam, none) != Restart|Missed || f.Debts(gone, none) != Restart {
			t.Error("what was restored is not owed")
		}
		if f.Pay(cam, none, Restart); f.Debts(cam, none) != Missed || f.Debts(gone, none) != Restart {
			t.Error("what was paid is owed, or what was not is not")
		}
		if online, offline, unknown := f.Counts(); online != 0 || offline != 2 || unknown != 2 {
			t.Errorf("counts %d %d %d", online, offline, unknown)
		}
		time.Sleep(3 * time.Second)
		if code := keepalive(f, cam, home); code != 200 {
			t.Errorf("keepalive: %d", code)
		}
		n.want(t, "unknown>online keepalive")
		time.Sleep(2900 * time.Millisecond)
		n.want(t, "")
		time.Sleep(200 * time.Millisecond)
		n.want(t, "unknown>offline keepalive_lost; online>unknown keepalive_overdue")
	})
}

// stored is r after its way through the store.
func stored(t *testing.T, r Record) (back Record) {
	t.Helper()
	row, err := r.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if err := back.UnmarshalBinary(row); err != nil {
		t.Fatal(err)
	}
	return back
}
