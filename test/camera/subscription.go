package camera

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrNotSubscribed is the end of a notification that nobody has subscribed to, or any more.
var ErrNotSubscribed = errors.New("the platform has no such subscription")

// errBehind is the end of a notification where too many wait for their turn.
var errBehind = errors.New("too many notifications wait for the platform")

// subscriptionKinds are what can be subscribed to, by the CmdType of the SUBSCRIBE's Query
// [GB28181-2022 9.11].
var subscriptionKinds = []string{"Alarm", "Catalog", "MobilePosition", "PTZPosition"}

// The defaults of a SUBSCRIBE that does not tell, and the bound of what waits.
const (
	defaultSubscription = 600 * time.Second // [GB28181-2022 N.2.1.2.1]
	defaultInterval     = 5 * time.Second   // of positions
	noticesMost         = 1000
)

// subscription is one dialog that a SUBSCRIBE made [RFC6665 4]. The device keeps one of each
// kind, as most devices do: a new one takes the place of the one before.
type subscription struct {
	cmd, subject    string
	callID          string
	tag, peerTag    string // ours and the subscriber's
	peer, target    string // URIs: the subscriber's own, and its Contact
	event           string // as the SUBSCRIBE spelt it
	heard           uint32 // CSeq of the last SUBSCRIBE
	cseq            uint32 // of the last NOTIFY
	granted         time.Duration
	ends            time.Time
	refreshes       int
	interval        time.Duration // of positions
	filter          alarmFilter
	told            map[string][3]float64 // of PTZ positions: the last by channel
	expiry, sampler *entry
	queue           []notice // one NOTIFY is on its way at a time, so that their order holds
	busy            bool
	ended, gone     bool // nothing new is notified; what waits is not either
}

// notice is one NOTIFY to come.
type notice struct {
	kind  Kind
	body  string // "" for an empty one
	state string // "": active
	done  func(reply)
}

// Subscription is a snapshot of one that is live.
type Subscription struct {
	CallID    string
	Event     string
	Granted   time.Duration
	Interval  time.Duration // of positions
	Refreshes int
	Notified  int // NOTIFYs sent
}

// Subscription returns what is subscribed to of a CmdType: Catalog, Alarm, MobilePosition or
// PTZPosition; live is false when nothing is.
func (d *Device) Subscription(cmd string) (s Subscription, live bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	is := d.subs[cmd]
	if is == nil {
		return Subscription{}, false
	}
	return Subscription{CallID: is.callID, Event: is.event, Granted: is.granted, Interval: is.interval,
		Refreshes: is.refreshes, Notified: int(is.cseq)}, true
}

// ForgetSubscriptions drops all dialogs without a word, as a device does that restarts: the
// next refresh gets 481.
func (d *Device) ForgetSubscriptions() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forgetLocked()
}

// forgetLocked drops all dialogs, and what waits to be notified in them.
func (d *Device) forgetLocked() {
	for _, s := range d.subs {
		d.overLocked(s)
		s.gone = true
	}
}

// overLocked ends s: nothing new is notified.
func (d *Device) overLocked(s *subscription) {
	s.ended = true
	d.clock.stop(s.expiry)
	d.clock.stop(s.sampler)
	if d.subs[s.cmd] == s {
		delete(d.subs, s.cmd)
	}
}

// EndSubscription ends one from the device's side, for a reason of RFC 6665 4.1.3 (timeout,
// deactivated, rejected, noresource …), and returns the code of the answer.
func (d *Device) EndSubscription(ctx context.Context, cmd, reason string) (code int, err error) {
	r, err := d.wait(ctx, func(done func(reply)) { d.terminate(d.subscribed(cmd), reason, done) })
	return r.code(), err
}

// subscribed returns the live subscription of a kind, nil when there is none.
func (d *Device) subscribed(cmd string) *subscription {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.subs[cmd]
}

