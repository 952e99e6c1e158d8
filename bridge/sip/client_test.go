package sip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var query = Outgoing{Method: "MESSAGE", User: deviceID, ContentType: "Application/MANSCDP+xml", Body: []byte("<Query>\xb4\xf3</Query>")}

// pathOf registers p at e by a message, and returns its path.
func pathOf(t *testing.T, p *peer, paths <-chan Path) Path {
	t.Helper()
	p.send(keepalive("z9hG4bKpath"))
	p.recv()
	return <-paths
}

// withPaths is a Handler that tells the paths it has seen.
func withPaths() (serveFunc, <-chan Path) {
	paths := make(chan Path, 100)
	return handler(func(r *Request) Answer { paths <- r.Path; return Answer{Code: 200} }), paths
}

// respond answers a request of ours as a device does.
func respond(req string, code int, body string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "SIP/2.0 %d Whatever\r\n", code)
	for _, name := range []string{"Via", "From", "To", "Call-ID", "CSeq"} {
		v := headers(req, name)[0]
		if name == "To" {
			v += ";tag=dev"
		}
		fmt.Fprintf(&b, "%s: %s\r\n", name, v)
	}
	fmt.Fprintf(&b, "Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	return b.String()
}

// asked is the result of a Request.
type asked struct {
	res Response
	err error
}

// ask sends query in the background.
func ask(ctx context.Context, e *Endpoint, p Path) <-chan asked {
	c := make(chan asked, 1)
	go func() {
		res, err := e.Request(ctx, p, query)
		c <- asked{res, err}
	}()
	return c
}

func TestRequestIsWhatDevicesWant(t *testing.T) {
	networks(t, func(t *testing.T, n Network) {
		h, paths := withPaths()
		e := serve(t, testConfig(), h)
		p := dial(t, e, n)
		path := pathOf(t, p, paths)
		result := ask(t.Context(), e, path)
		got := p.recv()
		here, there := regexp.QuoteMeta(path.Local.String()), regexp.QuoteMeta(path.Remote.String())
		want := regexp.MustCompile("^MESSAGE sip:" + deviceID + "@" + there + " SIP/2.0\r\n" +
			"Via: SIP/2.0/" + strings.ToUpper(n.String()) + " " + here + ";rport;branch=z9hG4bK[0-9A-Z]+\r\n" +
			"From: <sip:" + platformID + "@3402000000>;tag=[0-9A-Z]+\r\nTo: <sip:" + deviceID + "@3402000000>\r\n" +
			"Call-ID: [0-9A-Za-z]+@" + here + "\r\nCSeq: 1 MESSAGE\r\nContact: <sip:" + platformID + "@" + here + ">\r\n" +
			"Max-Forwards: 70\r\nUser-Agent: gb2mqtt\r\nContent-Type: Application/MANSCDP\\+xml\r\nContent-Length: 17\r\n\r\n")
		if !want.MatchString(got) || !strings.HasSuffix(got, string(query.Body)) {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		p.send(respond(got, 100, ""))
		p.send(respond(got, 486, "why"))
		r := <-result
		if r.err != nil || r.res.Code != 486 || r.res.Reason != "Whatever" || string(r.res.Body) != "why" || r.res.ContentType != "text/plain" || r.res.RTT <= 0 {
			t.Errorf("got %+v", r)
		}
		nothingLeft(t, e)
	})
}

// nothingLeft sees that no transaction is kept.
func nothingLeft(t *testing.T, e *Endpoint) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.calls) != 0 {
		t.Errorf("%d transactions are left", len(e.calls))
	}
}

func TestAnswerCountsFromThePeerAskedAlone(t *testing.T) {
	h, paths := withPaths()
	cfg := testConfig()
	cfg.Listen = []string{"udp://0.0.0.0:0"}
	e := serve(t, cfg, h)
	p := dial(t, e, UDP)
	path := pathOf(t, p, paths)
	result := ask(t.Context(), e, path)
	got := p.recv()
	if via := headers(got, "Via")[0]; strings.Contains(via, "0.0.0.0") {
		t.Errorf("Via has no address that can be reached: %s", via)
	}
	var in inbound
	deliver := func(msg string, from string) {
		if f := in.datagram([]byte(msg), 1000); f != fine {
			t.Fatal(f)
		}
		in.Path = Path{Network: UDP, Remote: netip.MustParseAddrPort(from), Local: path.Local}
		e.response(&in)
	}
	deliver(respond(got, 403, ""), "127.0.0.2:5060")
	deliver(strings.Replace(respond(got, 403, ""), "Call-ID: ", "Call-ID: x", 1), path.Remote.String())
	deliver(strings.Replace(respond(got, 403, ""), " MESSAGE", " INVITE", 1), path.Remote.String())
	select {
	case r := <-result:
		t.Fatalf("a stranger's answer counted: %+v", r)
	case <-time.After(50 * time.Millisecond):
	}
	deliver(respond(got, 200, ""), "127.0.0.1:9") // a NAT that moved the port
	if r := <-result; r.err != nil || r.res.Code != 200 {
		t.Errorf("got %+v", r)
	}
}

