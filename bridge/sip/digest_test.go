package sip

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const password = "12345678"

// home is where the device of the tests is.
var home = netip.MustParseAddr("192.168.1.64")

// vectors are those of the protocol reference: nonce, uri, nc and cnonce of its exchange.
var vectors = []struct{ algorithm, qop, plain string }{
	{"MD5", "fb6d2f768312116118c121c2608cf961", "6a2143ae65b119e276a75f0a4a8992b7"},
	{"SHA-256", "ae05ead0765a80e9c832fbcb4e67ee44f419e0dded67f46186dea5e245b401a6", "f934d2c150a99b608676e3f62c5ac1c5d5bacc027c808532cc831040636231ed"},
	{"SM3", "edc8701bbdec9020863dcb4f1ce4e22c46b8dc3ea09de2fa80df49684672d4d0", "bc06d90d6e24e70408614d2198479eb32afafb8eb3078d7fd23f0ca58ee2a5b8"},
}

func TestDigestIsThatOfTheStandard(t *testing.T) {
	for _, v := range vectors {
		for _, c := range []struct{ qop, response string }{
			{`, qop=auth, nc=00000001, cnonce="0a4f113b"`, v.qop},
			{`, qop="auth",nc=00000001 , cnonce=0a4f113b`, strings.ToUpper(v.qop)},
			{"", v.plain},
		} {
			header := fmt.Sprintf(`Digest username="%s", realm="%s", nonce="6fe9ba44a76be22a", uri="sip:%s@%s", response="%s", algorithm=%s%s`,
				deviceID, realm, platformID, realm, c.response, v.algorithm, c.qop)
			cred, ok := parseCredentials([]byte(header))
			if !ok {
				t.Fatalf("can't read %s", header)
			}
			alg, _ := algorithmOf(v.algorithm)
			if !cred.matches(alg, "REGISTER", password) {
				t.Errorf("%s %q: the right response is refused", v.algorithm, c.qop)
			}
			if cred.matches(alg, "REGISTER", password+" ") {
				t.Errorf("%s %q: a wrong password is taken", v.algorithm, c.qop)
			}
		}
	}
}

// client is a device's side of the digest.
type client struct {
	algorithm, user, password, realm string
	nonce                            string
	qop                              bool
	nc                               uint32
}

// newClient reads a challenge.
func newClient(t testing.TB, challenge string) *client {
	t.Helper()
	c := &client{user: deviceID, password: password, algorithm: "MD5"}
	rest, ok := strings.CutPrefix(challenge, "Digest ")
	for ok && rest != "" {
		var name, value string
		name, value, rest, ok = nextParam(rest)
		switch name {
		case "realm":
			c.realm = value
		case "nonce":
			c.nonce = value
		case "algorithm":
			c.algorithm = value
		case "qop":
			c.qop = true
		}
	}
	if c.nonce == "" {
		t.Fatalf("no nonce in %q", challenge)
	}
	return c
}

