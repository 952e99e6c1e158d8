package camera

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestRegisterAnswersTheChallengeAndUnregisters(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			p := newPlatform(t)
			d := registered(t, p, func(c *Config) { c.Transport, c.Server, c.GBVersion = transport, p.udp.LocalAddr().String(), "2.0" })
			s := d.State()
			if !s.Registered || s.Granted != time.Hour || s.Date != "2026-09-23T10:11:12.000" {
				t.Errorf("after Register: %+v", s)
			}
			if err := d.Refresh(soon(t)); err != nil {
				t.Fatal(err)
			}
			last, _ := p.await(2, isMethod("REGISTER"))
			if a := last.header("authorization"); !strings.Contains(a, "nc=00000002") {
				t.Errorf("the refresh re-used the nonce without counting nc: %q", a)
			}
			if v := last.header("x-gb-ver"); v != "2.0" {
				t.Errorf("X-GB-Ver %q, want 2.0", v)
			}
			if err := d.Unregister(soon(t)); err != nil || d.Registered() {
				t.Errorf("Unregister: %v, registered %v", err, d.Registered())
			}
		})
	}
}

func TestDigestMatchesKnownAnswers(t *testing.T) {
	for algorithm, want := range map[string][2]string{
		"MD5":     {"fb6d2f768312116118c121c2608cf961", "6a2143ae65b119e276a75f0a4a8992b7"},
		"SHA-256": {"ae05ead0765a80e9c832fbcb4e67ee44f419e0dded67f46186dea5e245b401a6", "f934d2c150a99b608676e3f62c5ac1c5d5bacc027c808532cc831040636231ed"},
		"SM3":     {"edc8701bbdec9020863dcb4f1ce4e22c46b8dc3ea09de2fa80df49684672d4d0", "bc06d90d6e24e70408614d2198479eb32afafb8eb3078d7fd23f0ca58ee2a5b8"},
	} {
		for i, qop := range []bool{true, false} {
			c := challenge{realm: "3402000000", nonce: "6fe9ba44a76be22a", algorithm: algorithm, qop: qop}
			got := c.authorize("34020000001320000001", "12345678", "REGISTER", "sip:34020000002000000001@3402000000", "0a4f113b")
			if !strings.Contains(got, `response="`+want[i]+`"`) {
				t.Errorf("%s qop %v: got %s, want response %s", algorithm, qop, got, want[i])
			}
		}
	}
}

func TestNewerDeviceTakesTheStrongerChallenge(t *testing.T) {
	p := newPlatform(t)
	p.offers = []string{`Digest realm="3402000000", nonce="a", algorithm=SHA-256, qop="auth"`, `Digest realm="3402000000", nonce="b", algorithm=MD5, qop="auth"`}
	for version, want := range map[string]string{"3.0": "algorithm=SHA-256", "": "algorithm=MD5"} {
		from := p.mark()
		registered(t, p, func(c *Config) { c.GBVersion = version })
		if m, _ := p.await(from, func(m *message) bool { return m.header("authorization") != "" }); !strings.Contains(m.header("authorization"), want) {
			t.Errorf("version %q answered %q, want %s", version, m.header("authorization"), want)
		}
	}
}

func TestWrongPasswordIsAStatusError(t *testing.T) {
	p := newPlatform(t)
	d := started(t, p, func(c *Config) { c.Password = "wrong" })
	var refused *StatusError
	if err := d.Register(soon(t)); !errors.As(err, &refused) || refused.Code != 401 {
		t.Errorf("Register with a wrong password: %v, want a StatusError of 401", err)
	}
}

func TestRequestIsSentAgainUntilItIsLost(t *testing.T) {
	p := newPlatform(t)
	p.decide = func(*message) int { return -1 }
	d := started(t, p, func(c *Config) { c.Timeout = 1700 * time.Millisecond })
	began := time.Now()
	code, _, err := d.Keepalive(soon(t))
	if took := time.Since(began); code != 0 || !errors.Is(err, ErrTimeout) || took < 1700*time.Millisecond {
		t.Errorf("Keepalive into silence: %d, %v after %v; want ErrTimeout after 1.7 s", code, err, took)
	}
	if n := p.count(isMethod("MESSAGE")); n != 3 { // at 0, 0.5 and 1.5 s
		t.Errorf("it was sent %d times, want 3", n)
	}
}

