package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gb2mqtt/gb2mqtt/bridge/guard"
	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// listening runs a Fleet behind a SIP endpoint on loopback and returns its address.
func listening(t *testing.T, f *Fleet) string {
	t.Helper()
	c := sip.Default()
	c.Listen = []string{"udp://127.0.0.1:0"}
	e, err := sip.New(c, f, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- e.Run(ctx) }()
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	return e.Addrs()[0].Addr.String()
}

// plainRegister is a REGISTER as it should be; %s stands for the number of its CSeq.
const plainRegister = "REGISTER sip:34020000002000000001@3402000000 SIP/2.0\r\n" +
	"Via: SIP/2.0/UDP 192.168.1.64:5060;rport;branch=z9hG4bK%s\r\n" +
	"From: <sip:34020000001320000001@3402000000>;tag=2043466181\r\n" +
	"To: <sip:34020000001320000001@3402000000>\r\n" +
	"Call-ID: 1011047669@192.168.1.64\r\nCSeq: %s REGISTER\r\n" +
	"Contact: <sip:34020000001320000001@192.168.1.64:5060>\r\n" +
	"Max-Forwards: 70\r\nUser-Agent: IP Camera\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n"

// header returns what a message has behind the name of a header.
func header(message, name string) string {
	found := regexp.MustCompile(`(?mi)^` + name + `:\s*([^\r\n]*)`).FindStringSubmatch(message)
	if found == nil {
		return ""
	}
	return found[1]
}