func TestRequestEndsWithItsConnection(t *testing.T) {
	h, paths := withPaths()
	cfg := testConfig()
	cfg.TransactionTimeout = 30 * time.Second
	e := serve(t, cfg, h)
	p := dial(t, e, TCP)
	path := pathOf(t, p, paths)
	result := ask(t.Context(), e, path)
	p.recv()
	p.conn.Close()
	if r := <-result; !errors.Is(r.err, ErrNoPath) {
		t.Errorf("got %v, want %v", r.err, ErrNoPath)
	}
	<-h.closed
	if _, err := e.Request(t.Context(), path, query); !errors.Is(err, ErrNoPath) {
		t.Errorf("got %v, want %v", err, ErrNoPath)
	}
}

func TestRequestEndsWithItsContext(t *testing.T) {
	h, paths := withPaths()
	e := serve(t, testConfig(), h)
	p := dial(t, e, UDP)
	path := pathOf(t, p, paths)
	ctx, cancel := context.WithCancel(t.Context())
	result := ask(ctx, e, path)
	p.recv()
	cancel()
	if r := <-result; !errors.Is(r.err, context.Canceled) {
		t.Errorf("got %v", r.err)
	}
	p.quiet(700 * time.Millisecond)
	nothingLeft(t, e)
}

func TestRunEndsRequests(t *testing.T) {
	cfg := testConfig()
	cfg.TransactionTimeout = 30 * time.Second
	e, err := New(cfg, handler(ok200), silence(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	p := dial(t, e, UDP)
	path := Path{Network: UDP, Remote: netip.MustParseAddrPort(p.conn.LocalAddr().String()), Local: addr(t, e, UDP)}
	result := ask(t.Context(), e, path)
	p.recv()
	cancel()
	if r := <-result; !errors.Is(r.err, ErrClosed) {
		t.Errorf("got %v, want %v", r.err, ErrClosed)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, err := e.Request(t.Context(), path, query); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want %v", err, ErrClosed)
	}
}

func TestRequestRefusesWhatWouldBreakTheMessage(t *testing.T) {
	e := serve(t, testConfig(), handler(ok200))
	for _, o := range []Outgoing{
		{Method: "INVITE", User: deviceID}, {Method: "ME SSAGE", User: deviceID}, {Method: "MESSAGE"},
		{Method: "MESSAGE", User: "a\r\nX: y"}, {Method: "MESSAGE", User: deviceID, ContentType: "a\r\nX: y"},
	} {
		if _, err := e.Request(t.Context(), Path{}, o); err == nil || errors.Is(err, ErrNoPath) {
			t.Errorf("%+v: got %v", o, err)
		}
	}
}

func TestAdvertisedAddressStandsInViaAndContact(t *testing.T) {
	h, paths := withPaths()
	cfg := testConfig()
	cfg.Advertise = "sip.example.com:15060"
	e := serve(t, cfg, h)
	p := dial(t, e, UDP)
	result := ask(t.Context(), e, pathOf(t, p, paths))
	got := p.recv()
	if !strings.Contains(headers(got, "Via")[0], " sip.example.com:15060;") || headers(got, "Contact")[0] != "<sip:"+platformID+"@sip.example.com:15060>" {
		t.Errorf("got\n%s", got)
	}
	p.send(respond(got, 200, ""))
	<-result
}

func TestSubscriptionIsRefreshedInsideItsDialog(t *testing.T) {
	networks(t, func(t *testing.T, n Network) {
		h, paths := withPaths()
		e := serve(t, testConfig(), h)
		p := dial(t, e, n)
		path := pathOf(t, p, paths)
		subscribe := func(s Subscribe, toTag, expires string) (string, Response) {
			o := Outgoing{Method: "SUBSCRIBE", User: deviceID, ContentType: "Application/MANSCDP+xml", Body: []byte("<Query/>"), Subscribe: &s}
			type result struct {
				res Response
				err error
			}
			done := make(chan result, 1)
			go func() {
				res, err := e.Request(t.Context(), path, o)
				done <- result{res, err}
			}()
			got := p.recv()
			answer := respond(got, 200, "")
			to := headers(got, "To")[0]
			answer = strings.Replace(answer, "To: "+to+";tag=dev", "To: "+strings.SplitN(to, ";tag=", 2)[0]+";tag="+toTag+"\r\nExpires: "+expires, 1)
			p.send(answer)
			r := <-done
			if r.err != nil {
				t.Fatal(r.err)
			}
			return got, r.res
		}
		first, res := subscribe(Subscribe{Event: "Catalog;id=7", Expires: 3600}, "dev1", "600")
		if strings.Contains(headers(first, "To")[0], "tag=") || headers(first, "Event")[0] != "Catalog;id=7" || headers(first, "Expires")[0] != "3600" || len(headers(first, "Contact")) != 1 {
			t.Errorf("the first SUBSCRIBE is\n%s", first)
		}
		if res.Expires != 600 || res.Dialog.RemoteTag != "dev1" {
			t.Errorf("got %+v", res)
		}
		second, again := subscribe(Subscribe{Event: "Catalog;id=7", Expires: 0, Dialog: res.Dialog}, "dev1", "0")
		for _, same := range []string{"Call-ID", "From"} {
			if headers(first, same)[0] != headers(second, same)[0] {
				t.Errorf("%s is %s, then %s", same, headers(first, same)[0], headers(second, same)[0])
			}
		}
		if !strings.HasSuffix(headers(second, "To")[0], ";tag=dev1") || again.Dialog.CSeq != res.Dialog.CSeq+1 || headers(second, "Expires")[0] != "0" {
			t.Errorf("the refresh is\n%s", second)
		}
	})
}

// fakeLink is a way out that notes when something was sent.
type fakeLink struct {
	sent chan time.Time
	tcp  bool
	fail error
}

func (l fakeLink) write([]byte) error    { l.sent <- time.Now(); return l.fail }
func (l fakeLink) gone() <-chan struct{} { return nil }
func (l fakeLink) reliable() bool        { return l.tcp }

// exchangeFor runs one transaction that nobody answers, in virtual time, and returns when it
// sent and how it ended.
func exchangeFor(t *testing.T, timeout time.Duration, l fakeLink) (sends []time.Duration, took time.Duration, err error) {
	cfg := testConfig()
	cfg.TransactionTimeout = timeout
	e, newErr := New(cfg, handler(ok200), silence(), prometheus.NewRegistry())
	if newErr != nil {
		t.Fatal(newErr)
	}
	start := time.Now()
	_, err = e.exchange(t.Context(), l, Path{Network: UDP, Remote: netip.MustParseAddrPort("10.0.0.1:5060")}, "10.0.0.2:5060", query)
	took = time.Since(start)
	nothingLeft(t, e)
	time.Sleep(time.Minute) // what was left would be sent now
	close(l.sent)
	for s := range l.sent {
		sends = append(sends, s.Sub(start))
	}
	return sends, took, err
}

func TestUnansweredRequestIsRepeatedUntilTheTimeout(t *testing.T) {
	s := time.Second
	for _, c := range []struct {
		timeout time.Duration
		tcp     bool
		want    []time.Duration
	}{
		{4 * s, false, []time.Duration{0, s / 2, 3 * s / 2, 7 * s / 2}},
		{4 * s, true, []time.Duration{0}},
		{s / 10, false, []time.Duration{0}},
		{12 * s, false, []time.Duration{0, s / 2, 3 * s / 2, 7 * s / 2, 15 * s / 2, 23 * s / 2}},
	} {
		synctest.Test(t, func(t *testing.T) {
			sends, took, err := exchangeFor(t, c.timeout, fakeLink{sent: make(chan time.Time, 100), tcp: c.tcp})
			if !errors.Is(err, ErrTimeout) || (took-c.timeout).Abs() > time.Millisecond {
				t.Errorf("timeout %v: got %v after %v", c.timeout, err, took)
			}
			// The library sleeps for microseconds here and there.
			near := len(sends) == len(c.want)
			for i := range min(len(sends), len(c.want)) {
				near = near && (sends[i]-c.want[i]).Abs() < time.Millisecond
			}
			if !near {
				t.Errorf("timeout %v, tcp %v: sent at %v, want %v", c.timeout, c.tcp, sends, c.want)
			}
		})
	}
}

func TestRequestThatCannotBeSentEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sends, took, err := exchangeFor(t, 4*time.Second, fakeLink{sent: make(chan time.Time, 100), fail: errors.New("no route")})
		if !errors.Is(err, ErrNoPath) || took > time.Millisecond || len(sends) != 1 {
			t.Errorf("got %v after %v, %d sends", err, took, len(sends))
		}
	})
}

func TestManyRequestsAtOnceAreKeptApart(t *testing.T) {
	h, paths := withPaths()
	cfg := testConfig()
	cfg.TransactionTimeout = 10 * time.Second
	e := serve(t, cfg, h)
	p := dial(t, e, UDP)
	path := pathOf(t, p, paths)
	const n = 200
	go func() {
		for { // a busy machine makes requests come twice
			req, err := p.next(time.Minute)
			if err != nil {
				return
			}
			if _, err := p.conn.Write([]byte(respond(req, 200, headers(req, "To")[0]))); err != nil {
				return
			}
		}
	}()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			o := query
			o.User = fmt.Sprintf("3402000000132%07d", i)
			res, err := e.Request(t.Context(), path, o)
			if err != nil || !strings.Contains(string(res.Body), o.User) {
				t.Errorf("%s: got %+v, %v", o.User, res, err)
			}
		})
	}
	wg.Wait()
	nothingLeft(t, e)
}
