package camera

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// Retransmission over UDP begins after t1 and doubles up to t2 [RFC3261 17.1.2.2].
const (
	t1 = 500 * time.Millisecond
	t2 = 4 * time.Second
)

// What a request may end with instead of an answer.
var (
	ErrTimeout = errors.New("no answer in time")
	ErrClosed  = errors.New("the device is closed")
)

// StatusError is a final answer that is not 200.
type StatusError struct {
	Method string
	Code   int
	Reason string
}

// Error names the request and the answer.
func (e *StatusError) Error() string {
	return fmt.Sprintf("%s was answered %d %s", e.Method, e.Code, e.Reason)
}

// reply is how a transaction ended: with a message or with an error.
type reply struct {
	message *message
	rtt     time.Duration
	err     error
}

// code returns the status code, 0 when no answer came.
func (r reply) code() int {
	if r.message == nil {
		return 0
	}
	return r.message.code
}

// failure returns what is wrong with r, nil when it is a 2xx.
func (r reply) failure(method string) error {
	if r.err != nil {
		return fmt.Errorf("%s: %w", method, r.err)
	}
	if r.message.code >= 300 {
		return &StatusError{method, r.message.code, r.message.reason}
	}
	return nil
}

// transaction is one request on its way.
type transaction struct {
	branch, method string
	other          bool // it goes through the device's other link
	kind           Kind
	data           []byte
	began          time.Time
	wait           time.Duration // till the next retransmission
	timer          *entry
	done           func(reply) // called once, with no lock held
}

// outgoing is what differs between requests.
type outgoing struct {
	method  string
	kind    Kind
	uri     string // empty: the platform
	to      string // URI; empty: the platform
	toTag   string // of the dialog; empty: none
	callID  string // empty: a new one
	fromTag string // with callID
	cseq    uint32 // 0: the device's next
	headers []string
	body    string
}

// begin sends o and calls done with its end, from a reader's or the clock's goroutine or,
// when the device is closed, at once.
func (d *Device) begin(o outgoing, done func(reply)) {
	d.mu.Lock()
	if d.closed || d.link == nil {
		d.mu.Unlock()
		done(reply{err: ErrClosed})
		return
	}
	other := o.kind == KindResponse && d.other != nil
	l := d.linkLocked(other)
	t := &transaction{other: other, branch: "z9hG4bK" + token(), method: o.method, kind: o.kind, began: time.Now(), wait: t1, done: done}
	if o.cseq == 0 {
		d.cseq++
		o.cseq = d.cseq
	}
	t.data = d.compose(o, l, t.branch)
	d.pending = append(d.pending, t)
	t.timer = d.clock.after(t.pause(d, l), func() { d.tick(t) })
	silent := d.silentLocked()
	d.mu.Unlock()
	if !silent {
		d.stats.sent(o.kind)
	}
	d.transmit(l, t.data)
}

// pause returns how long t waits for its next retransmission or its end.
func (t *transaction) pause(d *Device, l *link) time.Duration {
	left := d.cfg.Timeout - time.Since(t.began)
	if l.stream {
		return left
	}
	return min(t.wait, left)
}

// tick retransmits t or gives it up.
func (d *Device) tick(t *transaction) {
	d.mu.Lock()
	i := d.pendingIndexLocked(t)
	if i < 0 {
		d.mu.Unlock()
		return
	}
	if time.Since(t.began) >= d.cfg.Timeout || d.link == nil {
		d.dropLocked(i)
		silent := d.silentLocked()
		d.mu.Unlock()
		if !silent {
			d.stats.lost(t.kind)
		}
		t.done(reply{err: ErrTimeout})
		return
	}
	l := d.linkLocked(t.other)
	t.wait = min(2*t.wait, t2)
	if d.cfg.has(NewBranch) {
		branch := t.branch
		t.branch = "z9hG4bK" + token()
		t.data = bytes.Replace(t.data, []byte(branch), []byte(t.branch), 1)
	}
	t.timer = d.clock.after(t.pause(d, l), func() { d.tick(t) })
	d.mu.Unlock()
	if !l.stream {
		d.stats.resent(t.kind)
		d.transmit(l, t.data)
	}
}

