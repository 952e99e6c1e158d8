package sip

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ghettovoice/gosip/sip"
	"github.com/ghettovoice/gosip/transaction"
)

// call is a request of ours that waits for its answer.
type call struct {
	path   Path
	method string
	callID string
	cseq   uint32
	branch string
	local  string // tag of ours
	tx     transaction.ClientTx
	ended  atomic.Bool
	told   atomic.Pointer[told]
}

// told is what a final answer has that the library's response does not carry on.
type told struct {
	toTag   string
	expires int
}

// Request sends o to p and waits for the final answer, whatever its code. Over UDP it is
// repeated after 0.5 s, 1.5 s, 3.5 s … [RFC3261 17.1.2.2], over TCP it is sent once, on the
// connection of p alone. It returns ErrTimeout when there is no answer within the transaction
// timeout, ErrNoPath when the connection is gone, ErrClosed when the endpoint stops, or ctx's
// error. After it has returned nothing of the request is sent any more.
func (e *Endpoint) Request(ctx context.Context, p Path, o Outgoing) (Response, error) {
	if err := o.check(); err != nil {
		return Response{}, err
	}
	if !e.enter() {
		return Response{}, ErrClosed
	}
	defer e.inCall.Done()
	l, ok := e.link(p)
	if !ok {
		return Response{}, fmt.Errorf("%s %v: %w", p.Network, p.Remote, ErrNoPath)
	}
	self, err := e.self(p)
	if err != nil {
		return Response{}, fmt.Errorf("%v: %w: %w", p.Remote, ErrNoPath, err)
	}
	return e.exchange(ctx, l, p, self, o)
}

// enter counts a request in, unless the endpoint is stopping.
func (e *Endpoint) enter() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.stopping {
		e.inCall.Add(1)
	}
	return !e.stopping
}

