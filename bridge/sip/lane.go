package sip

import (
	"runtime/debug"
	"time"
)

// lane is what a read loop needs to deal with its messages, one after the other: it is
// reused, so that an answered keepalive allocates nothing.
type lane struct {
	e   *Endpoint
	in  inbound
	out []byte
}

func newLane(e *Endpoint) *lane { return &lane{e: e, out: make([]byte, 0, 2048)} }

// dispatch deals with the message that l.in holds, scanned from raw with fault f, and returns
// what to send back, nil for nothing. The result is good until the next call.
func (l *lane) dispatch(f fault, raw []byte, p Path, now time.Time) (answer []byte) {
	in := &l.in
	in.Path, in.Received = p, now
	defer func() {
		if v := recover(); v != nil {
			l.e.m.drop(dropPanic)
			l.e.log.Error("a request made the platform panic; it was answered 500", "method", in.Method, "panic", v, "stack", string(debug.Stack()))
			answer = l.answer(Answer{Code: 500})
		}
	}()
	if f == faultAddress && in.status == 0 {
		l.e.m.fallbacks.Inc()
		if err := in.fallback(l.e.parser, raw); err == nil {
			f = fine
		}
	}
	if f != fine {
		return l.refuse(f)
	}
	if in.status != 0 {
		l.e.response(in)
		return nil
	}
	l.e.m.request(in.Method)
	switch in.Method {
	case "REGISTER", "MESSAGE", "NOTIFY":
		in.reply = l.e.reply
		return l.answer(l.e.h.Serve(&in.Request))
	}
	if l.e.rare.offer(raw, p, now) || in.Method == "ACK" {
		return nil
	}
	return l.answer(busy)
}

// refuse answers what is broken, where that is possible [contract: refusals].
func (l *lane) refuse(f fault) []byte {
	l.e.m.drop(string(f))
	code := f.code()
	if code == 0 {
		return nil
	}
	if !l.in.answerable() {
		l.e.m.drop(dropUnanswerable)
		return nil
	}
	return l.answer(Answer{Code: code})
}

// answer writes a into the lane's buffer.
func (l *lane) answer(a Answer) []byte {
	if a.Code == 0 {
		return nil
	}
	l.e.m.answer(a.Code)
	l.out = appendAnswer(l.out[:0], &l.in.Request, a, l.in.Received)
	return l.out
}

// busy is the answer to what is one too many.
var busy = Answer{Code: 503, RetryAfter: 5 * time.Second}

// send writes the answer to r outside of a lane.
func (e *Endpoint) send(l link, r *Request, a Answer) {
	e.m.answer(a.Code)
	if err := l.write(appendAnswer(nil, r, a, time.Now())); err != nil {
		e.m.drop(dropWrite)
	}
}
