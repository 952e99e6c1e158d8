package camera

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	serverID = "34020000002000000001"
	deviceID = "34020000001110000001"
	channel1 = "34020000001310000001"
	channel2 = "34020000001310000002"
)

// platform is the least platform that can be registered to: UDP and TCP on one port each.
type platform struct {
	t        *testing.T
	udp      net.PacketConn
	tcp      net.Listener
	offers   []string                    // WWW-Authenticate of a 401; none: everybody is let in
	decide   func(m *message) (code int) // of an answer; nil or 0: the usual
	extra    func(m *message) string     // further header lines of an answer
	password string

	noise atomic.Int32 // datagrams that are no SIP, and may be none

	wg    sync.WaitGroup
	once  sync.Once
	mu    sync.Mutex
	got   []*message
	more  chan struct{}
	reply func([]byte) // to the device heard last
	conns []net.Conn
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	p := &platform{t: t, password: "secret", more: make(chan struct{}),
		offers: []string{`Digest realm="3402000000", nonce="n1", algorithm=MD5, qop="auth"`}}
	var err error
	if p.udp, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if p.tcp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.udp.Close()
		_ = p.tcp.Close()
		p.hangUp()
		p.wg.Wait()
	})
	return p
}

// serve begins to answer, once; what the platform is like must be settled by then.
func (p *platform) serve() {
	p.once.Do(func() {
		p.wg.Go(p.serveUDP)
		p.wg.Go(p.serveTCP)
	})
}

func (p *platform) serveUDP() {
	buf := make([]byte, 65535)
	for {
		n, from, err := p.udp.ReadFrom(buf)
		if err != nil {
			return
		}
		p.receive(buf[:n], func(b []byte) { _, _ = p.udp.WriteTo(b, from) })
	}
}

func (p *platform) serveTCP() {
	for {
		c, err := p.tcp.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.conns = append(p.conns, c)
		p.mu.Unlock()
		p.wg.Go(func() {
			l := &link{conn: c, stream: true}
			_ = l.readStream(func(raw []byte) { p.receive(raw, func(b []byte) { _, _ = c.Write(b) }) })
		})
	}
}

// hangUp closes all TCP connections.
func (p *platform) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

func (p *platform) receive(raw []byte, reply func([]byte)) {
	m, err := parseMessage(raw)
	if slices.Contains(noise, string(raw)) {
		p.noise.Add(1)
		return
	}
	if err != nil {
		p.t.Errorf("the device sent what is no SIP: %q", raw)
		return
	}
	p.mu.Lock()
	p.got = append(p.got, m)
	p.reply = reply
	close(p.more)
	p.more = make(chan struct{})
	p.mu.Unlock()
	if m.code > 0 {
		return
	}
	code := 0
	if p.decide != nil {
		code = p.decide(m)
	}
	if code == 0 {
		code = 200
		if m.method == "REGISTER" && len(p.offers) > 0 && !p.admits(m) {
			code = 401
		}
	}
	if code < 0 { // silence
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "SIP/2.0 %d %s\r\nVia: %s\r\nFrom: %s\r\nTo: %s;tag=p\r\nCall-ID: %s\r\nCSeq: %s\r\n", code, reasons[code],
		m.header("via"), m.header("from"), m.header("to"), m.header("call-id"), m.header("cseq"))
	if code == 401 {
		for _, o := range p.offers {
			b.WriteString("WWW-Authenticate: " + o + "\r\n")
		}
	}
	if code == 200 && m.method == "REGISTER" {
		b.WriteString("Expires: " + m.header("expires") + "\r\nDate: 2026-09-23T10:11:12.000\r\n")
	}
	if p.extra != nil {
		b.WriteString(p.extra(m))
	}
	b.WriteString("Content-Length: 0\r\n\r\n")
	reply([]byte(b.String()))
}

// admits checks a digest by the words of RFC 7616.
func (p *platform) admits(m *message) bool {
	given, ok := parseChallenge(m.header("authorization"))
	if !ok {
		return false
	}
	field := func(name string) string {
		_, rest, _ := strings.Cut(m.header("authorization"), name+"=")
		rest, _, _ = strings.Cut(rest, ",")
		return strings.Trim(rest, `" `)
	}
	nc, _ := strconv.ParseUint(field("nc"), 16, 32)
	again := *given
	again.nc = uint32(nc) - 1
	want := again.authorize(user(m.header("from")), p.password, m.method, field("uri"), field("cnonce"))
	return strings.Contains(want, `response="`+field(" response")+`"`)
}