func TestRefusedKeepaliveMakesTheDeviceRegisterAgain(t *testing.T) {
	for _, stubborn := range []bool{false, true} {
		p := newPlatform(t)
		p.decide = func(m *message) int {
			if m.method == "MESSAGE" {
				return 403
			}
			return 0
		}
		d := registered(t, p, func(c *Config) { c.Stubborn = stubborn })
		from := p.mark()
		if code, _, err := d.Keepalive(soon(t)); code != 403 || err != nil {
			t.Fatalf("Keepalive: %d, %v; want 403", code, err)
		}
		if stubborn {
			if !d.Registered() || p.count(isMethod("REGISTER")) != 2 {
				t.Error("a stubborn device registered again")
			}
			continue
		}
		p.await(from, isMethod("REGISTER"))
	}
}

func TestKeepalivesAndRefreshComeByThemselves(t *testing.T) {
	p := newPlatform(t)
	registered(t, p, func(c *Config) { c.Keepalive, c.Expires = 20*time.Millisecond, time.Second })
	from := p.mark()
	for range 3 {
		_, at := p.await(from, isCmd("Keepalive"))
		from = at + 1
	}
	p.await(from, isMethod("REGISTER"))
}

func TestSilentDeviceSendsAndAnswersNothing(t *testing.T) {
	p := newPlatform(t)
	d := registered(t, p, func(c *Config) { c.Timeout = 100 * time.Millisecond })
	d.SetSilent(true)
	from := p.mark()
	raw, _ := request("OPTIONS", deviceID, "")
	p.send(raw)
	if _, _, err := d.Keepalive(soon(t)); !errors.Is(err, ErrTimeout) {
		t.Errorf("a silent device got an answer: %v", err)
	}
	if p.mark() != from || len(d.Received()) != 0 {
		t.Error("a silent device spoke or listened")
	}
	d.SetSilent(false)
	if code, _, err := d.Keepalive(soon(t)); code != 200 || err != nil {
		t.Errorf("alive again: %d %v", code, err)
	}
}

func TestDeafDeviceGoesOnSending(t *testing.T) {
	p := newPlatform(t)
	d := registered(t, p, nil)
	d.SetAnswering(false)
	raw, callID := request("MESSAGE", deviceID, mansRequest("Query", "DeviceInfo", deviceID, ""))
	p.send(raw)
	if _, err := d.Wait(soon(t), Command("DeviceInfo")); err != nil {
		t.Fatal(err)
	}
	if code, _, _ := d.Keepalive(soon(t)); code != 200 {
		t.Errorf("keepalive %d, want 200", code)
	}
	if p.count(func(m *message) bool { return m.header("call-id") == callID }) != 0 {
		t.Error("it answered all the same")
	}
	d.SetAnswering(true)
	from := p.mark()
	p.send(raw) // the retransmission is taken up
	p.response(from, "DeviceInfo")
	if n := len(d.Received()); n != 1 {
		t.Errorf("Received has %d requests; a retransmission is none", n)
	}
}

func TestMoveChangesThePort(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		p := newPlatform(t)
		d := registered(t, p, func(c *Config) { c.Transport, c.Server = transport, p.udp.LocalAddr().String() })
		before := d.Local()
		if err := d.Move(soon(t), ""); err != nil {
			t.Fatal(err)
		}
		if after := d.Local(); after.Addr() != before.Addr() || after.Port() == before.Port() {
			t.Errorf("%s: moved from %v to %v", transport, before, after)
		}
		if code, _, err := d.Keepalive(soon(t)); code != 200 {
			t.Errorf("%s: keepalive from the new port: %d %v", transport, code, err)
		}
	}
}

