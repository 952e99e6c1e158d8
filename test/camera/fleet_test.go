package camera

import (
	"context"
	"strings"
	"testing"
	"time"
)

// fleetFor makes a fleet for p.
func fleetFor(t *testing.T, p *platform, cfg FleetConfig) *Fleet {
	t.Helper()
	p.serve()
	cfg.Device.Server, cfg.Device.ServerID, cfg.Device.Password = "udp://"+p.udp.LocalAddr().String(), serverID, "secret"
	if cfg.Device.Transport == "tcp" {
		cfg.Device.Server = p.tcp.Addr().String()
	}
	cfg.FirstID = "34020000001320000001"
	f, err := NewFleet(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// runFleet runs f until as many messages as wanted have matched.
func runFleet(t *testing.T, p *platform, f *Fleet, wanted int, match func(*message) bool) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	end := make(chan error, 1)
	go func() { end <- f.Run(ctx) }()
	from := 0
	for range wanted {
		_, at := p.await(from, match)
		from = at + 1
	}
	stop()
	if err := <-end; err != nil {
		t.Error(err)
	}
}

func TestFleetRegistersLivesAndUnregisters(t *testing.T) {
	for name, cfg := range map[string]FleetConfig{
		"own sockets":    {},
		"shared sockets": {Sockets: 2},
		"tcp":            {Device: Config{Transport: "tcp"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlatform(t)
			cfg.Devices, cfg.Channels, cfg.Alarms, cfg.Device.Keepalive = 20, 2, 600, 100*time.Millisecond
			f := fleetFor(t, p, cfg)
			runFleet(t, p, f, 40, isCmd("Keepalive"))
			for kind, want := range map[Kind]uint64{KindRegister: 40, KindUnregister: 20, KindKeepalive: 40, KindAlarm: 1} {
				if c := f.Stats().Kind(kind); c.Sent < want || c.Answered < want || c.P50 <= 0 || c.P99 < c.P50 || c.Lost > 0 {
					t.Errorf("%v: %+v, want %d or more sent and answered", kind, c, want)
				}
			}
			ids := map[string]bool{}
			for _, d := range f.Devices() {
				ids[d.ID()] = true
			}
			if !ids["34020000001320000020"] || len(ids) != 20 || f.Devices()[1].cfg.Channels[0].ID != "34020000001310000002" {
				t.Errorf("IDs %v", ids)
			}
		})
	}
}

func TestSharedSocketsTellDevicesApart(t *testing.T) {
	p := newPlatform(t)
	f := fleetFor(t, p, FleetConfig{Devices: 3, Channels: 1, Sockets: 1})
	ctx, stop := context.WithCancel(t.Context())
	end := make(chan error, 1)
	go func() { end <- f.Run(ctx) }()
	from := 0
	for range 6 {
		_, at := p.await(from, isMethod("REGISTER"))
		from = at + 1
	}
	for _, d := range f.Devices() {
		e := p.query("Query", "Catalog", d.ID(), "")
		if e.child("DeviceID") != d.ID() || itemID(e) != d.cfg.Channels[0].ID {
			t.Errorf("asked %s, answered %+v", d.ID(), e)
		}
	}
	stop()
	if err := <-end; err != nil {
		t.Error(err)
	}
}

func TestFleetTellsPositionsAndCatalogueEvents(t *testing.T) {
	p := newPlatform(t)
	f := fleetFor(t, p, FleetConfig{Devices: 2, Channels: 2, Sockets: 1, Events: 600, Position: 100 * time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	end := make(chan error, 1)
	go func() { end <- f.Run(ctx) }()
	from := 0
	for range 4 {
		_, at := p.await(from, isMethod("REGISTER"))
		from = at + 1
	}
	if m, _ := p.await(from, isCmd("MobilePosition")); m.method != "MESSAGE" {
		t.Errorf("a position that nobody subscribed to comes as %s", m.method)
	}
	var subscribed int
	for _, d := range f.Devices() {
		m := p.ask("SUBSCRIBE", d.ID(), mansRequest("Query", "Catalog", d.ID(), ""), "Event: Catalog", "Expires: 600")
		subscribed += m.code
	}
	if subscribed != 400 {
		t.Fatalf("the answers make %d, want two of 200", subscribed)
	}
	m, _ := p.await(from, func(m *message) bool { return m.method == "NOTIFY" && m.body != "" })
	if e := bodyOf(m); e.child("CmdType") != "Catalog" || e.find("DeviceList").children[0].child("Event") == "" {
		t.Errorf("notified %+v", e)
	}
	stop()
	if err := <-end; err != nil {
		t.Error(err)
	}
}

func TestDeadDevicesDoNotUnregister(t *testing.T) {
	p := newPlatform(t)
	f := fleetFor(t, p, FleetConfig{Devices: 5, Die: Death{Share: 1}, Duration: 300 * time.Millisecond})
	if err := f.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if g := f.Progress(); g.Dead != 5 || g.Started != 5 {
		t.Errorf("%+v, want all 5 dead", g)
	}
	if n := f.Stats().Kind(KindUnregister).Sent; n != 0 {
		t.Errorf("%d unregistered after their death", n)
	}
}

func TestDevicesDieAtOnceAndComeBackOnRequest(t *testing.T) {
	p := newPlatform(t)
	f := fleetFor(t, p, FleetConfig{Devices: 4, Die: Death{Share: 1, At: time.Hour}})
	ctx, stop := context.WithCancel(t.Context())
	end := make(chan error, 1)
	go func() { end <- f.Run(ctx) }()
	from := 0
	for range 8 {
		_, at := p.await(from, isMethod("REGISTER"))
		from = at + 1
	}
	if died := f.Die(0.5); died != 2 || f.Progress().Dead != 2 {
		t.Errorf("%d died, %+v; want 2", died, f.Progress())
	}
	if died := f.Die(1); died != 2 || f.Progress().Registered != 0 {
		t.Errorf("%d more died, %+v; want the other 2", died, f.Progress())
	}
	if back := f.Revive(); back != 4 || f.Progress().Dead != 0 {
		t.Errorf("%d came back, %+v; want 4", back, f.Progress())
	}
	stop()
	if err := <-end; err != nil {
		t.Error(err)
	}
}

func TestDeathReadsItsTime(t *testing.T) {
	for text, want := range map[string]Death{"0": {}, "0.1": {Share: 0.1}, "0.25@30s": {0.25, 30 * time.Second}} {
		var d Death
		if err := d.Set(text); err != nil || d != want || d.String() != text {
			t.Errorf("%s: %+v (%s), %v; want %+v", text, d, d, err, want)
		}
	}
	for _, text := range []string{"", "2", "-1", "0.1@", "0.1@soon", "0.1@0s", "@5s"} {
		if err := new(Death).Set(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestRampSpreadsTheStart(t *testing.T) {
	p := newPlatform(t)
	f := fleetFor(t, p, FleetConfig{Devices: 5, Ramp: 20})
	began := time.Now()
	runFleet(t, p, f, 10, isMethod("REGISTER"))
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("5 devices at 20/s began within %v", took)
	}
}

func TestFleetNamesWhatIsWrong(t *testing.T) {
	for want, cfg := range map[string]FleetConfig{
		"first ID":     {FirstID: "1", Devices: 1},
		"devices":      {FirstID: deviceID},
		"die":          {FirstID: deviceID, Devices: 1, Die: Death{Share: 2}},
		"ramp":         {FirstID: deviceID, Devices: 1, Ramp: -1},
		"seven digits": {FirstID: "34020000001329999999", Devices: 2, Device: Config{Server: "127.0.0.1", ServerID: serverID}},
	} {
		if _, err := NewFleet(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want a word on %s", cfg, err, want)
		}
	}
}

func TestFleetThatReachesNobodyFails(t *testing.T) {
	p := newPlatform(t)
	f := fleetFor(t, p, FleetConfig{Devices: 2, Device: Config{Transport: "tcp"}})
	_ = p.tcp.Close()
	if err := f.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "listening") {
		t.Errorf("got %v, want an error with a next step", err)
	}
}

func TestClockKeepsOrderAndForgetsWhatIsStopped(t *testing.T) {
	c := newClock()
	ran := make(chan int, 4)
	c.after(20*time.Millisecond, func() { ran <- 2 })
	stopped := c.after(10*time.Millisecond, func() { ran <- 0 })
	c.after(time.Millisecond, func() { ran <- 1; c.after(0, func() { ran <- 3 }) })
	c.stop(stopped)
	c.stop(stopped)
	ctx, end := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { c.run(ctx); close(done) }()
	if got := [3]int{<-ran, <-ran, <-ran}; got != [3]int{1, 3, 2} {
		t.Errorf("ran %v, want 1, what it planned, and 2", got)
	}
	end()
	<-done
}

// FuzzReceive feeds a device what a network may bring.
func FuzzReceive(f *testing.F) {
	for _, method := range []string{"MESSAGE", "INVITE"} {
		raw, _ := request(method, deviceID, mansRequest("Control", "DeviceControl", deviceID, tag("PTZCmd", "A50F01021F0000D6")))
		f.Add(raw)
	}
	f.Add([]byte("SIP/2.0 401 x\r\nVia: a;branch=b\r\nWWW-Authenticate: Digest nonce=\"\r\n\r\n"))
	f.Add([]byte("\r\n\r\nREGISTER sip: SIP/2.0\r\nl: -1\r\n\r\n<"))
	cfg, err := Config{ID: deviceID, Server: "127.0.0.1", ServerID: serverID, Silent: false}.withDefaults()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if n, err := frameLength(raw); err == nil && n > len(raw) {
			t.Errorf("frame of %d bytes in %d", n, len(raw))
		}
		m, err := parseMessage(raw)
		if err != nil {
			return
		}
		_, _ = (&Config{GBVersion: "3.0"}).pickChallenge(m)
		if _, err := parseBody(m.body); err != nil {
			return
		}
		d := newDevice(cfg)
		d.clock = newClock()
		d.answering.Store(false) // there is no socket to answer through
		d.dispatch(&link{}, m)
	})
}

// BenchmarkKeepalive is one keepalive answered: the device's and the test platform's part.
func BenchmarkKeepalive(b *testing.B) {
	body := encodeBody(frame("Notify", "Keepalive", "1", deviceID, tag("Status", "OK")), "gb2312")
	cfg, err := Config{ID: deviceID, Server: "127.0.0.1", ServerID: serverID}.withDefaults()
	if err != nil {
		b.Fatal(err)
	}
	d := newDevice(cfg)
	d.clock, d.stats, d.link = newClock(), new(Stats), &link{}
	d.SetLoss(1) // all but the socket
	b.ReportAllocs()
	for b.Loop() {
		var sent *transaction
		d.begin(outgoing{method: "MESSAGE", kind: KindKeepalive, body: body}, func(reply) {})
		sent = d.pending[0]
		m, err := parseMessage([]byte("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;rport;branch=" + sent.branch + "\r\nContent-Length: 0\r\n\r\n"))
		if err != nil {
			b.Fatal(err)
		}
		d.answered(m)
	}
}
