package fleet

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// ban is a lock-out after a number of failures.
type ban struct{ after, failed, succeeded int }

func (b *ban) Banned(netip.Addr, [20]byte, time.Time) (time.Duration, bool) {
	return time.Minute, b.failed >= b.after
}
func (b *ban) Failed(netip.Addr, [20]byte, time.Time) { b.failed++ }
func (b *ban) Succeeded(netip.Addr, [20]byte)         { b.succeeded++ }

func TestRegisterGrantsWithinBounds(t *testing.T) {
	f, _ := newFleet(t, testConfig(time.Minute), nil)
	for asked, want := range map[int]int{-1: 3600, 1: 30, 30: 30, 60: 60, 100000: 86400} {
		a := register(f, cam, home, password, func(r *sip.Request) { r.Expires = asked })
		if a.Code != 200 || a.Expires != want || a.GBVersion != "3.0" {
			t.Errorf("Expires %d: got %+v, want %d", asked, a, want)
		}
	}
}

func TestRegisterIsFreshWhenItBindsAnew(t *testing.T) {
	f, n := newFleet(t, testConfig(time.Minute), nil)
	call := func(id string) func(*sip.Request) { return func(r *sip.Request) { r.CallID = []byte(id) } }
	for _, c := range []struct {
		path   sip.Path
		change func(*sip.Request)
		want   string
	}{
		{home, call("a"), "registered 3600 true; unknown>online registered"},
		{home, call("a"), "registered 3600 false"},
		{home, call("b"), "registered 3600 true"},
		{udp("192.168.7.7:5060"), call("b"), "registered 3600 true"},
		{tcp("192.168.7.7:5060", 4), call("b"), "registered 3600 true"},
		{tcp("192.168.7.7:5060", 4), call("b"), "registered 3600 false"},
		{home, func(r *sip.Request) { r.ContactStar = true }, "unregistered; online>offline unregistered"},
		{home, call("b"), "registered 3600 true; offline>online registered"},
	} {
		if a := register(f, cam, c.path, password, c.change); a.Code != 200 {
			t.Errorf("got %+v", a)
		}
		n.want(t, c.want)
	}
	if keepalive(f, cam, udp("192.168.7.7:5060")) != 403 {
		t.Error("the address before still counts")
	}
}

func TestRegisterRefuses(t *testing.T) {
	c := testConfig(time.Minute)
	c.Auth.Allow = []string{"192.168.0.0/16"}
	c.Auth.Devices = map[string]string{"34020000001320000002": "own"}
	c.MaxDevices = 1
	f, n := newFleet(t, c, nil)
	own := mustID("34020000001320000002")
	if a := register(f, cam, home, password, func(r *sip.Request) { r.FromUser = []byte("bkq-ks-124567") }); a.Code != 400 {
		t.Errorf("ID that is none: %+v", a)
	}
	if a := register(f, cam, udp("10.1.1.1:5060"), password, nil); a.Code != 403 {
		t.Errorf("address not allowed: %+v", a)
	}
	if a := register(f, own, home, password, nil); a.Code != 401 {
		t.Errorf("another's password: %+v", a)
	}
	if a := register(f, own, home, "own", func(r *sip.Request) { r.ToUser = []byte("x") }); a.Code != 200 {
		t.Errorf("own password: %+v", a)
	}
	if a := register(f, cam, home, password, nil); a.Code != 503 || a.RetryAfter == 0 {
		t.Errorf("one too many: %+v", a)
	}
	n.want(t, "registered 3600 true; unknown>online registered")
}

func TestNobodyRegistersWithoutAPassword(t *testing.T) {
	c := testConfig(time.Minute)
	c.Auth.Password = ""
	f, _ := newFleet(t, c, nil)
	if a := register(f, cam, home, "", nil); a.Code != 403 {
		t.Errorf("got %+v", a)
	}
}

func TestWrongPasswordIsChallengedOnceThenRefusedThenBanned(t *testing.T) {
	lock := &ban{after: 3}
	f, n := newFleet(t, testConfig(time.Minute), lock)
	for i, want := range []int{401, 403, 403} {
		if a := register(f, cam, home, "wrong", nil); a.Code != want || want == 401 && len(a.Challenges) != 1 {
			t.Errorf("attempt %d: got %+v, want %d", i, a, want)
		}
	}
	if a := register(f, cam, home, password, nil); a.Code != 403 || a.RetryAfter != time.Minute || lock.failed != 3 {
		t.Errorf("banned: got %+v after %d failures", a, lock.failed)
	}
	lock.failed = 0
	if a := register(f, cam, home, password, nil); a.Code != 200 || lock.succeeded != 1 {
		t.Errorf("after the ban: %+v", a)
	}
	n.want(t, "registered 3600 true; unknown>online registered")
}