// authorization is the next header of c.
func (c *client) authorization() string {
	alg, _ := algorithmOf(c.algorithm)
	uri := "sip:" + platformID + "@" + realm
	ha1, ha2 := alg.hex(c.user, c.realm, c.password), alg.hex("REGISTER", uri)
	s := fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="%s", algorithm=%s`, c.user, c.realm, c.nonce, uri, c.algorithm)
	if !c.qop {
		return s + fmt.Sprintf(`, response="%s"`, alg.hex(ha1, c.nonce, ha2))
	}
	c.nc++
	nc := fmt.Sprintf("%08x", c.nc)
	return s + fmt.Sprintf(`, response="%s", qop=auth, nc=%s, cnonce="0a4f113b"`, alg.hex(ha1, c.nonce, nc, "0a4f113b", "auth", ha2), nc)
}

// register is a REGISTER with an Authorization as the Handler sees it.
func register(branch, authorization string) *Request {
	r := &Request{
		Method: "REGISTER", CallID: []byte("c"), FromTag: []byte("f"), CSeq: 2, Branch: []byte(branch),
		Path: Path{Network: UDP, Remote: netip.MustParseAddrPort("192.168.1.64:5060")},
	}
	if authorization != "" {
		r.Authorization = []byte(authorization)
	}
	return r
}

func TestEachAlgorithmThatIsOfferedIsTaken(t *testing.T) {
	a := NewAuthenticator(realm, []string{"MD5", "sha256", "SM3"}, time.Minute)
	challenges := a.Challenges(deviceID, Offer{From: home, GB3: true})
	if len(challenges) != 3 {
		t.Fatalf("got %d challenges, want 3", len(challenges))
	}
	for i, name := range []string{"SHA-256", "SM3", "MD5"} {
		if !strings.Contains(challenges[i], ",algorithm="+name+",") || strings.Contains(challenges[i], ", ") {
			t.Errorf("challenge %d is %q, want algorithm %s and no blank after a comma", i, challenges[i], name)
		}
		for _, qop := range []bool{true, false} {
			c := newClient(t, challenges[i])
			c.qop = qop
			var st NonceState
			if got := a.Verify(register("b", c.authorization()), deviceID, password, &st, time.Now()); got != OK {
				t.Errorf("%s qop=%v: got %v, want ok", name, qop, got)
			}
		}
	}
}

func TestADeviceCanBeOfferedItsOwnAlgorithmsInTheirOrder(t *testing.T) {
	a := NewAuthenticator(realm, []string{"MD5", "SHA-256"}, time.Minute)
	got := a.Challenges(deviceID, Offer{From: home, GB3: true, Algorithms: []string{"SM3", "none", "MD5"}, Plain: true})
	if len(got) != 2 || !strings.HasSuffix(got[0], ",algorithm=SM3") || !strings.HasSuffix(got[1], ",algorithm=MD5") {
		t.Fatalf("got %q, want SM3 and MD5 without qop", got)
	}
	var st NonceState
	if v := a.Verify(register("b", newClient(t, got[0]).authorization()), deviceID, password, &st, time.Now()); v != OK {
		t.Errorf("answered with SM3 it is %v", v)
	}
}

func TestOldDevicesAreOfferedMD5Alone(t *testing.T) {
	a := NewAuthenticator(realm, []string{"MD5", "SHA-256", "SM3"}, time.Minute)
	got := a.Challenges(deviceID, Offer{From: home, Stale: true})
	if len(got) != 1 || !strings.Contains(got[0], "algorithm=MD5") || !strings.HasSuffix(got[0], ",stale=true") {
		t.Errorf("got %q, want one MD5 challenge with stale=true", got)
	}
}

func TestVerdicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAuthenticator(realm, []string{"MD5"}, time.Minute)
		fresh := func() *client { return newClient(t, a.Challenges(deviceID, Offer{From: home})[0]) }
		var st NonceState
		verify := func(r *Request) Verdict { return a.Verify(r, deviceID, password, &st, time.Now()) }
		expect := func(what string, got, want Verdict) {
			t.Helper()
			if got != want {
				t.Errorf("%s: got %v, want %v", what, got, want)
			}
		}
		expect("no header", verify(register("b", "")), Missing)
		expect("Basic", verify(register("b", "Basic abc")), Malformed)
		expect("unknown algorithm", verify(register("b", strings.Replace(fresh().authorization(), "=MD5", "=MD5-sess", 1))), Malformed)

		c := fresh()
		c.password = "wrong"
		expect("wrong password", verify(register("b", c.authorization())), Wrong)
		c.nonce = "6fe9ba44a76be22a"
		expect("wrong password, foreign nonce", verify(register("b", c.authorization())), Stale)
		c.password = password
		expect("foreign nonce", verify(register("b", c.authorization())), Stale)

		c = fresh()
		c.password = password + " "
		expect("a blank behind the password", verify(register("b", c.authorization())), OK)
		c = fresh()
		c.user = "admin" // decoders and body cameras have a name of their own
		expect("another user name", verify(register("b", c.authorization())), OK)

		c = fresh()
		c.realm = "other"
		expect("another realm", verify(register("b", c.authorization())), Stale)

		c = fresh()
		first := register("b1", c.authorization())
		expect("first use", verify(first), OK)
		expect("a repetition", verify(first), OK)
		replay := register("b2", string(first.Authorization))
		expect("a replay with another branch", verify(replay), Stale)
		stolen := *first
		stolen.Path.Remote = netip.MustParseAddrPort("192.168.1.66:5060")
		expect("a replay from elsewhere", verify(&stolen), Stale)
		expect("nc grows", verify(register("b3", c.authorization())), OK)
		expect("the one before", verify(first), Stale)
		c.nc = 1
		expect("nc stands still", verify(register("b4", c.authorization())), Stale)

		plain := fresh()
		plain.qop = false
		expect("without qop", verify(register("b5", plain.authorization())), OK)
		expect("without qop again", verify(register("b6", plain.authorization())), Stale)
		c.nc = 9
		expect("a nonce before the last", verify(register("b7", c.authorization())), Stale)

		c = fresh()
		r := register("b8", c.authorization())
		expect("on time", verify(r), OK)
		time.Sleep(33 * time.Second)
		expect("a repetition after 33 s", verify(r), Stale)
		time.Sleep(28 * time.Second)
		expect("after the nonce's life", verify(register("b9", c.authorization())), Stale)
	})
}

// A packet with a forged source comes with a nonce that was never given to the camera there: it must
// not count as that camera's wrong password, nor tell whether the password was right.
func TestNonceServesItsDeviceAtItsAddressAlone(t *testing.T) {
	a := NewAuthenticator(realm, []string{"MD5"}, time.Minute)
	for what, challenge := range map[string]string{
		"another device's":  a.Challenges("34020000001320000002", Offer{From: home})[0],
		"another address'":  a.Challenges(deviceID, Offer{From: home.Next()})[0],
		"another process'":  NewAuthenticator(realm, []string{"MD5"}, time.Minute).Challenges(deviceID, Offer{From: home})[0],
		"nobody's":          `Digest realm="` + realm + `",nonce="0000000000000000000000000000000000000000",algorithm=MD5`,
		"one that is short": `Digest realm="` + realm + `",nonce="0",algorithm=MD5`,
	} {
		for _, c := range []string{password, "wrong"} {
			client := newClient(t, challenge)
			client.password = c
			var st NonceState
			if got := a.Verify(register("b", client.authorization()), deviceID, password, &st, time.Now()); got != Stale {
				t.Errorf("%s nonce with the password %q: %v, want stale", what, c, got)
			}
		}
	}
	mapped := netip.AddrFrom16(home.As16())
	c := newClient(t, a.Challenges(deviceID, Offer{From: mapped})[0])
	var st NonceState
	if got := a.Verify(register("b", c.authorization()), deviceID, password, &st, time.Now()); got != OK {
		t.Errorf("the same address on a socket of both families: %v", got)
	}
}

func TestNoncesNeverRepeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // time stands still
		a := NewAuthenticator(realm, nil, time.Minute)
		seen := map[string]bool{}
		for range 1000 {
			seen[a.nonce(deviceID, home)] = true
		}
		if len(seen) != 1000 {
			t.Errorf("got %d nonces of 1000", len(seen))
		}
	})
}

func TestCredentialsThatCannotBeMeant(t *testing.T) {
	const base = `Digest username="u", realm="r", nonce="n", uri="sip:x", response="0"`
	for _, c := range []struct {
		header string
		ok     bool
	}{
		{base, true},
		{"digest" + base[6:], true},
		{base + ", opaque=\"a,b\", extra=1,", true},
		{strings.ReplaceAll(base, ", ", ","), true},
		{strings.ReplaceAll(base, `"`, ""), true},
		{base + `, nonce="m"`, false},
		{base + `, qop=auth-int, nc=00000001, cnonce="c"`, false},
		{base + `, qop=auth, nc=00000001`, false},
		{base + `, qop=auth, nc=zz, cnonce="c"`, false},
		{base + `, x="open`, false},
		{base + `, noequals`, false},
		{`Digest username="u"`, false},
		{"Digest", false},
		{"", false},
	} {
		if _, ok := parseCredentials([]byte(c.header)); ok != c.ok {
			t.Errorf("%q: got %v, want %v", c.header, ok, c.ok)
		}
	}
}

func FuzzAuthorization(f *testing.F) {
	f.Add([]byte(`Digest username="u", realm="r", nonce="n", uri="sip:x", response="0", qop=auth, nc=00000001, cnonce="c"`))
	f.Add([]byte(`Digest username="a\"b", realm=r,nonce = "n" ,uri=sip:x,response=0`))
	a := NewAuthenticator(realm, Algorithms(), time.Minute)
	f.Fuzz(func(t *testing.T, header []byte) {
		c, ok := parseCredentials(header)
		if ok && (c.username == "" || c.nonce == "" || c.uri == "" || c.response == "" || c.qop && c.cnonce == "") {
			t.Errorf("taken without a part that the digest needs: %+v", c)
		}
		var st NonceState
		if v := a.Verify(register("b", string(header)), deviceID, rightPassword, &st, time.Now()); v == OK {
			t.Errorf("%q is %v without the password", header, v)
		}
	})
}

// rightPassword is one that a fuzzer does not find.
const rightPassword = "a password that nobody knows"