// linkLocked is the device's link, or the other that it has for Responses.
func (d *Device) linkLocked(other bool) *link {
	if other && d.other != nil {
		return d.other
	}
	return d.link
}

// answered ends the transaction that m answers; other answers are late or foreign.
func (d *Device) answered(m *message) {
	if m.code < 200 {
		return
	}
	branch := m.branch()
	d.mu.Lock()
	for i, t := range d.pending {
		if t.branch != branch {
			continue
		}
		d.dropLocked(i)
		d.mu.Unlock()
		d.clock.stop(t.timer)
		rtt := time.Since(t.began)
		if m.code == 200 {
			d.signed.Store(t.began.UnixNano())
		}
		d.stats.answered(t.kind, m.code, rtt)
		t.done(reply{message: m, rtt: rtt})
		return
	}
	d.mu.Unlock()
}

// pendingIndexLocked finds t among the pending, -1 when it has ended.
func (d *Device) pendingIndexLocked(t *transaction) int {
	for i, p := range d.pending {
		if p == t {
			return i
		}
	}
	return -1
}

// dropLocked takes pending transaction i out.
func (d *Device) dropLocked(i int) {
	last := len(d.pending) - 1
	d.pending[i] = d.pending[last]
	d.pending[last] = nil
	d.pending = d.pending[:last]
}

// transmit sends b unless the device is silent or chance loses it. A UDP error is a lost
// datagram; a broken TCP connection shows at its reader.
func (d *Device) transmit(l *link, b []byte) {
	if d.silent() || !l.stream && d.dice.lose(true) {
		return
	}
	if err := l.write(b); err != nil {
		d.cfg.Log.Debug("send", "device", d.cfg.ID, "err", err)
		if l.stream {
			l.close()
		}
	}
}

// compose writes a request.
func (d *Device) compose(o outgoing, l *link, branch string) []byte {
	at := l.local.String()
	self := "sip:" + d.cfg.ID + "@" + d.cfg.Domain
	platform := "sip:" + d.cfg.ServerID + "@" + d.cfg.Domain
	orDefault(&o.uri, platform)
	orDefault(&o.to, platform)
	if o.callID == "" {
		o.callID, o.fromTag = token()+"@"+l.local.Addr().String(), token()
	}
	via := "UDP"
	if l.stream {
		via = "TCP"
	}
	peer := "<" + o.to + ">"
	if o.toTag != "" {
		peer += ";tag=" + o.toTag
	}
	b := make([]byte, 0, 512+len(o.body))
	for _, s := range [...]string{o.method, " ", o.uri, " SIP/2.0\r\nVia: SIP/2.0/", via, " ", at, ";rport;branch=", branch,
		"\r\nFrom: <", self, ">;tag=", o.fromTag, "\r\nTo: ", peer, "\r\nCall-ID: ", o.callID, "\r\nCSeq: ",
		strconv.FormatUint(uint64(o.cseq), 10), " ", o.method, "\r\nContact: <sip:", d.cfg.ID, "@", at,
		">\r\nMax-Forwards: 70\r\nUser-Agent: ", d.cfg.Manufacturer, " ", d.cfg.Model, "\r\n"} {
		b = append(b, s...)
	}
	for _, h := range o.headers {
		b = append(append(b, h...), "\r\n"...)
	}
	if o.body != "" {
		b = append(b, "Content-Type: "+contentType+"\r\n"...)
	}
	b = strconv.AppendInt(append(b, "Content-Length: "...), int64(len(o.body)), 10)
	return d.cfg.wear(append(append(b, "\r\n\r\n"...), o.body...), l.stream, at)
}

// token returns a text that is unique enough for tags, branches and Call-IDs.
func token() string { return strconv.FormatUint(rand.Uint64(), 36) }
