package sip

import "sync/atomic"

// Pending is a request that outlives its Handler's Serve and is answered later.
type Pending struct {
	req  Request
	send func(*Request, Answer)
	done atomic.Bool
}

// Keep copies r, so that it can be used and answered after Serve, which then returns an Answer
// without a Code. A Pending that is never answered costs its memory only.
func (r *Request) Keep() *Pending {
	p := &Pending{send: r.reply}
	p.req = r.clone()
	return p
}

// Request returns the copy. It is read-only, and stays good.
func (p *Pending) Request() *Request { return &p.req }

// Answer sends a as the answer, once: the first call counts, from whatever goroutine. It does
// not block; on TCP it is lost when the connection has ended.
func (p *Pending) Answer(a Answer) {
	if a.Code == 0 || !p.done.CompareAndSwap(false, true) {
		return
	}
	if p.send != nil {
		p.send(&p.req, a)
	}
}

// ReplyWith lets every Pending made from r from now on hand its Answer to f instead of a
// socket: for tests of a Handler, and for a Handler in front of another.
func (r *Request) ReplyWith(f func(Answer)) {
	r.reply = func(_ *Request, a Answer) { f(a) }
}

// clone copies r and all it refers to into one block.
func (r *Request) clone() Request {
	c := *r
	fields := []*[]byte{
		&c.URI, &c.From, &c.To, &c.FromUser, &c.ToUser, &c.FromTag, &c.ToTag, &c.CallID, &c.Branch, &c.Authorization,
		&c.UserAgent, &c.GBVersion, &c.ContentType, &c.Event, &c.SubscriptionState, &c.Body, &c.cseq, &c.contact,
	}
	c.vias = append([][]byte(nil), r.vias...)
	for i := range c.vias {
		fields = append(fields, &c.vias[i])
	}
	c.extensions = append([][]byte(nil), r.extensions...)
	for i := range c.extensions {
		fields = append(fields, &c.extensions[i])
	}
	n := 0
	for _, f := range fields {
		n += len(*f)
	}
	block := make([]byte, 0, n)
	for _, f := range fields {
		if *f == nil {
			continue
		}
		start := len(block)
		block = append(block, *f...)
		*f = block[start:len(block):len(block)]
	}
	return c
}
