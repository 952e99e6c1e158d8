package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// server is the embedded broker: mochi behind listeners and connections of our own.
type server struct {
	b         *Broker
	cfg       Embedded
	mochi     *mochi.Server
	inline    *mochi.Client
	users     *users
	listeners []*listener
	sent      atomic.Uint64 // packets handed to connections
	clock     atomic.Int64  // ascends with each message, see stamp

	mu    sync.Mutex // guards conns
	conns map[*queuedConn]struct{}
}

func newServer(b *Broker) (*server, error) {
	c := b.cfg.Embedded
	capabilities := mochi.NewDefaultServerCapabilities()
	capabilities.MaximumPacketSize = uint32(c.MaxPacket)
	capabilities.MaximumSessionExpiryInterval = uint32(c.Session.Expiry / time.Second)
	capabilities.MaximumInflight = uint16(c.Session.Queued)
	capabilities.MaximumClientWritesPending = 1 << 16 // our own queue bounds what waits, in bytes
	capabilities.Compatibilities.ObscureNotAuthorized = false
	s := &server{b: b, cfg: c, users: newUsers(c), conns: make(map[*queuedConn]struct{})}
	s.clock.Store(time.Now().Unix())
	s.mochi = mochi.New(&mochi.Options{
		Capabilities: capabilities,
		Logger:       slog.New(quietHandler{b.log.Handler()}),
		InlineClient: true,
		// One packet a write: queuedConn must be able to tell them apart.
		ClientNetWriteBufferSize: 1,
		SysTopicResendInterval:   1 << 30, // $SYS is nobody's here: /metrics tells
	})
	s.inline = s.mochi.NewClient(nil, "bridge", "bridge", true)
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
	if err := s.mochi.Close(); err != nil {
		s.b.log.Warn("embedded broker not closed", "err", err)
	}
}

// establish serves one accepted connection until it ends.
func (s *server) establish(l *listener, c net.Conn) {
	q := newQueuedConn(c, s.cfg.MaxBacklog, s.b.metrics.dropped.Inc, func() {
		s.b.metrics.slow.Inc()
		s.b.log.Warn("MQTT client disconnected: it does not read what it is sent", "remote", c.RemoteAddr(), "backlog", s.cfg.MaxBacklog)
	})
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

// publish hands m to all subscribers. It waits for none.
func (s *server) publish(m Message) {
	s.inject(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: m.QoS, Retain: m.Retain},
		TopicName:   m.Topic, Payload: m.Payload, PacketID: uint16(m.QoS), // an ID is wanted and never sent
	})
}

// answer publishes to a Response Topic.
func (s *server) answer(topic string, correlation, payload []byte, code int) {
	s.inject(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1},
		TopicName:   topic, Payload: payload, PacketID: 1, ProtocolVersion: 5,
		Properties: packets.Properties{
			CorrelationData: correlation,
			User:            []packets.UserProperty{{Key: "code", Val: fmt.Sprint(code)}},
		},
	})
}

func (s *server) inject(pk packets.Packet) {
	if err := s.mochi.InjectPacket(s.inline, pk); err != nil {
		s.b.log.Error("MQTT publication failed", "topic", pk.TopicName, "err", err)
	}
}

// stamp is the Created time of the next message. Mochi sends a returning session its messages
// by this time in whole seconds, so each has one of its own to keep their order.
func (s *server) stamp() int64 {
	for {
		last := s.clock.Load()
		next := max(last+1, time.Now().Unix())
		if s.clock.CompareAndSwap(last, next) {
			return next
		}
	}
}

// settleTime is how long nothing must have been sent for all to be sent: mochi moves messages
// to connections by a goroutine for each client.
const settleTime = 20 * time.Millisecond

// flush waits until what was published is with the system, but for clients that do not read.
func (s *server) flush(ctx context.Context) error {
	tick := time.NewTicker(settleTime)
	defer tick.Stop()
	begun, last := time.Now(), s.sent.Load()
	for quiet := 0; quiet < 2; {
		select {
		case <-ctx.Done():
			return fmt.Errorf("flush the embedded broker: %w", ctx.Err())
		case <-tick.C:
		}
		waiting := 0
		for _, q := range s.openConns() {
			waiting += q.pending()
		}
		quiet++
		if now := s.sent.Load(); now != last || waiting > 0 && time.Since(begun) < lastWords {
			last, quiet = now, 0
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