// wvp #1358 and #2059: a password of the device's own that was left over, one recorder of four that
// fails: the log must tell what was expected and what came, without what the password could be
// guessed by.
func TestAWrongPasswordIsLoggedWithWhatItWasMeasuredBy(t *testing.T) {
	for key, devices := range map[string]map[string]string{"sip.auth.devices": {cam.String(): "own"}, "sip.auth.password": nil} {
		var log strings.Builder
		c := testConfig(time.Minute)
		c.Auth.Devices = devices
		n := &notes{}
		f, err := New(c, Options{Sink: n, Log: slog.New(slog.NewTextHandler(&log, nil)), Registerer: prometheus.NewRegistry()})
		if err != nil {
			t.Fatal(err)
		}
		n.f = f
		for range 3 {
			register(f, cam, home, "wrong", nil)
		}
		said := log.String()
		for _, want := range []string{"expected=" + key, cam.String(), "192.168.1.64:5060", "response=****", "uri=", "algorithm=MD5"} {
			if !strings.Contains(said, want) {
				t.Errorf("%s is not in the log: %s", want, said)
			}
		}
		if strings.Count(said, "\n") != 1 {
			t.Errorf("once in a while is enough: %s", said)
		}
	}
	for _, header := range []string{`Digest response="abc", uri="x"`, `Digest RESPONSE = abc,uri="x"`, `Digest response="abc`} {
		if got := masked([]byte(header)); strings.Contains(got, "abc") || strings.Contains(header, "uri") && !strings.Contains(got, "uri") {
			t.Errorf("%s is logged as %s", header, got)
		}
	}
}

func TestDeviceThatFailsWithQopIsChallengedWithoutAndThatIsRemembered(t *testing.T) {
	for name, bad := range map[string]func(nonce string) string{
		"wrong response": func(nonce string) string { return credentials(cam, "wrong", nonce) },
		"qop without nc": func(nonce string) string { return credentials(cam, password, nonce) + `,qop=auth,cnonce="1"` },
	} {
		f, _ := newFleet(t, testConfig(time.Minute), nil)
		challenge := func(id gb28181.ID, p sip.Path, authorization string) string {
			r := request("REGISTER", id, p)
			if authorization != "" {
				r.Authorization = []byte(authorization)
			}
			return strings.Join(f.Serve(r).Challenges, "")
		}
		first := challenge(cam, home, "")
		if !strings.Contains(first, `qop="auth"`) {
			t.Errorf("%s: first challenge %q, want qop", name, first)
		}
		if c := challenge(cam, home, bad(nonceOf(first))); c == "" || strings.Contains(c, "qop") {
			t.Errorf("%s: after the failure: %q, want a challenge without qop", name, c)
		}
		for _, other := range []struct {
			id   gb28181.ID
			path sip.Path
		}{{mustID("34020000001320000002"), home}, {cam, udp("10.9.9.9:5060")}} {
			if c := challenge(other.id, other.path, ""); !strings.Contains(c, `qop="auth"`) {
				t.Errorf("%s: %s at %s is challenged with %q, want qop", name, other.id, other.path.Remote, c)
			}
		}
	}

	f, _ := newFleet(t, testConfig(time.Minute), nil)
	register(f, cam, home, "wrong", nil)
	register(f, cam, home, password, nil)
	if a := f.Serve(request("REGISTER", cam, home)); len(a.Challenges) != 1 || strings.Contains(a.Challenges[0], "qop") {
		t.Errorf("once registered: %q, want a challenge without qop", a.Challenges)
	}
}

func TestWrongUnregisterChangesNothing(t *testing.T) {
	f, n := newFleet(t, testConfig(time.Minute), nil)
	register(f, cam, home, password, nil)
	n.take()
	if a := register(f, cam, home, "wrong", func(r *sip.Request) { r.Expires = 0 }); a.Code == 200 {
		t.Errorf("got %+v", a)
	}
	n.want(t, "")
}

func TestVersion3IsOfferedAllAlgorithmsAndRemembered(t *testing.T) {
	f, _ := newFleet(t, testConfig(time.Minute), nil)
	register(f, cam, home, password, func(r *sip.Request) { r.GBVersion = []byte("3.0") })
	if a := f.Serve(request("REGISTER", cam, home)); len(a.Challenges) != 3 {
		t.Errorf("got %d challenges, want 3", len(a.Challenges))
	}
}

func TestWrongPasswordsAreRememberedWithinBounds(t *testing.T) {
	sh := &shardsOf(t).shards[0]
	ip := netip.MustParseAddr("10.0.0.1")
	for range 3 * maxWrong {
		sh.firstWrongLocked(attempt{cam, ip}, 0)
		ip = ip.Next()
	}
	if len(sh.wrong) > maxWrong {
		t.Errorf("%d remembered, want %d at most", len(sh.wrong), maxWrong)
	}
}

func shardsOf(t *testing.T) *Fleet { f, _ := newFleet(t, testConfig(time.Minute), nil); return f }

func TestConfigComplaints(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*Config){
		`sip.keepalive.interval: 500ms is out of range; use 1s to 1h0m0s (cameras default to 60s)`: func(c *Config) { c.Keepalive.Interval = time.Second / 2 },
		`sip.keepalive.misses: 0 is out of range; use 1 to 10`:                                     func(c *Config) { c.Keepalive.Misses = 0 },
		`sip.auth.allow[0]: "x" is not a network; use CIDR notation as in 192.168.0.0/16`:          func(c *Config) { c.Auth.Allow = []string{"x"} },
		`sip.auth.algorithms[0]: "md4" is not known; use some of MD5, SHA-256, SM3`:                func(c *Config) { c.Auth.Algorithms = []string{"md4"} },
		`sip.auth.devices: "7" has 1 characters; a GB/T 28181 ID has 20 digits`:                    func(c *Config) { c.Auth.Devices = map[string]string{"7": "x"} },
		`limits.devices: -1 is negative; use 0 for no limit`:                                       func(c *Config) { c.MaxDevices = -1 },
	} {
		c := Default()
		change(&c)
		if err := c.Validate(); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}