// check keeps what would break the message, and what a request outside a dialog can't be.
func (o Outgoing) check() error {
	switch o.Method {
	case "INVITE", "ACK", "CANCEL", "BYE", "PRACK", "UPDATE":
		return fmt.Errorf("method %s belongs to a dialog; Request sends what stands alone", o.Method)
	}
	if !isToken([]byte(o.Method)) {
		return fmt.Errorf("method %q is no SIP method", o.Method)
	}
	if !isDomain(o.User) {
		return fmt.Errorf("user %q can't stand in a SIP URI; use a device or channel ID", o.User)
	}
	if hasControl(o.ContentType) {
		return fmt.Errorf("content type %q holds a control byte", o.ContentType)
	}
	switch s := o.Subscribe; {
	case (s != nil) != (o.Method == "SUBSCRIBE"):
		return fmt.Errorf("a SUBSCRIBE, and nothing else, has Subscribe set; %s has not", o.Method)
	case s != nil && (hasControl(s.Event) || s.Event == "" || s.Expires < 0 || hasControl(s.Dialog.RemoteTag)):
		return fmt.Errorf("event %q, expires %d: a SUBSCRIBE needs an event, and an expiry of 0 or more", s.Event, s.Expires)
	}
	return nil
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// exchange is one client transaction over l, from its first send to its end.
func (e *Endpoint) exchange(ctx context.Context, l link, p Path, self string, o Outgoing) (Response, error) {
	c := &call{path: p, method: o.Method, cseq: uint32(e.serial.Add(1) & 0x7fffffff), branch: sip.RFC3261BranchMagicCookie + rand.Text(), local: rand.Text()[:12]}
	c.callID = e.instance + strconv.FormatUint(uint64(c.cseq), 16) + "@" + self
	if o.Subscribe != nil && o.Subscribe.Dialog.CallID != "" {
		c.callID, c.local, c.cseq = o.Subscribe.Dialog.CallID, o.Subscribe.Dialog.LocalTag, o.Subscribe.Dialog.CSeq+1
	}
	req := e.build(c, self, o)
	w := &wire{link: l, bytes: []byte(req.String()), again: e.m.retransmissions.Inc, ended: c.ended.Load}
	tx, err := transaction.NewClientTx(req, w, silent{})
	if err != nil {
		return Response{}, fmt.Errorf("%s to %s: %w", o.Method, o.User, err)
	}
	c.tx = tx
	e.mu.Lock()
	e.calls[c.branch] = c
	e.mu.Unlock()
	e.m.clients.Inc()
	defer e.finish(c)

	deadline := time.NewTimer(e.cfg.TransactionTimeout)
	defer deadline.Stop()
	start := time.Now()
	if err := tx.Init(); err != nil {
		return Response{}, fmt.Errorf("%v: %w: %w", p.Remote, ErrNoPath, err)
	}
	select {
	case res, ok := <-tx.Responses():
		if !ok {
			return Response{}, fmt.Errorf("repeat %s to %v: %w", o.Method, p.Remote, ErrNoPath)
		}
		return e.answered(c, res, start), nil
	case <-tx.Errors():
		// The library closes both channels when its timer K ends: at once over TCP, and over UDP
		// too where the answer overtakes the library setting its timers. An answer counts then.
		select {
		case res, ok := <-tx.Responses():
			if ok {
				return e.answered(c, res, start), nil
			}
		default:
		}
		return Response{}, fmt.Errorf("repeat %s to %v: %w", o.Method, p.Remote, ErrNoPath)
	case <-deadline.C:
		e.m.timeouts.Inc()
		return Response{}, fmt.Errorf("%s to %s at %v within %v: %w", o.Method, o.User, p.Remote, e.cfg.TransactionTimeout, ErrTimeout)
	case <-l.gone():
		return Response{}, fmt.Errorf("connection from %v ended: %w", p.Remote, ErrNoPath)
	case <-ctx.Done():
		return Response{}, ctx.Err()
	case <-e.stop:
		return Response{}, ErrClosed
	}
}

// answered counts the final answer to a request that was sent at start.
func (e *Endpoint) answered(c *call, res sip.Response, start time.Time) Response {
	r := responseOf(res, time.Since(start))
	r.Expires = -1
	if t := c.told.Load(); t != nil {
		r.Expires = t.expires
		r.Dialog = Dialog{CallID: c.callID, LocalTag: c.local, RemoteTag: t.toTag, CSeq: c.cseq}
	}
	e.m.answered(r.RTT)
	return r
}

// finish ends the transaction of c and leaves nothing of it.
func (e *Endpoint) finish(c *call) {
	c.ended.Store(true)
	e.mu.Lock()
	delete(e.calls, c.branch)
	e.mu.Unlock()
	e.m.clients.Dec()
	// The library's Terminate alone races with its timer A, which then panics on a timer that
	// is gone. A final answer stops the timers under the lock of the state machine; terminating
	// is safe from then on, and ends the wait for repeated answers (timer K).
	e.receive(c, sip.NewResponse("", "SIP/2.0", 408, reason(408), nil, "", nil))
	c.tx.Terminate()
}

// receive hands a response to the library's transaction.
func (e *Endpoint) receive(c *call, res sip.Response) {
	defer func() {
		if v := recover(); v != nil {
			e.m.drop(dropPanic)
			e.log.Warn("the SIP library panicked on a response; it was dropped", "remote", c.path.Remote, "panic", v)
		}
	}()
	// It refuses what its state does not await: a repeated answer, which nobody awaits indeed.
	_ = c.tx.Receive(res)
}

// response finds the transaction that a response belongs to. It is taken from the peer that was
// asked alone: the same IP (a NAT may have moved the port), on TCP the same connection.
func (e *Endpoint) response(in *inbound) {
	e.mu.Lock()
	c := e.calls[string(in.Branch)]
	e.mu.Unlock()
	switch {
	case c == nil || !equalFold(in.cseqName, c.method) || in.CSeq != c.cseq || string(in.CallID) != c.callID:
		e.m.drop(dropUnmatched)
	case in.Path.Network != c.path.Network || in.Path.Remote.Addr() != c.path.Remote.Addr() || in.Path.Conn != c.path.Conn:
		e.m.drop(dropForeign)
	case in.status < 200:
		e.m.drop(dropProvisional)
	default:
		c.told.CompareAndSwap(nil, &told{toTag: string(in.ToTag), expires: in.Expires})
		var headers []sip.Header
		if len(in.ContentType) > 0 {
			headers = append(headers, &sip.GenericHeader{HeaderName: "Content-Type", Contents: string(in.ContentType)})
		}
		e.receive(c, sip.NewResponse("", "SIP/2.0", sip.StatusCode(in.status), string(in.reason), headers, string(in.Body), nil))
	}
}

func responseOf(res sip.Response, rtt time.Duration) Response {
	r := Response{Code: int(res.StatusCode()), Reason: res.Reason(), RTT: rtt}
	if h := res.GetHeaders("Content-Type"); len(h) > 0 {
		r.ContentType = h[0].Value()
	}
	if body := res.Body(); body != "" {
		r.Body = []byte(body)
	}
	return r
}

// build makes the request: outside any dialog without a tag on To; some devices answer 481 to
// one with it.
func (e *Endpoint) build(c *call, self string, o Outgoing) sip.Request {
	host, port, _ := net.SplitHostPort(self)
	selfPort, _ := strconv.ParseUint(port, 10, 16)
	sentBy := sip.Port(selfPort)
	remotePort := sip.Port(c.path.Remote.Port())
	transport := "UDP"
	if c.path.Network == TCP {
		transport = "TCP"
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		host = uriHost(ip)
	}
	uri := &sip.SipUri{FUser: sip.String{Str: o.User}, FHost: uriHost(c.path.Remote.Addr()), FPort: &remotePort}
	text := func(name, value string) sip.Header {
		return &sip.GenericHeader{HeaderName: name, Contents: value}
	}
	headers := []sip.Header{
		sip.ViaHeader{&sip.ViaHop{
			ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: transport, Host: host, Port: &sentBy,
			Params: sip.NewParams().Add("rport", nil).Add("branch", sip.String{Str: c.branch}),
		}},
		text("From", "<sip:"+e.cfg.ServerID+"@"+e.cfg.Domain+">;tag="+c.local),
		text("To", "<sip:"+o.User+"@"+e.cfg.Domain+">"+remoteTag(o)),
		text("Call-ID", c.callID),
		&sip.CSeq{SeqNo: c.cseq, MethodName: sip.RequestMethod(o.Method)},
		text("Contact", "<sip:"+e.cfg.ServerID+"@"+net.JoinHostPort(trimBrackets(host), port)+">"),
		text("Max-Forwards", "70"),
		text("User-Agent", agent),
	}
	if s := o.Subscribe; s != nil {
		headers = append(headers, text("Event", s.Event), text("Expires", strconv.Itoa(s.Expires)))
	}
	if o.ContentType != "" {
		headers = append(headers, text("Content-Type", o.ContentType))
	}
	req := sip.NewRequest("", sip.RequestMethod(o.Method), uri, "SIP/2.0", headers, "", nil)
	req.SetBody(string(o.Body), true)
	req.SetTransport(transport)
	return req
}

// remoteTag is the parameter of To within a dialog.
func remoteTag(o Outgoing) string {
	if o.Subscribe == nil || o.Subscribe.Dialog.RemoteTag == "" {
		return ""
	}
	return ";tag=" + o.Subscribe.Dialog.RemoteTag
}

func trimBrackets(host string) string {
	if len(host) > 2 && host[0] == '[' {
		return host[1 : len(host)-1]
	}
	return host
}

// self returns host:port of ours that the peer of p can reach: as advertised, else the address
// that it talks to, else the local address of the route to it.
func (e *Endpoint) self(p Path) (string, error) {
	local := p.Local
	if s := e.socket(p); s != nil {
		local = s.local
	}
	port := local.Port()
	if e.advertise.port != 0 {
		port = e.advertise.port
	}
	host := trimBrackets(e.advertise.host)
	if host == "" {
		ip := local.Addr()
		if !ip.IsValid() || ip.IsUnspecified() {
			var err error
			if ip, err = routeTo(p.Remote); err != nil {
				return "", err
			}
		}
		host = ip.WithZone("").String()
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port))), nil
}

// routeTo asks the system which address of ours it would send from. Nothing is sent.
func routeTo(remote netip.AddrPort) (netip.Addr, error) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(remote))
	if err != nil {
		return netip.Addr{}, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}
