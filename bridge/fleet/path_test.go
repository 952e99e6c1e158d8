package fleet

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

func TestConnectionIsOwnedByWhoNeedsIt(t *testing.T) {
	first, second := tcp("192.168.1.64:40000", 1), tcp("192.168.1.64:40001", 2)
	inTime(t, testConfig(time.Minute), func(t *testing.T, f *Fleet, _ *notes) {
		want := func(when string, one, two bool) {
			t.Helper()
			if f.Owns(first) != one || f.Owns(second) != two {
				t.Errorf("%s: owned %v, %v; want %v, %v", when, f.Owns(first), f.Owns(second), one, two)
			}
		}
		want("before a registration", false, false)
		register(f, cam, first, password, nil)
		want("registered", true, false)
		time.Sleep(100 * time.Second)
		want("silent within its rule", true, false)
		register(f, cam, home, password, nil)
		want("now over UDP, the connection is its other path", true, false)
		register(f, cam, first, password, nil)
		register(f, cam, second, password, nil)
		want("a newer connection took its place", false, true)
		time.Sleep(5 * time.Minute)
		want("offline", false, false)
		register(f, cam, second, password, nil)
		want("back", false, true)
		register(f, cam, second, password, func(r *sip.Request) { r.Expires = 0 })
		want("unregistered", false, false)
	})
}

func TestAChosenWayIsKeptWhereverTheDeviceIsHeard(t *testing.T) {
	conn, newer := tcp("192.168.1.64:40000", 1), tcp("192.168.1.64:40001", 2)
	moved := udp("192.168.1.64:5070")
	inTime(t, testConfig(time.Minute), func(t *testing.T, f *Fleet, n *notes) {
		want := func(when string, path, other sip.Path) {
			t.Helper()
			if d, _ := f.Device(cam); d.Path != path || d.Other != other || !d.HasPath {
				t.Errorf("%s: path %v, other %v; want %v, %v", when, d.Path, d.Other, path, other)
			}
		}
		register(f, cam, conn, password, nil)
		register(f, cam, home, password, nil)
		want("registered over both", home, conn)
		if f.Choose(cam, newer) || f.Choose(cam, sip.Path{}) || f.Choose(mustID("34020000001320000099"), conn) {
			t.Error("took a way that is not known")
		}
		for range 2 { // the second time it is taken already
			if !f.Choose(cam, conn) {
				t.Fatal("did not take the other way")
			}
		}
		want("chosen", conn, home)
		n.take()
		for range 3 {
			if code := keepalive(f, cam, home); code != 200 {
				t.Fatalf("keepalive on the way that was left: %d", code)
			}
		}
		want("heard on the way that was left", conn, home)
		register(f, cam, moved, password, nil)
		want("registered anew on the way that was left, from another port", conn, moved)
		if !f.Owns(conn) {
			t.Error("the chosen connection is nobody's")
		}
		keepalive(f, cam, newer)
		want("a newer connection", newer, moved)
		keepalive(f, cam, moved)
		want("heard over UDP once more", newer, moved)
		f.Closed(conn)
		want("the older connection closed", newer, moved)
		f.Closed(newer)
		want("the chosen connection closed", moved, sip.Path{})
		keepalive(f, cam, conn)
		want("nothing is chosen any more", conn, moved)
	})
}

func TestAKeepaliveOnTheWayThatWasLeftCostsNoMore(t *testing.T) {
	f, _ := newFleet(t, testConfig(time.Minute), nil)
	register(f, cam, tcp("192.168.1.64:40000", 1), password, nil)
	register(f, cam, home, password, nil)
	f.Choose(cam, tcp("192.168.1.64:40000", 1))
	r := request("MESSAGE", cam, home)
	r.Body = []byte(aliveBody)
	if n := testing.AllocsPerRun(100, func() { f.Serve(r) }); n != 0 {
		t.Errorf("%v allocations for a keepalive", n)
	}
}

func TestADenialIsToldFromTheDevicesOwnAddressOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		denied := 0
		n := &notes{saved: map[gb28181.ID]Record{}}
		f, err := New(testConfig(time.Minute), Options{Sink: n, Denied: func(gb28181.ID) { denied++ },
			Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
		if err != nil {
			t.Fatal(err)
		}
		n.f = f
		register(f, cam, home, "wrong", nil)
		register(f, cam, home, password, nil)
		register(f, cam, udp("10.9.9.9:5060"), "wrong", nil)
		if denied != 0 {
			t.Errorf("%d denials of a stranger, and before a registration", denied)
		}
		register(f, cam, home, "wrong", nil)
		if denied != 1 {
			t.Errorf("%d denials told, want 1", denied)
		}
	})
}
