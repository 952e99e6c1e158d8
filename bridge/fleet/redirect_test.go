package fleet

import (
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
)

func TestADeviceThatBelongsElsewhereIsSentThere(t *testing.T) {
	const near, far = "sip:34020000002000000009@10.0.0.9:5060", "sip:34030000002000000001@10.0.0.9:5060"
	c := testConfig(time.Minute)
	c.Redirect = Redirect{"34": far, "34020000001320000001": near, "99": far}
	f, n := newFleet(t, c, nil)
	version := func(v string, expires int) func(*sip.Request) {
		return func(r *sip.Request) { r.GBVersion, r.Expires = []byte(v), expires }
	}
	if a := f.Serve(request("REGISTER", cam, home)); a.Code != 401 {
		t.Errorf("without a password: %+v", a)
	}
	if a := register(f, cam, home, "wrong", version("3.0", 60)); a.Code == 302 || a.Contact != "" {
		t.Errorf("with a wrong password: %+v", a)
	}
	n.want(t, "")
	for _, x := range []struct {
		id      string
		expires int
		to      string
		granted int
	}{{"34020000001320000001", 60, near, 60}, {"34020000001320000002", -1, far, 3600}, {"99020000001320000002", 1, far, 30}} {
		a := register(f, mustID(x.id), home, password, version("3.0", x.expires))
		if a.Code != 302 || a.Contact != x.to || a.Expires != x.granted || a.GBVersion != "3.0" {
			t.Errorf("%s: %+v, want 302 to %s for %d s", x.id, a, x.to, x.granted)
		}
		if _, known := f.Device(mustID(x.id)); known {
			t.Errorf("%s is remembered", x.id)
		}
	}
	if a := register(f, mustID("35020000001320000002"), home, password, version("3.0", 60)); a.Code != 200 {
		t.Errorf("one that belongs here: %+v", a)
	}
	n.take()

	// Before 2022 a device does not know what a 302 is: it stays.
	if a := register(f, cam, home, password, version("2.0", 60)); a.Code != 200 {
		t.Errorf("an older device: %+v", a)
	}
	n.want(t, "registered 60 true; unknown>online registered")
	if a := register(f, cam, home, password, version("3.0", 60)); a.Code != 302 {
		t.Errorf("with newer firmware: %+v", a)
	}
	n.want(t, "unregistered; online>offline unregistered")
	if a := register(f, cam, home, password, version("3.0", 0)); a.Code != 200 {
		t.Errorf("a leave: %+v", a)
	}
}
