package sip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// networks runs f over UDP and TCP.
func networks(t *testing.T, f func(*testing.T, Network)) {
	for _, n := range []Network{UDP, TCP} {
		t.Run(n.String(), func(t *testing.T) { f(t, n) })
	}
}

func TestKeepaliveIsAnswered(t *testing.T) {
	networks(t, func(t *testing.T, n Network) {
		seen := make(chan Request, 1)
		e := serve(t, testConfig(), handler(func(r *Request) Answer {
			seen <- r.clone()
			return Answer{Code: 200}
		}))
		p := dial(t, e, n)
		p.send(keepalive("z9hG4bK77"))
		got := p.recv()
		host, port, _ := net.SplitHostPort(p.conn.LocalAddr().String())
		via := fmt.Sprintf("SIP/2.0/UDP 192.168.1.64:5060;rport=%s;branch=z9hG4bK77;received=%s", port, host)
		want := regexp.MustCompile("^SIP/2.0 200 OK\r\nVia: " + regexp.QuoteMeta(via) + "\r\nFrom: <sip:" + deviceID + "@3402000000>;tag=2043466181\r\n" +
			"To: <sip:" + platformID + "@3402000000>;tag=[0-9a-f]+\r\nCall-ID: k1@192.168.1.64\r\nCSeq: 20 MESSAGE\r\nServer: gb2mqtt\r\nContent-Length: 0\r\n\r\n$")
		if !want.MatchString(got) {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		r := <-seen
		if r.Path.Network != n || r.Path.Remote.String() != p.conn.LocalAddr().String() || r.Path.Local != addr(t, e, n) || (n == TCP) != (r.Path.Conn != 0) {
			t.Errorf("path is %+v", r.Path)
		}
		if string(r.FromUser) != deviceID || string(r.Body) != keepaliveBody {
			t.Errorf("got %s with %q", r.FromUser, r.Body)
		}
		p.send(keepalive("z9hG4bK77"))
		<-seen
		if again := p.recv(); again != got {
			t.Errorf("a repetition got another answer:\n%s\n%s", got, again)
		}
	})
}

func TestRegistrationExchange(t *testing.T) {
	networks(t, func(t *testing.T, n Network) {
		auth := NewAuthenticator(realm, []string{"MD5"}, time.Minute)
		var st NonceState
		e := serve(t, testConfig(), handler(func(r *Request) Answer {
			if v := auth.Verify(r, string(r.FromUser), password, &st, r.Received); v != OK {
				return Answer{Code: 401, Challenges: auth.Challenges(string(r.FromUser), Offer{From: r.Path.Remote.Addr(), Stale: v == Stale}), GBVersion: "3.0"}
			}
			return Answer{Code: 200, Expires: r.Expires, GBVersion: "3.0"}
		}))
		p := dial(t, e, n)
		contact := "Contact: <sip:" + deviceID + "@192.168.1.64:5060>;expires=3600;q=1"
		p.send(message("REGISTER", "z9hG4bK1", "r1", 1, "", contact, "Expires: 60"))
		challenge := p.recv()
		if status(t, challenge) != 401 || len(headers(challenge, "WWW-Authenticate")) != 1 {
			t.Fatalf("want a challenge, got\n%s", challenge)
		}
		c := newClient(t, headers(challenge, "WWW-Authenticate")[0])
		p.send(message("REGISTER", "z9hG4bK2", "r1", 2, "", contact, "Authorization: "+c.authorization()))
		got := p.recv()
		date := headers(got, "Date")
		if status(t, got) != 200 || len(date) != 1 {
			t.Fatalf("want 200 with a Date, got\n%s", got)
		}
		when, err := time.ParseInLocation(dateForm, date[0], time.FixedZone("", 8*3600))
		if err != nil || time.Since(when).Abs() > time.Minute {
			t.Errorf("Date is %q, want Beijing time without a zone", date[0])
		}
		for name, want := range map[string]string{
			"Expires": "3600", "X-GB-Ver": "3.0", "Contact": "<sip:" + deviceID + "@192.168.1.64:5060>;q=1;expires=3600",
		} {
			if v := headers(got, name); len(v) != 1 || v[0] != want {
				t.Errorf("%s: got %q, want %q", name, v, want)
			}
		}
		p.send(message("REGISTER", "z9hG4bK3", "r1", 3, "", "Contact: *", "Expires: 0", "Authorization: "+c.authorization()))
		got = p.recv()
		if status(t, got) != 200 || len(headers(got, "Contact")) != 0 || headers(got, "Expires")[0] != "0" {
			t.Errorf("unregister: got\n%s", got)
		}
	})
}

func TestRareRequestsAreAnsweredByTheStandard(t *testing.T) {
	networks(t, func(t *testing.T, n Network) {
		e := serve(t, testConfig(), handler(ok200))
		p := dial(t, e, n)
		for i, c := range []struct {
			method string
			code   int
			allow  bool
		}{
			{"OPTIONS", 200, true}, {"INVITE", 403, false}, {"BYE", 481, false}, {"INFO", 481, false},
			{"SUBSCRIBE", 481, false}, {"CANCEL", 481, false}, {"PUBLISH", 405, true}, {"DANCE", 405, true},
		} {
			msg := message(c.method, fmt.Sprintf("z9hG4bKr%d", i), fmt.Sprintf("c%d", i), 1, "")
			p.send(msg)
			got := p.recv()
			if status(t, got) != c.code || (len(headers(got, "Allow")) == 1) != c.allow {
				t.Errorf("%s: want %d, Allow %v, got\n%s", c.method, c.code, c.allow, got)
			}
			if c.method == "INVITE" {
				p.send(message("ACK", fmt.Sprintf("z9hG4bKr%d", i), fmt.Sprintf("c%d", i), 1, ""))
				p.quiet(600 * time.Millisecond) // timer G would have repeated the answer
				continue
			}
			p.send(strings.ReplaceAll(msg, "\r\n", "\n")) // what the library can't read gets the same answer
			if again := p.recv(); status(t, again) != c.code {
				t.Errorf("%s with LF alone: got\n%s", c.method, again)
			}
		}
	})
}

// Each answer is remembered for 32 s, and only so many are: who asks for more takes nothing from others.
func TestAFloodOfRareRequestsHoldsUpNobodyElse(t *testing.T) {
	e := serve(t, testConfig(), handler(ok200))
	flooder, other := dial(t, e, UDP), dial(t, e, UDP)
	ask := func(p *peer, n int) {
		t.Helper()
		p.send(message("OPTIONS", fmt.Sprintf("z9hG4bKf%d", n), fmt.Sprintf("f%d", n), 1, ""))
		if got := p.recv(); status(t, got) != 200 {
			t.Fatalf("the %d. gets\n%s", n, got)
		}
	}
	for n := range maxServerTransactions + 10 {
		ask(flooder, n)
	}
	ask(other, maxServerTransactions+10)
}

func TestAnswerToInviteIsRepeatedUntilItsAck(t *testing.T) {
	e := serve(t, testConfig(), handler(ok200))
	p := dial(t, e, UDP)
	invite := message("INVITE", "z9hG4bKi", "c1", 1, "")
	p.send(invite)
	first := p.recv()
	if second := p.recv(); second != first || status(t, second) != 403 {
		t.Errorf("got\n%s\nthen\n%s", first, second)
	}
	p.send(strings.ReplaceAll(invite, "INVITE", "CANCEL"))
	got := p.recv()
	for headers(got, "CSeq")[0] == "1 INVITE" { // repeated meanwhile
		got = p.recv()
	}
	if status(t, got) != 200 {
		t.Errorf("CANCEL of an INVITE that is there: got\n%s", got)
	}
	p.send(strings.ReplaceAll(invite, "INVITE", "ACK"))
	p.quiet(1500 * time.Millisecond)
}

func TestBrokenRequestsAreAnsweredWherePossible(t *testing.T) {
	e := serve(t, testConfig(), handler(ok200))
	good := keepalive("z9hG4bK1")
	for _, c := range []struct {
		name, msg string
		code      int
	}{
		{"CSeq of another method", strings.Replace(good, "20 MESSAGE", "20 NOTIFY", 1), 400},
		{"no From", strings.Replace(good, "From:", "X:", 1), 400},
		{"version", strings.Replace(good, "SIP/2.0\r", "SIP/7.0\r", 1), 505},
		{"negative length", strings.Replace(good, "Length: ", "Length: -", 1), 400},
		{"From not SIP", strings.Replace(good, "From: <sip:", "From: <mailto:", 1), 400},
		{"escaped user", strings.Replace(good, "From: <sip:3", "From: <sip:%33", 1), 200},
		{"no Via", strings.Replace(good, "Via:", "X:", 1), 0},
		{"no Call-ID", strings.Replace(good, "Call-ID:", "X:", 1), 0},
		{"ACK with a wrong CSeq", message("ACK", "b", "c", 1, "", "CSeq: x"), 0},
		{"noise", "hello", 0},
		{"keep-alive", "\r\n\r\n", 0},
		{"NUL", "\x00", 0},
		{"a stranger's response", "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\nFrom: <sip:a@b>\r\nTo: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 MESSAGE\r\n\r\n", 0},
		{"from no Via, then a good one", good, 200},
	} {
		p := dial(t, e, UDP)
		p.send(c.msg)
		if c.code == 0 {
			p.send(keepalive("z9hG4bKend"))
			if got := p.recv(); !strings.Contains(got, "z9hG4bKend") {
				t.Errorf("%s: got an answer:\n%s", c.name, got)
			}
			continue
		}
		if got := p.recv(); status(t, got) != c.code {
			t.Errorf("%s: want %d, got\n%s", c.name, c.code, got)
		}
	}
}

func TestBodyBeyondTheLimitIsRefusedAndTheNextRequestServed(t *testing.T) {
	networks(t, func(t *testing.T, n Network) {
		cfg := testConfig()
		cfg.MaxBody = 1000
		e := serve(t, cfg, handler(ok200))
		p := dial(t, e, n)
		p.send(message("MESSAGE", "z9hG4bK1", "c", 1, strings.Repeat("x", 1001)))
		if got := p.recv(); status(t, got) != 413 {
			t.Errorf("got\n%s", got)
		}
		p.send(keepalive("z9hG4bK2"))
		if got := p.recv(); status(t, got) != 200 {
			t.Errorf("after it got\n%s", got)
		}
	})
}

func TestManyMessagesInOneSegmentAreAnsweredInOrder(t *testing.T) {
	e := serve(t, testConfig(), handler(ok200))
	p := dial(t, e, TCP)
	var all strings.Builder
	for i := range 200 {
		all.WriteString(message("MESSAGE", fmt.Sprintf("z9hG4bK%d", i), "c", i+1, keepaliveBody))
	}
	p.send(all.String())
	for i := range 200 {
		if got := headers(p.recv(), "CSeq"); got[0] != fmt.Sprintf("%d MESSAGE", i+1) {
			t.Fatalf("answer %d is to %q", i+1, got)
		}
	}
}

func TestPendingAnswersLaterAndOnce(t *testing.T) {
	networks(t, func(t *testing.T, n Network) {
		pending := make(chan *Pending, 2)
		e := serve(t, testConfig(), handler(func(r *Request) Answer {
			pending <- r.Keep()
			return Answer{}
		}))
		p := dial(t, e, n)
		p.send(keepalive("z9hG4bK1"))
		first := <-pending
		p.send(message("NOTIFY", "z9hG4bK2", "other", 7, "<other/>")) // goes over the read buffer
		<-pending
		if r := first.Request(); string(r.FromUser) != deviceID || string(r.Body) != keepaliveBody || string(r.CallID) != "k1@192.168.1.64" {
			t.Errorf("the copy changed: %s %s %q", r.FromUser, r.CallID, r.Body)
		}
		go first.Answer(Answer{Code: 403, RetryAfter: 1500 * time.Millisecond})
		got := p.recv()
		if status(t, got) != 403 || headers(got, "Retry-After")[0] != "2" || !strings.Contains(got, "z9hG4bK1") {
			t.Errorf("got\n%s", got)
		}
		first.Answer(Answer{Code: 200})
		p.quiet(50 * time.Millisecond)
	})
}

func TestPendingHandsItsAnswerToATest(t *testing.T) {
	r := register("b", "")
	got := make(chan Answer, 1)
	r.ReplyWith(func(a Answer) { got <- a })
	r.Keep().Answer(Answer{Code: 200})
	if a := <-got; a.Code != 200 {
		t.Errorf("got %+v", a)
	}
}

func TestClosedConnectionIsTold(t *testing.T) {
	paths := make(chan Path, 1)
	h := handler(func(r *Request) Answer { paths <- r.Path; return Answer{Code: 200} })
	e := serve(t, testConfig(), h)
	p := dial(t, e, TCP)
	p.send(keepalive("z9hG4bK1"))
	p.recv()
	p.conn.Close()
	if got, want := <-h.closed, <-paths; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestPanicOfTheHandlerCostsOneRequest(t *testing.T) {
	e := serve(t, testConfig(), handler(func(r *Request) Answer {
		if r.CSeq == 1 {
			panic("bad luck")
		}
		return Answer{Code: 200}
	}))
	p := dial(t, e, UDP)
	p.send(message("MESSAGE", "z9hG4bK1", "c", 1, ""))
	p.send(message("MESSAGE", "z9hG4bK2", "c", 2, ""))
	if a, b := status(t, p.recv()), status(t, p.recv()); a != 500 || b != 200 {
		t.Errorf("got %d, %d; want 500, 200", a, b)
	}
}

func TestPeerThatDoesNotReadHoldsUpNobodyElse(t *testing.T) {
	pending := make(chan *Pending, 1)
	h := handler(func(r *Request) Answer {
		if r.CSeq == 1 {
			pending <- r.Keep()
			return Answer{}
		}
		return Answer{Code: 200}
	})
	e := serve(t, testConfig(), h)
	stuck := dial(t, e, TCP)
	stuck.send(message("MESSAGE", "z9hG4bK1", "c", 1, ""))
	path := (<-pending).Request().Path
	l, ok := e.link(path)
	if !ok {
		t.Fatal("no link")
	}
	block := make([]byte, 64<<10)
	begin, err := time.Now(), error(nil)
	for err == nil && time.Since(begin) < 5*time.Second {
		err = l.write(block) // fills the system's buffers, then ours
	}
	if !errors.Is(err, errStuck) {
		t.Fatalf("got %v, want %v", err, errStuck)
	}
	if got := <-h.closed; got != path {
		t.Errorf("closed %+v, want %+v", got, path)
	}
	other := dial(t, e, TCP)
	other.send(message("MESSAGE", "z9hG4bK2", "c", 2, ""))
	other.recv()
}

func TestUDPAndTCPGetOnePort(t *testing.T) {
	e := serve(t, testConfig(), handler(ok200))
	if a := e.Addrs(); len(a) != 2 || a[0].Addr != a[1].Addr {
		t.Errorf("got %v", a)
	}
}

func TestListenSaysWhatIsTaken(t *testing.T) {
	e := serve(t, testConfig(), handler(ok200))
	cfg := testConfig()
	cfg.Listen[1] = "tcp://" + addr(t, e, TCP).String()
	other, err := New(cfg, handler(ok200), silence(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Listen(); err == nil || !strings.Contains(err.Error(), "sip.listen[1]") {
		t.Errorf("got %v", err)
	}
	if len(other.Addrs()) != 0 {
		t.Error("a socket is left open")
	}
}

func TestRunWithoutListenFails(t *testing.T) {
	e, err := New(testConfig(), handler(ok200), silence(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Run(context.Background()); err == nil {
		t.Error("no error")
	}
}

func TestDualStackSocketAnswersBothFamilies(t *testing.T) {
	cfg := testConfig()
	cfg.Listen = []string{"udp://[::]:0"}
	e := serve(t, cfg, handler(ok200))
	port := e.Addrs()[0].Addr.Port()
	for _, host := range []string{"127.0.0.1", "::1"} {
		c, err := net.Dial("udp", net.JoinHostPort(host, fmt.Sprint(port)))
		if err != nil {
			t.Skipf("no %s here: %v", host, err)
		}
		p := &peer{t: t, conn: c}
		p.send(keepalive("z9hG4bK1"))
		if got := p.recv(); !strings.Contains(got, ";received="+host+"\r\n") {
			t.Errorf("got\n%s", got)
		}
		c.Close()
	}
}
