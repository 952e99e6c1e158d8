package camera

import (
	"context"
	"testing"
	"time"
)

// registers returns a match for the REGISTER, or leave, of the first device of a fleet that
// carries this Expires and is authorized.
func registers(id, expires string) func(*message) bool {
	return func(m *message) bool {
		return m.method == "REGISTER" && user(m.header("from")) == id && m.header("expires") == expires && m.header("authorization") != ""
	}
}

func TestFleetFollowsWhatIsWanted(t *testing.T) {
	p := newPlatform(t)
	f := fleetFor(t, p, FleetConfig{Devices: 3, Sockets: 1})
	f.Want(1)
	ctx, stop := context.WithCancel(t.Context())
	end := make(chan error, 1)
	go func() { end <- f.Run(ctx) }()
	first, last := f.Devices()[0].ID(), f.Devices()[2].ID()
	from := 0
	step := func(id, expires string) {
		t.Helper()
		_, at := p.await(from, registers(id, expires))
		from = at + 1
	}
	step(first, "3600")
	f.Want(100) // all there are
	step(last, "3600")
	f.Want(2)
	step(last, "0")
	f.Want(3)
	step(last, "3600")
	if n := f.Progress().Started; n != 3 {
		t.Errorf("%d devices started, want 3: who comes again has not started twice", n)
	}
	stop()
	if err := <-end; err != nil {
		t.Error(err)
	}
}

func TestFleetRefreshesAlarmsAndChangesItsKeepalive(t *testing.T) {
	p := newPlatform(t)
	f := fleetFor(t, p, FleetConfig{Devices: 1, Channels: 1})
	if f.Refresh() || f.Alarm() {
		t.Error("a device that is not registered has refreshed or raised an alarm")
	}
	ctx, stop := context.WithCancel(t.Context())
	end := make(chan error, 1)
	go func() { end <- f.Run(ctx) }()
	d := f.Devices()[0]
	for !d.Registered() {
		time.Sleep(time.Millisecond) // between two looks
	}
	if since := time.Since(d.LastSign()); since < 0 || since > time.Minute {
		t.Errorf("registered, and its last sign of life was %v ago", since)
	}
	f.SetKeepalive(20 * time.Millisecond)
	_, from := p.await(0, isCmd("Keepalive"))
	_, from = p.await(from+1, isCmd("Keepalive"))
	if !f.Refresh() || !f.Alarm() {
		t.Error("a registered device neither refreshes nor raises an alarm")
	}
	p.await(from+1, registers(d.ID(), "3600"))
	p.await(from+1, isCmd("Alarm"))
	stop()
	if err := <-end; err != nil {
		t.Error(err)
	}
}

func TestPaceKeepsItsRateAndMakesUpForAShortStall(t *testing.T) {
	var p pace
	now := time.Now()
	if n := p.due(now, 100); n != 0 {
		t.Errorf("%d due at the first look", n)
	}
	sum := 0
	for range 99 { // steps of 7 ms
		now = now.Add(7 * time.Millisecond)
		sum += p.due(now, 100)
	}
	if sum != 69 {
		t.Errorf("%d due within 693ms at 100/s, want 69", sum)
	}
	if n := p.due(now.Add(time.Minute), 100); n != 100 {
		t.Errorf("%d due after a minute's stall, want a second's worth", n)
	}
}