// subscribe answers a SUBSCRIBE [GB28181-2022 9.11, RFC6665 4.2].
func (d *Device) subscribe(r *Request) {
	if code := d.cfg.RefuseSubscribe[r.CmdType]; code != 0 {
		r.Answer(code)
		return
	}
	asked := defaultSubscription
	if n, err := strconv.Atoi(r.Header("expires")); err == nil && n >= 0 {
		asked = time.Duration(n) * time.Second
	}
	if most := d.cfg.SubscriptionMost; most > 0 {
		asked = min(asked, most)
	}
	number, _, _ := strings.Cut(r.Header("cseq"), " ")
	cseq, err := strconv.ParseUint(number, 10, 32)
	switch {
	case err != nil:
		r.Answer(400)
	case param(r.Header("to"), "tag") != "":
		d.renew(r, uint32(cseq), asked)
	case r.Root != "Query" || !slices.Contains(subscriptionKinds, r.CmdType), r.CmdType == "PTZPosition" && !d.cfg.understands(r.CmdType):
		r.Answer(489, "Allow-Events: presence, Catalog")
	case !d.knows(r.DeviceID):
		r.Answer(404)
	default:
		d.begins(r, uint32(cseq), asked)
	}
}

// begins makes the dialog of a first SUBSCRIBE.
func (d *Device) begins(r *Request, cseq uint32, granted time.Duration) {
	s := &subscription{cmd: r.CmdType, subject: r.DeviceID, callID: r.CallID, tag: token(), peerTag: param(r.Header("from"), "tag"),
		peer: addressOf(r.Header("from")), target: addressOf(r.Header("contact"))}
	orDefault(&s.target, s.peer)
	r.toTag = s.tag
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return
	}
	for cmd, before := range d.subs {
		if cmd == s.cmd || d.cfg.has(OneSubscription) {
			d.overLocked(before)
		}
	}
	if granted > 0 {
		if d.subs == nil {
			d.subs = make(map[string]*subscription)
		}
		d.subs[s.cmd] = s
	}
	d.mu.Unlock()
	d.take(s, r, cseq, granted)
}

// renew refreshes or ends what r's dialog is; an unknown one gets 481.
func (d *Device) renew(r *Request, cseq uint32, granted time.Duration) {
	d.mu.Lock()
	var s *subscription
	for _, is := range d.subs {
		if is.callID == r.CallID && is.tag == param(r.Header("to"), "tag") && is.peerTag == param(r.Header("from"), "tag") {
			s = is
		}
	}
	late := s != nil && cseq <= s.heard
	if s != nil && !late {
		s.refreshes++
	}
	d.mu.Unlock()
	switch {
	case s == nil:
		r.Answer(481)
	case late:
		r.Answer(500) // out of order [RFC3261 12.2.2]
	default:
		d.take(s, r, cseq, granted)
	}
}

// take takes over what a SUBSCRIBE that is granted says, answers it, and notifies, as every
// SUBSCRIBE wants [RFC6665 4.2.1.2].
func (d *Device) take(s *subscription, r *Request, cseq uint32, granted time.Duration) {
	d.mu.Lock()
	s.heard, s.event, s.granted, s.ends = cseq, r.Header("event"), granted, time.Now().Add(granted)
	if contact := addressOf(r.Header("contact")); contact != "" {
		s.target = contact
	}
	if r.tree != nil {
		s.filter = readAlarmFilter(r)
		s.interval = defaultInterval
		if n, err := strconv.Atoi(r.Element("Interval")); err == nil && n > 0 {
			s.interval = time.Duration(n) * time.Second
		}
	}
	d.clock.stop(s.expiry)
	if granted > 0 && !s.ended {
		s.expiry = d.clock.after(granted, func() { d.terminate(s, "timeout", nil) })
	}
	d.mu.Unlock()
	if d.cfg.has(SubscribeNoExpires) {
		r.Answer(200)
	} else {
		r.Answer(200, "Expires: "+seconds(granted))
	}
	if granted == 0 {
		d.terminate(s, "timeout", nil)
		return
	}
	d.present(s)
}