// Each row is a REGISTER as some device sends it: the exchange must come to the end that is named.
func TestRegistrationsAreTakenAsDevicesSendThem(t *testing.T) {
	swap := func(old, new string) func(string) string {
		return func(m string) string { return strings.Replace(m, old, new, 1) }
	}
	without := func(name string) func(string) string {
		return func(m string) string { return regexp.MustCompile(`(?m)^`+name+`:.*\r\n`).ReplaceAllString(m, "") }
	}
	const expires, contact = "Expires: 3600", "192.168.1.64:5060>\r\nMax"
	for name, c := range map[string]struct {
		change  func(string) string
		code    int
		expires string
	}{
		"as it should be":                         {swap("", ""), 200, "3600"},
		"Expires absent":                          {without("Expires"), 200, "3600"},
		"Expires 0: it takes its leave":           {swap(expires, "Expires: 0"), 200, "0"},
		"Expires too short":                       {swap(expires, "Expires: 5"), 200, "30"},
		"Expires of a minute":                     {swap(expires, "Expires: 60"), 200, "60"},
		"Expires of a week":                       {swap(expires, "Expires: 604800"), 200, "86400"},
		"Expires beyond 32 bits":                  {swap(expires, "Expires: 99999999999999999999"), 200, "86400"},
		"Expires negative":                        {swap(expires, "Expires: -1"), 200, "3600"},
		"Expires a word":                          {swap(expires, "Expires: never"), 200, "3600"},
		"Contact's expires comes before Expires":  {swap(contact, "192.168.1.64:5060>;expires=120\r\nMax"), 200, "120"},
		"Contact's expires 0: it takes its leave": {swap(contact, "192.168.1.64:5060>;expires=0\r\nMax"), 200, "0"},
		"Contact: *":                              {swap("<sip:34020000001320000001@192.168.1.64:5060>\r\nMax", "*\r\nMax"), 200, "0"},
		"Contact without user":                    {swap("<sip:34020000001320000001@192", "<sip:192"), 200, "3600"},
		"Contact with the platform's ID":          {swap("<sip:34020000001320000001@192", "<sip:34020000002000000001@192"), 200, "3600"},
		"Contact 0.0.0.0":                         {swap(contact, "0.0.0.0:5060>\r\nMax"), 200, "3600"},
		"no Contact":                              {without("Contact"), 200, "3600"},
		"no rport":                                {swap(";rport", ""), 200, "3600"},
		"rport with nothing behind its =":         {swap(";rport", ";rport="), 200, "3600"},
		"a Route to itself (ossrs/srs #2071)":     {swap("Max-Forwards", "Route: <sip:34020000001320000001@192.168.1.64:5060;lr>\r\nMax-Forwards"), 200, "3600"},
		"To is another than From":                 {swap("To: <sip:34020000001320000001", "To: <sip:34020000001320000099"), 200, "3600"},
		"From at its own address":                 {swap("0001@3402000000>;tag", "0001@192.168.1.64:5060>;tag"), 200, "3600"},
		"From without brackets":                   {swap("<sip:34020000001320000001@3402000000>;tag", "sip:34020000001320000001@3402000000;tag"), 200, "3600"},
		"the URI's host is not ours":              {swap("REGISTER sip:34020000002000000001@3402000000", "REGISTER sip:34020000002000000001@10.9.9.9:5060"), 200, "3600"},
		"no User-Agent":                           {without("User-Agent"), 200, "3600"},
		"no Max-Forwards (plugin-gb28181 #79)":    {without("Max-Forwards"), 200, "3600"},
		"no Content-Length":                       {without("Content-Length"), 200, "3600"},
		"LF alone ends its lines":                 {func(m string) string { return strings.ReplaceAll(m, "\r\n", "\n") }, 200, "3600"},
		"compact names": {func(m string) string {
			return strings.NewReplacer("Via:", "v:", "From:", "f:", "To:", "t:", "Call-ID:", "i:", "Contact:", "m:", "Content-Length:", "l:").Replace(m)
		}, 200, "3600"},
		"a tag on To":                       {swap("To: <sip:34020000001320000001@3402000000>", "To: <sip:34020000001320000001@3402000000>;tag=x"), 200, "3600"},
		"Call-ID without @":                 {swap("1011047669@192.168.1.64", "1011047669"), 200, "3600"},
		"a Note of GB 35114":                {swap("Max-Forwards", "Note: Digest nonce=\"YQ==\", algorithm=SM3\r\nMonitor-User-Identity: x\r\nMax-Forwards"), 200, "3600"},
		"X-GB-Ver in another case":          {swap("Max-Forwards", "x-gb-ver: 2.0\r\nMax-Forwards"), 200, "3600"},
		"an ID of 14 characters (wvp #652)": {swap("From: <sip:34020000001320000001", "From: <sip:bkq-ks-124567"), 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := newFleet(t, testConfig(time.Minute), nil)
			conn, err := net.Dial("udp", listening(t, f))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			exchange := func(seq int, authorization string) string {
				m := c.change(strings.ReplaceAll(plainRegister, "%s", strconv.Itoa(seq)))
				if authorization != "" {
					end := "\r\n"
					if !strings.Contains(m, end) {
						end = "\n"
					}
					m = strings.Replace(m, end+end, end+"Authorization: "+authorization+end+end, 1)
				}
				if _, err := conn.Write([]byte(m)); err != nil {
					t.Fatal(err)
				}
				if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
					t.Fatal(err)
				}
				b := make([]byte, 2048)
				n, err := conn.Read(b)
				if err != nil {
					t.Fatal(err)
				}
				return string(b[:n])
			}
			a := exchange(1, "")
			if header(a, "X-GB-Ver") != "3.0" {
				t.Errorf("the answer has no X-GB-Ver:\n%s", a)
			}
			if challenge := header(a, "WWW-Authenticate"); challenge != "" {
				a = exchange(2, credentials(cam, password, nonceOf(challenge)))
			}
			if !strings.HasPrefix(a, fmt.Sprintf("SIP/2.0 %d ", c.code)) || header(a, "Expires") != c.expires {
				t.Errorf("got\n%s\nwant %d with Expires %q", a, c.code, c.expires)
			}
			d, _ := f.Device(cam)
			if want := c.code == 200 && c.expires != "0"; d.Registered != want || want && d.Path.Remote.String() != conn.LocalAddr().String() {
				t.Errorf("registered %v at %v; it came from %v", d.Registered, d.Path.Remote, conn.LocalAddr())
			}
			if a := header(a, "Date"); c.code == 200 && !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}$`).MatchString(a) {
				t.Errorf("Date %q", a)
			}
		})
	}
}

// realLockout bans an address and an ID together after three wrong passwords.
func realLockout(t *testing.T) *guard.Lockout {
	t.Helper()
	l, err := guard.NewLockout(guard.LockoutConfig{Failures: 3, Window: time.Minute, Ban: 5 * time.Minute}, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestNobodyLocksOutACameraFromElsewhere(t *testing.T) {
	f, n := newFleet(t, testConfig(time.Minute), realLockout(t))
	register(f, cam, home, password, nil)
	n.take()
	stranger := udp("10.9.9.9:5060")
	codes := ""
	for range 6 {
		codes += fmt.Sprint(register(f, cam, stranger, "guess", nil).Code, " ")
	}
	if codes != "401 403 403 403 403 403 " {
		t.Errorf("the stranger got %s", codes)
	}
	if a := register(f, cam, stranger, password, nil); a.Code != 403 || a.RetryAfter == 0 {
		t.Errorf("from there the right password gets %+v, want the ban", a)
	}
	if a := register(f, cam, home, password, nil); a.Code != 200 || keepalive(f, cam, home) != 200 {
		t.Errorf("the camera itself gets %+v", a)
	}
	n.want(t, "registered 3600 false")
}

// Over UDP anybody can write a camera's address as the source of a packet. What he can't is read the
// challenge that goes there: his own is good at his own address alone.
func TestForgedSourcesLockNobodyOutAndLearnNothing(t *testing.T) {
	f, n := newFleet(t, testConfig(time.Minute), realLockout(t))
	register(f, cam, home, password, nil)
	n.take()
	his := nonceOf(f.Serve(request("REGISTER", cam, udp("10.9.9.9:5060"))).Challenges[0])
	told := make(map[string]bool)
	for i := range 20 {
		for _, guess := range []string{"wrong", password} {
			r := request("REGISTER", cam, home)
			r.CallID, r.Authorization = fmt.Append(nil, "forged-", i), []byte(credentials(cam, guess, his))
			a := f.Serve(r)
			told[fmt.Sprint(a.Code, strings.Contains(a.Challenges[0], "stale=true"), strings.Contains(a.Challenges[0], "qop"))] = true
		}
	}
	if len(told) != 1 || !told["401 true true"] {
		t.Errorf("the forger is told %v, whether his guess is right or wrong", told)
	}
	if a := register(f, cam, home, password, nil); a.Code != 200 {
		t.Errorf("the camera gets %+v", a)
	}
	n.want(t, "registered 3600 false")
}

// A registration of a device moves with each REGISTER that is right, whatever its transport, and
// presence does not change with it.
func TestADeviceMayRegisterOverUDPAndTCPInTurn(t *testing.T) {
	f, n := newFleet(t, testConfig(time.Minute), nil)
	over := []sip.Path{home, tcp("192.168.1.64:40001", 4), home, tcp("192.168.1.64:40002", 5)}
	for i, p := range over {
		if a := register(f, cam, p, password, func(r *sip.Request) { r.CallID = fmt.Append(nil, p.Network) }); a.Code != 200 {
			t.Fatalf("the %d. time: %+v", i, a)
		}
		if d, _ := f.Device(cam); d.Path != p || d.Presence != Online {
			t.Errorf("the %d. time: %+v, want %+v", i, d.Path, p)
		}
	}
	n.want(t, "registered 3600 true; unknown>online registered; registered 3600 true; registered 3600 true; registered 3600 true")
	f.Closed(over[3])
	if d, _ := f.Device(cam); d.Path != home || d.Presence != Online || !d.HasPath {
		t.Errorf("its connection has ended: %+v, want UDP, which it knows", d)
	}
	n.want(t, "")
}

func TestWhoHasNotThePasswordMovesNoRegistration(t *testing.T) {
	f, n := newFleet(t, testConfig(time.Minute), nil)
	register(f, cam, home, password, nil)
	n.take()
	elsewhere := udp("192.168.7.7:5060")
	for what, change := range map[string]func(*sip.Request){
		"nothing else":         nil,
		"its Call-ID":          func(r *sip.Request) { r.CallID = []byte("call-1") },
		"Expires 0":            func(r *sip.Request) { r.Expires = 0 },
		"Contact: *":           func(r *sip.Request) { r.ContactStar = true },
		"another in its To":    func(r *sip.Request) { r.ToUser = []byte("34020000001320000009") },
		"another User-Agent":   func(r *sip.Request) { r.UserAgent = []byte("x") },
		"another X-GB-Ver 3.0": func(r *sip.Request) { r.GBVersion = []byte("3.0") },
	} {
		if a := register(f, cam, elsewhere, "guess", change); a.Code == 200 {
			t.Errorf("with %s: %+v", what, a)
		}
	}
	d, _ := f.Device(cam)
	if d.Path != home || d.Registration.GBVersion != "" || d.Presence != Online {
		t.Errorf("it has become %+v", d)
	}
	n.want(t, "")
	if a := register(f, cam, elsewhere, password, nil); a.Code != 200 {
		t.Errorf("with the password: %+v", a)
	}
	n.want(t, "registered 3600 true")
}

// Devices that begin two exchanges at once answer one challenge twice: the second is told that its
// nonce is stale, comes again at once, and nothing is held against it.
func TestTwoRegistersWithOneNonceBothComeToTheirEnd(t *testing.T) {
	lock := realLockout(t)
	f, _ := newFleet(t, testConfig(time.Minute), lock)
	a := f.Serve(request("REGISTER", cam, home))
	nonce := nonceOf(a.Challenges[0])
	for i, want := range []int{200, 401} {
		r := request("REGISTER", cam, home)
		r.CallID, r.Authorization = fmt.Append(nil, "call-", i), []byte(credentials(cam, password, nonce))
		if a = f.Serve(r); a.Code != want {
			t.Errorf("the %d. gets %+v, want %d", i, a, want)
		}
	}
	if !strings.Contains(a.Challenges[0], "stale=true") {
		t.Errorf("the challenge is %q", a.Challenges[0])
	}
	if a := register(f, cam, home, password, func(r *sip.Request) { r.CallID = []byte("call-1") }); a.Code != 200 {
		t.Errorf("with a fresh nonce: %+v", a)
	}
}

func TestAVersionIsToldOnEveryAnswerToARegister(t *testing.T) {
	f, _ := newFleet(t, testConfig(time.Minute), realLockout(t))
	bad := request("REGISTER", cam, home)
	bad.FromUser = []byte("x")
	for what, a := range map[string]sip.Answer{
		"400": f.Serve(bad), "401": f.Serve(request("REGISTER", cam, home)), "200": register(f, cam, home, password, nil),
	} {
		if fmt.Sprint(a.Code) != what || a.GBVersion != "3.0" {
			t.Errorf("%s: %+v", what, a)
		}
	}
	for range 4 {
		register(f, cam, home, "wrong", nil)
	}
	if a := f.Serve(request("REGISTER", cam, home)); a.Code != 403 || a.GBVersion != "3.0" {
		t.Errorf("403: %+v", a)
	}
}

func TestDevicesBehindOneAddressAreTheirOwn(t *testing.T) {
	other := mustID("34020000001320000002")
	for name, path := range map[string]sip.Path{"one socket": udp("192.168.1.64:5060"), "one connection": tcp("192.168.1.64:5060", 7)} {
		f, _ := newFleet(t, testConfig(time.Minute), realLockout(t))
		for _, id := range []gb28181.ID{cam, other} {
			if a := register(f, id, path, password, func(r *sip.Request) { r.CallID = []byte("one") }); a.Code != 200 {
				t.Fatalf("%s: %s got %+v", name, id, a)
			}
		}
		for range 4 {
			register(f, other, path, "wrong", nil)
		}
		if a := register(f, other, path, password, nil); a.Code != 403 {
			t.Errorf("%s: the one that was wrong is not locked out: %+v", name, a)
		}
		if a := register(f, cam, path, password, nil); a.Code != 200 {
			t.Errorf("%s: the other one is locked out with it: %+v", name, a)
		}
		if d, _ := f.Device(cam); !d.Registered || d.Presence != Online || !d.HasPath || d.Path != path {
			t.Errorf("%s: the other's ban took it along: %+v", name, d)
		}
		third := mustID("34020000001320000003")
		register(f, third, path, password, nil)
		register(f, third, path, password, func(r *sip.Request) { r.Expires = 0 })
		if keepalive(f, cam, path) != 200 || keepalive(f, other, path) != 200 || keepalive(f, third, path) != 403 {
			t.Errorf("%s: one's leave took others along, or it speaks on", name)
		}
	}
}
