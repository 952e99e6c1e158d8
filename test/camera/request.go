package camera

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Request is a request that came from the platform. Retransmissions are not counted anew.
type Request struct {
	Time     time.Time
	Method   string
	URI      string
	CallID   string
	Root     string // of a MANSCDP body: Query, Control, Notify, Response; "" without one
	CmdType  string
	SN       string
	DeviceID string // the target in the body
	Body     string // decoded to UTF-8

	message *message
	device  *Device
	link    *link
	tree    *element
	key     string
	toTag   string // of the answer's To, where it makes a dialog

	answered bool // by SIP
	inside   bool // a Response of one packet goes into the SIP answer
}

// Device returns who was asked.
func (r *Request) Device() *Device { return r.device }

// Header returns the first value of a header by its long name in lower case.
func (r *Request) Header(name string) string { return r.message.header(name) }

// Element returns the text of the first element at the path of names below the body's root,
// "" when there is none.
func (r *Request) Element(path ...string) string {
	e := r.tree
	for _, name := range path {
		if e == nil {
			return ""
		}
		e = e.find(name)
	}
	if e == nil {
		return ""
	}
	return e.text
}

// reasons are the phrases of the codes that the device sends [RFC3261 21].
var reasons = map[int]string{100: "Trying", 200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found",
	405: "Method Not Allowed", 415: "Unsupported Media Type", 480: "Temporarily Unavailable",
	481: "Call/Transaction Does Not Exist", 486: "Busy Here", 488: "Not Acceptable Here", 489: "Bad Event",
	500: "Server Internal Error", 501: "Not Implemented", 503: "Service Unavailable"}

// Answer sends a SIP answer with further header lines, after the device's AnswerDelay. A
// retransmission of the request will get the same again.
func (r *Request) Answer(code int, headers ...string) { r.answerWith(code, "", headers...) }

