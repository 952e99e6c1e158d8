package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// server is the embedded broker: mochi behind listeners and connections of our own.
type server struct {
	b         *Broker
	cfg       Embedded
	mochi     *mochi.Server
	users     *users
	listeners []*listener
	sessions  sessionTable
	topics    subscribers
	acks      lateAcks
	store     *persistence // nil: sessions and what is retained live in memory
	kept      kept

	mu    sync.Mutex // guards conns
	conns map[*queuedConn]struct{}
}

func newServer(b *Broker) (*server, error) {
	c := b.cfg.Embedded
	capabilities := mochi.NewDefaultServerCapabilities()
	capabilities.MaximumPacketSize = uint32(c.MaxPacket)
	capabilities.MaximumSessionExpiryInterval = uint32(c.Session.Expiry / time.Second)
	capabilities.MaximumMessageExpiryInterval = 0 // what a message's sender says counts
	capabilities.MaximumClientWritesPending = 1   // mochi's own queue is not used: see session
	capabilities.Compatibilities.ObscureNotAuthorized = false
	s := &server{b: b, cfg: c, users: newUsers(c), conns: make(map[*queuedConn]struct{})}
	s.kept.sizes = make(map[string]int)
	s.sessions.all, s.sessions.late = make(map[string]*session), make(map[string]*time.Timer)
	if b.opts.Sessions != nil {
		s.store = &persistence{b.opts.Sessions, b.log}
	}
	s.mochi = mochi.New(&mochi.Options{
		Capabilities: capabilities,
		Logger:       slog.New(quietHandler{b.log.Handler()}),
		// One packet a write: queuedConn must be able to tell them apart.
		ClientNetWriteBufferSize: 1,
		SysTopicResendInterval:   1 << 30, // $SYS is nobody's here: /metrics tells
	})
	s.topics.find, s.acks.wake = s.mochi.Topics.Subscribers, make(chan struct{}, 1)
	if err := s.mochi.AddHook(newHook(s), nil); err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	return s, nil
}

// listen opens the configured listeners, once.
func (s *server) listen() error {
	if s.listeners != nil {
		return nil
	}
	if s.store != nil {
		if err := s.restore(); err != nil {
			return fmt.Errorf("MQTT sessions: %w", err)
		}
	}
	for i, address := range s.cfg.Listen {
		l, err := openListener(address, s.cfg.TLS)
		if err != nil {
			for _, open := range s.listeners {
				err = errors.Join(err, open.Close())
			}
			s.listeners = nil
			return fmt.Errorf("mqtt.embedded.listen[%d]: %w", i, err)
		}
		s.listeners = append(s.listeners, l)
	}
	return nil
}

func (s *server) addrs() []string {
	var urls []string
	for _, l := range s.listeners {
		urls = append(urls, l.scheme+"://"+l.Addr().String())
	}
	return urls
}

// run serves until ctx ends, then disconnects all clients.
func (s *server) run(ctx context.Context) {
	if err := s.mochi.Serve(); err != nil {
		s.b.log.Error("embedded broker", "err", err)
	}
	var wg sync.WaitGroup
	for _, l := range s.listeners {
		wg.Go(func() { l.serve(s.establish) })
	}
	wg.Go(func() { s.acks.run(ctx) })
	<-ctx.Done()
	for _, l := range s.listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			s.b.log.Warn("MQTT listener not closed", "address", l.Addr(), "err", err)
		}
	}
	for _, cl := range s.mochi.Clients.GetAll() {
		if !cl.Net.Inline && !cl.Closed() {
			// The error is the reason given: mochi returns it.
			_ = s.mochi.DisconnectClient(cl, packets.ErrServerShuttingDown)
		}
	}
	s.closeConns()
	wg.Wait()
	s.awaitConns()
	s.sessions.stopWills()
	if err := s.mochi.Close(); err != nil {
		s.b.log.Warn("embedded broker not closed", "err", err)
	}
}

// establish serves one accepted connection until it ends.
func (s *server) establish(l *listener, c net.Conn) {
	q := newQueuedConn(c, s.cfg.MaxBacklog, s.b.metrics.dropped.Inc, func() {
		s.b.metrics.slow.Inc()
		s.b.log.Warn("MQTT client disconnected: it does not read what it is sent", "remote", c.RemoteAddr(), "backlog", s.cfg.MaxBacklog)
	}, s.acks.add)
	s.mu.Lock()
	s.conns[q] = struct{}{}
	s.mu.Unlock()
	err := s.mochi.EstablishConnection(l.scheme, q)
	if err != nil {
		s.b.log.Debug("MQTT client gone", "remote", c.RemoteAddr(), "err", err)
	}
	q.Close()
	<-q.done
	s.mu.Lock()
	delete(s.conns, q)
	s.mu.Unlock()
}

func (s *server) closeConns() {
	for _, q := range s.openConns() {
		q.Close()
	}
}

// awaitConns waits until the writers of all connections have ended: each is closed, so it
// takes lastWords at most.
func (s *server) awaitConns() {
	for _, q := range s.openConns() {
		<-q.done
	}
}

func (s *server) openConns() []*queuedConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := make([]*queuedConn, 0, len(s.conns))
	for q := range s.conns {
		open = append(open, q)
	}
	return open
}

// publish hands m to all subscribers. It waits for none. stored, where given, is called once
// m is safe for all sessions that last.
func (s *server) publish(m Message, stored func(error)) {
	s.route(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: m.QoS, Retain: m.Retain},
		TopicName:   m.Topic, Payload: m.Payload, Created: time.Now().Unix(),
	}, stored)
}

// answer publishes to a Response Topic.
func (s *server) answer(topic string, correlation, payload []byte, code int) {
	s.route(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1},
		TopicName:   topic, Payload: payload, Created: time.Now().Unix(),
		Properties: packets.Properties{
			CorrelationData: correlation,
			User:            []packets.UserProperty{{Key: "code", Val: fmt.Sprint(code)}},
		},
	}, nil)
}

// settleTime is how often flush looks.
const settleTime = 5 * time.Millisecond

// flush waits until what was published is with the system, but for clients that do not read.
func (s *server) flush(ctx context.Context) error {
	tick := time.NewTicker(settleTime)
	defer tick.Stop()
	for begun := time.Now(); time.Since(begun) < lastWords; {
		waiting := 0
		for _, q := range s.openConns() {
			waiting += q.pending()
		}
		if waiting == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("flush the embedded broker: %w", ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

// quietHandler keeps mochi's own lines for who debugs: what an operator needs of them the
// broker says itself.
type quietHandler struct{ slog.Handler }

func (h quietHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError && h.Handler.Enabled(ctx, level) || h.Handler.Enabled(ctx, slog.LevelDebug)
}