// present sends what a subscriber is told at first, and at each refresh: of the catalogue
// what is not as it ought to be [GB28181-2022 N.2.1.2.1], the positions that there are, or
// nothing.
func (d *Device) present(s *subscription) {
	switch s.cmd {
	case "Catalog":
		if d.tellFaults(s) {
			return
		}
	case "MobilePosition":
		d.sample(s, d.tellPlaces)
		return
	case "PTZPosition":
		d.sample(s, d.tellPTZ)
		return
	}
	d.push(s, notice{kind: KindNotify})
}

// sample has tell called now and once in each interval of s while it lives.
func (d *Device) sample(s *subscription, tell func(*subscription)) {
	d.mu.Lock()
	every := s.interval
	if s.cmd == "PTZPosition" {
		every = ptzInterval
	}
	d.clock.stop(s.sampler)
	if !s.ended && !d.closed {
		s.sampler = d.clock.after(every, func() { d.sample(s, tell) })
	}
	quiet := s.ended || d.silentLocked()
	d.mu.Unlock()
	if !quiet {
		tell(s)
	}
}

// terminate ends s with a last NOTIFY [RFC6665 4.4.1]. done may be nil.
func (d *Device) terminate(s *subscription, reason string, done func(reply)) {
	if s == nil {
		done(reply{err: ErrNotSubscribed})
		return
	}
	d.mu.Lock()
	d.overLocked(s)
	d.mu.Unlock()
	d.push(s, notice{kind: KindNotify, state: "terminated;reason=" + reason, done: done})
}

// push puts n behind what waits to be notified in s.
func (d *Device) push(s *subscription, n notice) {
	n.done = orNobody(n.done)
	if d.cfg.has(SilentSubscription) {
		n.done(reply{err: errSilent})
		return
	}
	d.mu.Lock()
	full := len(s.queue) >= noticesMost
	over := s.ended && n.state == ""
	idle := !s.busy
	if !full && !over {
		s.queue, s.busy = append(s.queue, n), true
	}
	d.mu.Unlock()
	switch {
	case over:
		n.done(reply{err: ErrNotSubscribed})
	case full:
		n.done(reply{err: errBehind})
	case idle:
		d.notifyNext(s)
	}
}

// notifyNext sends the NOTIFY that waits longest. The next follows its answer.
func (d *Device) notifyNext(s *subscription) {
	d.mu.Lock()
	if len(s.queue) == 0 || s.gone {
		left := s.queue
		s.queue, s.busy = nil, false
		d.mu.Unlock()
		for _, n := range left {
			n.done(reply{err: ErrNotSubscribed})
		}
		return
	}
	n := s.queue[0]
	s.queue = s.queue[1:]
	s.cseq++
	if n.state == "" {
		n.state = "active;expires=" + seconds(max(time.Until(s.ends), 0).Round(time.Second))
	}
	o := outgoing{method: "NOTIFY", kind: n.kind, uri: s.target, to: s.peer, toTag: s.peerTag, callID: s.callID, fromTag: s.tag, cseq: s.cseq,
		headers: []string{"Event: " + s.event, "Subscription-State: " + n.state}}
	d.mu.Unlock()
	if n.body != "" {
		o.body = d.encode(d.cfg.reroot(n.body))
	}
	o = d.cfg.misdirect(o)
	d.begin(o, func(r reply) {
		if r.code() == 481 { // the platform knows nothing of it: it is over [RFC6665 4.2.2]
			d.mu.Lock()
			d.overLocked(s)
			d.mu.Unlock()
		}
		n.done(r)
		d.notifyNext(s)
	})
}

// addressOf returns the URI of a From, To or Contact value.
func addressOf(value string) string {
	if _, rest, bracketed := strings.Cut(value, "<"); bracketed {
		uri, _, _ := strings.Cut(rest, ">")
		return uri
	}
	uri, _, _ := strings.Cut(value, ";")
	return strings.TrimSpace(uri)
}