// answerWith is Answer with a body.
func (r *Request) answerWith(code int, body string, headers ...string) {
	r.answered = true
	reason := reasons[code]
	if reason == "" {
		reason = "Answer"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "SIP/2.0 %d %s\r\n", code, reason)
	for _, h := range r.message.headers {
		if h.name == "via" {
			b.WriteString("Via: " + h.value + "\r\n")
		}
	}
	to := r.message.header("to")
	if !strings.Contains(strings.ToLower(to), ";tag=") {
		to += ";tag=" + cmp.Or(r.toTag, token())
	}
	fmt.Fprintf(&b, "From: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\nContact: <sip:%s@%s>\r\n",
		r.message.header("from"), to, r.CallID, r.message.header("cseq"), r.device.cfg.ID, r.link.local)
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	if body != "" {
		b.WriteString("Content-Type: " + contentType + "\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	r.device.answer(r, r.device.cfg.wear([]byte(b.String()), r.link.stream, r.link.local.String()))
}

// heard is a request that was dealt with, kept to meet its retransmissions
// [RFC3261 17.2.2].
type heard struct {
	key    string
	at     time.Time
	taken  bool   // it is being, or has been, carried out
	answer []byte // nil: not answered yet
}

// Requests are remembered for 32 s (64*T1, Timer J), and no more than this many.
const (
	heardFor  = 32 * time.Second
	heardMost = 64
)

// answer keeps b for retransmissions of r and sends it.
func (d *Device) answer(r *Request, b []byte) {
	d.mu.Lock()
	if i := slices.IndexFunc(d.recent, func(h heard) bool { return h.key == r.key }); i >= 0 {
		d.recent[i].answer = b
	}
	d.mu.Unlock()
	if d.cfg.AnswerDelay > 0 {
		d.clock.after(d.cfg.AnswerDelay, func() { d.transmit(r.link, b) })
		return
	}
	d.transmit(r.link, b)
}

// serve deals with a request of the platform.
func (d *Device) serve(l *link, m *message) {
	if m.method == "ACK" {
		return
	}
	key := m.header("call-id") + " " + m.header("cseq") + " " + param(m.header("from"), "tag")
	answering := d.answering.Load()
	now := time.Now()
	d.mu.Lock()
	d.recent = slices.DeleteFunc(d.recent, func(h heard) bool { return now.Sub(h.at) > heardFor })
	i := slices.IndexFunc(d.recent, func(h heard) bool { return h.key == key })
	fresh := i < 0
	if fresh {
		if len(d.recent) == heardMost {
			d.recent = slices.Delete(d.recent, 0, 1)
		}
		d.recent = append(d.recent, heard{key: key, at: now})
		i = len(d.recent) - 1
	}
	taken, again := d.recent[i].taken, d.recent[i].answer
	d.recent[i].taken = taken || answering
	d.mu.Unlock()
	d.print(m, now, !fresh)
	if taken {
		if again != nil && answering {
			d.transmit(l, again)
		}
		return
	}
	r := d.read(l, m, key, now)
	if fresh {
		d.stats.received()
		if d.record {
			d.journal.add(*r)
		}
	}
	if !answering || d.cfg.OnRequest != nil && d.cfg.OnRequest(r) {
		return
	}
	d.meet(r)
}

// read makes a Request of m.
func (d *Device) read(l *link, m *message, key string, now time.Time) *Request {
	r := &Request{Time: now, Method: m.method, URI: m.uri, CallID: m.header("call-id"), message: m, device: d, link: l, key: key}
	if strings.Contains(m.body, "<") {
		r.Body = decodeText(m.body)
		if tree, err := parseBody(m.body); err == nil {
			r.tree, r.Root = tree, tree.name
			r.CmdType, r.SN, r.DeviceID = tree.child("CmdType"), tree.child("SN"), tree.child("DeviceID")
		}
	} else {
		r.Body = m.body
	}
	return r
}

// meet answers a request by its method.
func (d *Device) meet(r *Request) {
	switch r.Method {
	case "MESSAGE":
		d.message(r)
	case "SUBSCRIBE":
		d.subscribe(r)
	case "OPTIONS":
		r.Answer(200, "Allow: MESSAGE, SUBSCRIBE, OPTIONS")
	case "INVITE": // this device has no media to offer
		r.Answer(488)
	case "BYE", "INFO", "CANCEL", "NOTIFY", "UPDATE", "PRACK":
		r.Answer(481)
	default:
		r.Answer(405, "Allow: MESSAGE, SUBSCRIBE, OPTIONS")
	}
}

// message answers a MESSAGE, and then acts on it: the answer first, as devices do.
func (d *Device) message(r *Request) {
	switch {
	case d.cfg.has(ToTag481) && param(r.Header("to"), "tag") != "":
		r.Answer(481)
	case r.tree == nil:
		r.Answer(400)
	case r.Root == "Query" || r.Root == "Control":
		if !d.knows(r.DeviceID) {
			r.Answer(404)
			return
		}
		act := d.queries(r)
		if r.Root == "Control" {
			act = d.controls(r)
		}
		if act == nil {
			if d.cfg.Unknown == Unknown400 {
				r.Answer(400)
				return
			}
			act = func() {
				if d.cfg.Unknown == UnknownError {
					d.respond(r, tag("Result", "ERROR"))
				}
			}
		}
		if d.cfg.has(WrongSN) {
			r.SN = strconv.Itoa(wrongSN + d.NextSN())
		}
		if r.inside = d.cfg.has(BodyIn200); !r.inside {
			r.Answer(200)
		}
		act()
		if !r.answered {
			r.Answer(200)
		}
	case r.Root == "Notify" && r.CmdType == "Broadcast":
		r.Answer(200)
		d.broadcast(r)
	default: // a Response to an alarm
		r.Answer(200)
		d.confirm(r.SN)
	}
}

// Received returns what the platform has asked so far, oldest first.
func (d *Device) Received() []Request {
	d.journal.mu.Lock()
	defer d.journal.mu.Unlock()
	return slices.Clone(d.journal.requests)
}

// Forget empties Received.
func (d *Device) Forget() {
	d.journal.mu.Lock()
	defer d.journal.mu.Unlock()
	d.journal.requests = nil
}

// Wait returns the first request in Received, or to come, that match likes; it fails with
// the context's error when none has come by then.
func (d *Device) Wait(ctx context.Context, match func(*Request) bool) (Request, error) {
	seen := 0
	for {
		d.journal.mu.Lock()
		if seen > len(d.journal.requests) { // forgotten meanwhile
			seen = 0
		}
		for ; seen < len(d.journal.requests); seen++ {
			if r := d.journal.requests[seen]; match(&r) {
				d.journal.mu.Unlock()
				return r, nil
			}
		}
		changed := d.journal.changed
		d.journal.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return Request{}, fmt.Errorf("camera %s: %d requests came, none that was waited for: %w", d.cfg.ID, seen, ctx.Err())
		}
	}
}

// Command matches, for Wait, a request with this CmdType or with this element in its body
// (GuardCmd, PTZCmd …).
func Command(name string) func(*Request) bool {
	return func(r *Request) bool { return r.CmdType == name || r.tree != nil && r.tree.find(name) != nil }
}

// journal is what Received returns, bounded by its newest journalMost.
type journal struct {
	mu       sync.Mutex // guards the rest
	requests []Request
	changed  chan struct{} // closed with each request, and made anew
}

const journalMost = 10000

func (j *journal) add(r Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.requests) == journalMost {
		j.requests = slices.Delete(j.requests, 0, 1)
	}
	j.requests = append(j.requests, r)
	close(j.changed)
	j.changed = make(chan struct{})
}
