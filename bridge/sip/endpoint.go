package sip

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/ghettovoice/gosip/sip/parser"
	"github.com/prometheus/client_golang/prometheus"
)

// Bound is a socket that the endpoint listens on.
type Bound struct {
	Network Network
	Addr    netip.AddrPort
}

// Endpoint is the platform's side of SIP: its sockets, and what goes over them.
// Its life is New, Listen, Run.
type Endpoint struct {
	cfg       Config
	h         Handler
	log       *slog.Logger
	m         *metrics
	advertise advertised
	parser    *parser.PacketParser
	reply     func(*Request, Answer)
	instance  string // in Call-IDs: unlike those of another process
	serial    atomic.Uint64

	udp       []*udpSocket // fixed after Listen
	listeners []*net.TCPListener
	bound     []Bound
	rare      *rareLane

	stop chan struct{}  // closed when Run ends
	wg   sync.WaitGroup // all goroutines of Run

	mu       sync.Mutex // guards all below; never held across I/O
	stopping bool
	conns    map[uint64]*tcpConn
	lastConn uint64
	calls    map[string]*call // by branch
	inCall   sync.WaitGroup   // Requests under way; Add only with mu held and not stopping
}

// New returns an Endpoint that serves h by cfg. The error tells what is wrong in cfg, or that
// reg holds these metrics already.
func New(cfg Config, h Handler, log *slog.Logger, reg prometheus.Registerer) (*Endpoint, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = Default().MaxBody
	}
	adv, err := parseAdvertise(cfg.Advertise)
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(reg)
	if err != nil {
		return nil, err
	}
	e := &Endpoint{
		cfg: cfg, h: h, log: log, m: m, advertise: adv,
		parser:   parser.NewPacketParser(silent{}),
		instance: rand.Text()[:12],
		stop:     make(chan struct{}),
		conns:    map[uint64]*tcpConn{},
		calls:    map[string]*call{},
	}
	e.reply = e.answerLater
	e.rare = newRareLane(e)
	return e, nil
}

// Addrs returns what Listen has bound, in the order of the configuration.
func (e *Endpoint) Addrs() []Bound { return append([]Bound(nil), e.bound...) }

// Run serves until ctx ends, and returns when all its goroutines have ended; its sockets are
// closed then. Handler.Closed is not called for the connections that end with it.
func (e *Endpoint) Run(ctx context.Context) error {
	if len(e.bound) == 0 {
		return errors.New("run without Listen: no socket is open")
	}
	for _, s := range e.udp {
		e.wg.Go(func() { e.readDatagrams(s) })
	}
	for _, l := range e.listeners {
		e.wg.Go(func() { e.accept(l) })
	}
	e.wg.Go(e.rare.run)
	<-ctx.Done()

	e.mu.Lock()
	e.stopping = true
	close(e.stop)
	conns := make([]*tcpConn, 0, len(e.conns))
	for _, c := range e.conns {
		conns = append(conns, c)
	}
	e.mu.Unlock()
	e.inCall.Wait()
	err := e.closeSockets()
	for _, c := range conns {
		c.kill()
	}
	e.wg.Wait()
	return err
}

// closeSockets closes what Listen opened.
func (e *Endpoint) closeSockets() error {
	var errs []error
	for _, s := range e.udp {
		errs = append(errs, s.close())
	}
	for _, l := range e.listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// link is the way out to a peer.
type link interface {
	// write sends one message. It does not block on the peer.
	write(b []byte) error
	// gone is closed when nothing can be sent any more; nil: that can't be known.
	gone() <-chan struct{}
	// reliable: nothing needs to be sent twice.
	reliable() bool
}

// link finds the way out to p.
func (e *Endpoint) link(p Path) (link, bool) {
	if p.Network == TCP {
		e.mu.Lock()
		c := e.conns[p.Conn]
		e.mu.Unlock()
		if c == nil || c.path.Remote != p.Remote {
			return nil, false
		}
		return c, true
	}
	s := e.socket(p)
	if s == nil {
		return nil, false
	}
	return udpLink{s, p.Remote}, true
}

// answerLater sends the answer of a Pending.
func (e *Endpoint) answerLater(r *Request, a Answer) {
	l, ok := e.link(r.Path)
	if !ok {
		e.m.drop(dropReply)
		return
	}
	e.send(l, r, a)
}