func TestBrokenConnectionIsMadeAnewAndRegistered(t *testing.T) {
	p := newPlatform(t)
	registered(t, p, func(c *Config) { c.Transport, c.Retry = "tcp", 10*time.Millisecond })
	from := p.mark()
	p.hangUp()
	p.await(from, isMethod("REGISTER"))
}

func TestRunRegistersUntilItSucceedsAndUnregisters(t *testing.T) {
	p := newPlatform(t)
	refusals := 2
	p.decide = func(m *message) int {
		if m.method == "REGISTER" && refusals > 0 {
			refusals--
			return 503
		}
		return 0
	}
	d, err := New(Config{ID: deviceID, Password: "secret", Server: "udp://" + p.udp.LocalAddr().String(), ServerID: serverID,
		Retry: 10 * time.Millisecond, Keepalive: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	p.serve()
	ctx, stop := context.WithCancel(t.Context())
	end := make(chan error, 1)
	go func() { end <- d.Run(ctx) }()
	p.await(0, isCmd("Keepalive"))
	stop()
	if err := <-end; err != nil {
		t.Errorf("Run: %v", err)
	}
	if p.count(func(m *message) bool { return m.method == "REGISTER" && m.header("expires") == "0" }) == 0 {
		t.Error("it did not unregister")
	}
}

func TestLossFallsAsItsSeedHasIt(t *testing.T) {
	tosses := func(seed uint64, share float64) (lost string) {
		var d dice
		d.init(share, seed)
		for i := range 200 {
			lost += digit(d.lose(i%3 == 0))
		}
		return lost
	}
	if a, b := tosses(7, 0.3), tosses(7, 0.3); a != b {
		t.Errorf("one seed, two falls:\n%s\n%s", a, b)
	}
	if n := strings.Count(tosses(7, 0.3), "1"); n < 40 || n > 80 || tosses(7, 0.3) == tosses(8, 0.3) {
		t.Errorf("%d of 200 are lost at 30 %%, or the seed does not matter", n)
	}
	if strings.Contains(tosses(0, 0), "1") || strings.Contains(tosses(0, 1), "0") {
		t.Error("something is lost at 0, or comes through at 1")
	}
}

func TestLossDropsDatagrams(t *testing.T) {
	p := newPlatform(t)
	d := started(t, p, func(c *Config) { c.Loss, c.Timeout = 1, 50*time.Millisecond })
	if _, _, err := d.Keepalive(soon(t)); !errors.Is(err, ErrTimeout) || p.mark() != 0 {
		t.Errorf("with all lost: %v, %d messages came through", err, p.mark())
	}
}

func TestConfigurationSaysAllThatIsWrong(t *testing.T) {
	_, err := New(Config{ID: "1", ServerID: "2", Server: "http://x", Encoding: "latin1", Loss: 2, Keepalive: -1})
	for _, want := range []string{"device ID", "server ID", "transport", "encoding", "loss", "keepalive"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not speak of %s", err, want)
		}
	}
}

func TestAlarmAndRawBody(t *testing.T) {
	p := newPlatform(t)
	d := registered(t, p, nil)
	when := time.Date(2026, 9, 23, 0, 9, 10, 0, time.UTC)
	if code, err := d.Alarm(soon(t), Alarm{Channel: channel1, Type: 6, Description: "入侵 <1>", Time: when}); code != 200 || err != nil {
		t.Fatalf("Alarm: %d %v", code, err)
	}
	m, _ := p.await(0, isCmd("Alarm"))
	e := bodyOf(m)
	if e.child("DeviceID") != channel1 || e.child("AlarmTime") != "2026-09-23T08:09:10" || e.child("AlarmDescription") != "入侵 <1>" || e.find("Info").child("AlarmType") != "6" {
		t.Errorf("alarm body: %s", decodeText(m.body))
	}
	if strings.Contains(m.body, "入侵") {
		t.Error("the body is UTF-8; GB2312 was declared")
	}
	if code, err := d.Send(soon(t), []byte("\x00<broken")); code != 200 || err != nil {
		t.Errorf("Send: %d %v", code, err)
	}
}
