package sip

import (
	"bytes"
	"time"

	"github.com/ghettovoice/gosip/sip"
	"github.com/ghettovoice/gosip/transaction"
)

// The bounds of rare requests: each transaction is kept for 32 s and costs some 25 KB.
const (
	maxServerTransactions = 1024
	rareQueue             = 128
	rareSweep             = time.Second
)

// rareLane answers all but REGISTER, MESSAGE and NOTIFY: what devices seldom send, or send for
// dialogs. These get the library's server transactions, which repeat an answer to INVITE until
// its ACK has come [RFC3261 17.2].
type rareLane struct {
	e     *Endpoint
	queue chan rareRequest

	// Below: owned by run.
	in    inbound
	limit int
	txs   map[rareKey]transaction.ServerTx
}

// rareKey names a transaction: nobody can take part in another's by copying its branch.
type rareKey struct {
	path Path
	tx   transaction.TxKey
}

// rareRequest is a request copied off a read loop.
type rareRequest struct {
	raw      []byte
	path     Path
	received time.Time
}

func newRareLane(e *Endpoint) *rareLane {
	return &rareLane{
		e:     e,
		queue: make(chan rareRequest, rareQueue),
		limit: maxServerTransactions,
		txs:   map[rareKey]transaction.ServerTx{},
	}
}

// offer hands a request over, copied; false: too many wait.
func (r *rareLane) offer(raw []byte, p Path, now time.Time) bool {
	if len(r.queue) == cap(r.queue) {
		return false // do not copy for nothing
	}
	select {
	case r.queue <- rareRequest{bytes.Clone(raw), p, now}:
		return true
	default:
		return false
	}
}

// run works until the endpoint stops, and then ends all transactions.
func (r *rareLane) run() {
	tick := time.NewTicker(rareSweep)
	defer tick.Stop()
	for {
		select {
		case q := <-r.queue:
			r.serve(q)
		case <-tick.C:
			r.sweep()
		case <-r.e.stop:
			for _, tx := range r.txs {
				tx.Terminate()
			}
			r.txs = nil
			r.e.m.servers.Set(0)
			return
		}
	}
}

// sweep forgets transactions that have ended.
func (r *rareLane) sweep() {
	for key, tx := range r.txs {
		select {
		case <-tx.Done():
			delete(r.txs, key)
		default:
		}
	}
	r.e.m.servers.Set(float64(len(r.txs)))
}

// serve answers one request. A panic of the library costs this request alone.
func (r *rareLane) serve(q rareRequest) {
	defer func() {
		if v := recover(); v != nil {
			r.e.m.drop(dropPanic)
			r.e.log.Warn("the SIP library panicked on a request; it was dropped", "method", r.in.Method, "remote", q.path.Remote, "panic", v)
		}
	}()
	l, ok := r.e.link(q.path)
	if !ok {
		r.e.m.drop(dropReply)
		return
	}
	// The read loop has seen that it is well; the scan aliases the copy this time.
	switch f := r.in.datagram(q.raw, r.e.cfg.MaxBody); f {
	case fine:
	case faultAddress:
		if err := r.in.fallback(r.e.parser, q.raw); err != nil {
			r.e.m.drop(dropFallback)
			return
		}
	default:
		r.e.m.drop(string(f))
		return
	}
	r.in.Path, r.in.Received = q.path, q.received
	code, answered := r.transact(l, q.raw)
	if answered || r.in.Method == "ACK" {
		return
	}
	r.e.send(l, &r.in.Request, Answer{Code: code})
}

// transact finds or makes the transaction of the request in r.in. answered is false when code
// must be sent without one: where the library can't follow, the answer is the same.
func (r *rareLane) transact(l link, raw []byte) (code int, answered bool) {
	code = verdict(r.in.Method)
	msg, err := library(r.e.parser, raw)
	if err != nil {
		return code, false
	}
	req, ok := msg.(sip.Request)
	if !ok {
		return code, false
	}
	name, err := serverKey(req)
	if err != nil {
		return code, false
	}
	key := rareKey{path: r.in.Path, tx: name}
	tx, known := r.txs[key]
	switch {
	case known && r.in.Method == "CANCEL":
		return 200, false // its INVITE has its final answer already [RFC3261 9.2]
	case known:
		// A repetition is answered again, an ACK ends it; what else the library says of it
		// changes nothing.
		_ = tx.Receive(req)
		return code, true
	case r.in.Method == "ACK", r.in.Method == "CANCEL":
		return code, false
	case len(r.txs) >= r.limit:
		return code, false // who asks for so many is answered without a memory of it, and so is everybody else
	}
	w := &wire{link: l, bytes: appendAnswer(nil, &r.in.Request, Answer{Code: code}, r.in.Received)}
	if tx, err = transaction.NewServerTx(req, w, silent{}); err != nil {
		return code, false
	}
	if err := tx.Init(); err != nil {
		tx.Terminate()
		return code, false
	}
	r.txs[key] = tx
	r.e.m.servers.Set(float64(len(r.txs)))
	r.e.m.answer(code)
	if err := tx.Respond(sip.NewResponse("", "SIP/2.0", sip.StatusCode(code), reason(code), nil, "", nil)); err != nil {
		r.e.m.drop(dropWrite)
	}
	return code, true
}

// serverKey names the transaction of req; the library panics on a branch without a value.
func serverKey(req sip.Request) (key transaction.TxKey, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = errNotRequest
		}
	}()
	return transaction.MakeServerTxKey(req)
}

// verdict is the answer to a method outside any dialog of ours [gb28181: codes the Platform
// sends]: an INVITE that nobody asked for is forbidden, a dialog is unknown.
func verdict(method string) int {
	switch method {
	case "OPTIONS":
		return 200
	case "INVITE":
		return 403
	case "BYE", "INFO", "SUBSCRIBE", "CANCEL":
		return 481
	}
	return 405
}

// wire is the transport that the library's transactions send through: one message over one
// link. The message is rendered once, so that each repetition is the same, and a response is
// rendered by appendAnswer, so that it is the same with and without a transaction.
type wire struct {
	link  link
	bytes []byte
	again func() // told of each send but the first; nil: nobody
	sent  int    // the library sends one at a time
	ended func() bool
}

func (w *wire) Messages() <-chan sip.Message { return nil }

// Send writes the rendered message; after the end nothing is written.
func (w *wire) Send(sip.Message) error {
	if w.ended != nil && w.ended() {
		return nil
	}
	if w.sent++; w.sent > 1 && w.again != nil {
		w.again()
	}
	return w.link.write(w.bytes)
}

func (w *wire) IsReliable(string) bool { return w.link.reliable() }
func (w *wire) IsStreamed(string) bool { return w.link.reliable() }