// await returns the first message, from index from on, that match likes, and its index.
func (p *platform) await(from int, match func(*message) bool) (*message, int) {
	p.t.Helper()
	limit := time.After(10 * time.Second)
	for i := from; ; {
		p.mu.Lock()
		for ; i < len(p.got); i++ {
			if match(p.got[i]) {
				m := p.got[i]
				p.mu.Unlock()
				return m, i
			}
		}
		more := p.more
		p.mu.Unlock()
		select {
		case <-more:
		case <-limit:
			p.t.Fatalf("not what was waited for among %d messages", i)
		}
	}
}

// count tells how many of the messages so far match.
func (p *platform) count(match func(*message) bool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, m := range p.got {
		if match(m) {
			n++
		}
	}
	return n
}

func (p *platform) mark() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.got)
}

var asked int
var askedMu sync.Mutex

// request writes a request of the platform.
func request(method, target, body string, headers ...string) (raw []byte, callID string) {
	askedMu.Lock()
	asked++
	callID = fmt.Sprintf("ask-%d@platform", asked)
	askedMu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%s sip:%s@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bK%s\r\nFrom: <sip:%s@3402000000>;tag=p\r\n"+
		"To: <sip:%s@3402000000>\r\nCall-ID: %s\r\nCSeq: 1 %s\r\n", method, target, callID, serverID, target, callID, method)
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return []byte(b.String()), callID
}

// send puts raw on the way to the device heard last.
func (p *platform) send(raw []byte) {
	p.t.Helper()
	p.mu.Lock()
	reply := p.reply
	p.mu.Unlock()
	if reply == nil {
		p.t.Fatal("no device was heard yet")
	}
	reply(raw)
}

// ask sends a request and returns its answer.
func (p *platform) ask(method, target, body string, headers ...string) *message {
	p.t.Helper()
	from := p.mark()
	raw, callID := request(method, target, body, headers...)
	p.send(raw)
	m, _ := p.await(from, func(m *message) bool { return m.code > 0 && m.header("call-id") == callID })
	return m
}

// mansRequest is a MANSCDP body from the platform.
func mansRequest(root, cmd, target, rest string) string {
	return `<?xml version="1.0"?>` + "\r\n" + frame(root, cmd, "17", target, rest)
}

// query asks and returns the first Response of that CmdType.
func (p *platform) query(root, cmd, target, rest string) *element {
	p.t.Helper()
	from := p.mark()
	if m := p.ask("MESSAGE", target, mansRequest(root, cmd, target, rest)); m.code != 200 {
		p.t.Fatalf("%s was answered %d %s, want 200", cmd, m.code, m.reason)
	}
	return p.response(from, cmd)
}

// response waits for a Response.
func (p *platform) response(from int, cmd string) *element {
	p.t.Helper()
	m, _ := p.await(from, func(m *message) bool {
		e := bodyOf(m)
		return e != nil && e.name == "Response" && e.child("CmdType") == cmd
	})
	return bodyOf(m)
}

func bodyOf(m *message) *element {
	e, err := parseBody(m.body)
	if err != nil {
		return nil
	}
	return e
}

func isMethod(method string) func(*message) bool {
	return func(m *message) bool { return m.method == method }
}

func isCmd(cmd string) func(*message) bool {
	return func(m *message) bool { e := bodyOf(m); return e != nil && e.child("CmdType") == cmd }
}

// started makes a device for p, changed by change, and starts it.
func started(t *testing.T, p *platform, change func(*Config)) *Device {
	t.Helper()
	p.serve()
	cfg := Config{ID: deviceID, Password: "secret", Server: "udp://" + p.udp.LocalAddr().String(), ServerID: serverID,
		Channels: []Channel{{ID: channel1, Name: "大门"}, {ID: channel2, Name: `A<B & "C"`, Status: "OFF", PTZType: 3, Longitude: 117.1, Latitude: 31.2}}}
	if change != nil {
		change(&cfg)
	}
	if cfg.Transport == "tcp" {
		cfg.Server = p.tcp.Addr().String()
	}
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// registered is a device that has registered.
func registered(t *testing.T, p *platform, change func(*Config)) *Device {
	t.Helper()
	d := started(t, p, change)
	if err := d.Register(soon(t)); err != nil {
		t.Fatal(err)
	}
	return d
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}
