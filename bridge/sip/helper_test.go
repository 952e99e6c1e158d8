package sip

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

const (
	platformID = "34020000002000000001"
	deviceID   = "34020000001320000001"
	realm      = "3402000000"
)

// serveFunc is a Handler that answers with a function and remembers closed paths.
type serveFunc struct {
	f      func(*Request) Answer
	closed chan Path
}

func (h serveFunc) Serve(r *Request) Answer { return h.f(r) }
func (h serveFunc) Closed(p Path)           { h.closed <- p }

// handler makes a Handler of f.
func handler(f func(*Request) Answer) serveFunc {
	return serveFunc{f, make(chan Path, 64)}
}

// ok200 answers all with 200.
func ok200(*Request) Answer { return Answer{Code: 200, Expires: 3600} }

// silence is a log that is not read.
func silence() *slog.Logger { return slog.New(slog.DiscardHandler) }

// testConfig listens on ports of the system's choice.
func testConfig() Config {
	c := Default()
	c.Listen = []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"}
	c.TransactionTimeout = time.Second
	return c
}

// serve runs an endpoint until the test ends, and sees that nothing is left of it.
func serve(t testing.TB, cfg Config, h Handler) *Endpoint {
	t.Helper()
	e, err := New(cfg, h, silence(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("Run does not end")
		}
		if _, ok := t.(*testing.T); ok { // a benchmark's own goroutines are unknown to goleak
			goleak.VerifyNone(t)
		}
	})
	return e
}

// addr returns where e listens on n.
func addr(t testing.TB, e *Endpoint, n Network) netip.AddrPort {
	t.Helper()
	for _, b := range e.Addrs() {
		if b.Network == n {
			return b.Addr
		}
	}
	t.Fatalf("no %s socket", n)
	return netip.AddrPort{}
}

// peer is a device's socket.
type peer struct {
	t    testing.TB
	conn net.Conn
	buf  []byte
	mu   sync.Mutex
}

// dial connects a device to e.
func dial(t testing.TB, e *Endpoint, n Network) *peer {
	t.Helper()
	c, err := net.Dial(n.String(), addr(t, e, n).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &peer{t: t, conn: c}
}

func (p *peer) send(s string) {
	p.t.Helper()
	if _, err := p.conn.Write([]byte(s)); err != nil {
		p.t.Fatal(err)
	}
}

// recv returns the next message.
func (p *peer) recv() string {
	p.t.Helper()
	s, err := p.next(5 * time.Second)
	if err != nil {
		p.t.Fatalf("nothing received: %v", err)
	}
	return s
}

// next reads one message: a datagram, or what a Content-Length ends.
func (p *peer) next(wait time.Duration) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return "", err
	}
	in := make([]byte, 64<<10)
	for {
		if i := bytes.Index(p.buf, []byte("\r\n\r\n")); i >= 0 {
			var m inbound
			m.scan(bytes.Clone(p.buf[:i+4]))
			if n := i + 4 + max(0, m.length); len(p.buf) >= n {
				s := string(p.buf[:n])
				p.buf = p.buf[n:]
				return s, nil
			}
		}
		n, err := p.conn.Read(in)
		if err != nil {
			return "", err
		}
		p.buf = append(p.buf, in[:n]...)
	}
}

// quiet fails if anything comes within d.
func (p *peer) quiet(d time.Duration) {
	p.t.Helper()
	if s, err := p.next(d); err == nil {
		p.t.Fatalf("got an answer where there should be none:\n%s", s)
	}
}

// message is a request of a device with its usual headers.
func message(method, branch, callID string, cseq int, body string, extra ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s sip:%s@%s SIP/2.0\r\n", method, platformID, realm)
	fmt.Fprintf(&b, "Via: SIP/2.0/UDP 192.168.1.64:5060;rport;branch=%s\r\n", branch)
	fmt.Fprintf(&b, "From: <sip:%s@%s>;tag=2043466181\r\n", deviceID, realm)
	fmt.Fprintf(&b, "To: <sip:%s@%s>\r\n", platformID, realm)
	fmt.Fprintf(&b, "Call-ID: %s\r\nCSeq: %d %s\r\nMax-Forwards: 70\r\n", callID, cseq, method)
	for _, h := range extra {
		b.WriteString(h + "\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return b.String()
}

const keepaliveBody = "<?xml version=\"1.0\" encoding=\"GB2312\"?>\r\n<Notify>\r\n<CmdType>Keepalive</CmdType>\r\n<SN>43</SN>\r\n" +
	"<DeviceID>34020000001320000001</DeviceID>\r\n<Status>OK</Status>\r\n</Notify>\r\n"

func keepalive(branch string) string {
	return message("MESSAGE", branch, "k1@192.168.1.64", 20, keepaliveBody, "Content-Type: Application/MANSCDP+xml")
}

// status is the code of a response.
func status(t testing.TB, s string) int {
	t.Helper()
	var code int
	if _, err := fmt.Sscanf(s, "SIP/2.0 %d ", &code); err != nil {
		t.Fatalf("not a response:\n%s", s)
	}
	return code
}

// headers returns the values of a header in s.
func headers(s, name string) (values []string) {
	for l := range strings.SplitSeq(s, "\r\n") {
		if n, v, ok := strings.Cut(l, ": "); ok && n == name {
			values = append(values, v)
		}
	}
	return values
}
