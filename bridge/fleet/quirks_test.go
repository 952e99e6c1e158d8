package fleet

import (
	"strings"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/quirk"
	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
)

func TestADeviceIsChallengedAsItsQuirksSay(t *testing.T) {
	for _, c := range []struct {
		quirks  quirk.Quirks
		version string
		want    string // of the challenges
	}{
		{quirk.Quirks{}, "3.0", "SHA-256+qop SM3+qop MD5+qop"},
		{quirk.Quirks{GBVersion: "2.0"}, "3.0", "MD5+qop"},
		{quirk.Quirks{GBVersion: "3.0"}, "", "SHA-256+qop SM3+qop MD5+qop"},
		{quirk.Quirks{Digest: quirk.Digest{Algorithms: []string{"SM3"}}}, "", "SM3+qop"},
		{quirk.Quirks{Digest: quirk.Digest{NoQop: true}}, "", "MD5"},
	} {
		f, _ := newQuirkyFleet(t, testConfig(time.Minute), nil, quirk.New(quirk.Config{cam.String(): c.quirks}))
		r := request("REGISTER", cam, home)
		r.GBVersion = []byte(c.version)
		var got []string
		for _, challenge := range f.Serve(r).Challenges {
			_, algorithm, _ := strings.Cut(challenge, "algorithm=")
			got = append(got, strings.Replace(algorithm, `,qop="auth"`, "+qop", 1))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v at version %q: offered %q, want %q", c.quirks, c.version, got, c.want)
		}
	}
}

func TestADeviceThatDateUpsetsGetsNone(t *testing.T) {
	f, _ := newQuirkyFleet(t, testConfig(time.Minute), nil, quirk.New(quirk.Config{cam.String(): {Clock: quirk.Clock{NoDate: true}}}))
	for _, expires := range []int{60, 0} {
		if a := register(f, cam, home, password, func(r *sip.Request) { r.Expires = expires }); a.Code != 200 || !a.NoDate {
			t.Errorf("Expires %d: %+v", expires, a)
		}
	}
	if a := register(f, mustID("34020000001320000002"), home, password, nil); a.Code != 200 || a.NoDate {
		t.Errorf("another device: %+v", a)
	}
}

// A BasicParam that lies, or that can't be read, must not decide when a device counts as gone.
func TestAKeepaliveOfTheQuirksCountsWhateverTheDeviceSays(t *testing.T) {
	table := quirk.New(quirk.Config{cam.String(): {Keepalive: quirk.Keepalive{Interval: 20 * time.Second}}, "ACME/X1": {Keepalive: quirk.Keepalive{Misses: 5}}})
	f, n := newQuirkyFleet(t, testConfig(time.Minute), nil, table)
	register(f, cam, home, password, nil)
	want := func(what string, interval time.Duration, misses int) {
		t.Helper()
		if d, _ := f.Device(cam); d.Heartbeat != (Heartbeat{interval, misses}) {
			t.Errorf("%s: %+v, want %v and %d", what, d.Heartbeat, interval, misses)
		}
	}
	want("registered", 20*time.Second, 3)
	f.SetHeartbeat(cam, time.Hour, 2)
	want("told otherwise", 20*time.Second, 2)
	table.Identify(cam, "ACME", "X1")
	f.Reconsider(cam)
	want("its model known", 20*time.Second, 5)

	f.save()
	later, _ := newFleet(t, testConfig(time.Minute), nil)
	later.Restore([]Record{n.saved[cam]}, time.Now())
	if d, _ := later.Device(cam); d.Heartbeat != (Heartbeat{time.Hour, 2}) {
		t.Errorf("restored without quirks: %+v, want what the device told", d.Heartbeat)
	}
}
