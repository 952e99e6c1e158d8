// Package broker is the one MQTT face of the program, whether behind it is the embedded
// broker, links to others, or both.
//
//	Publish ──▶ embedded broker ──▶ bounded queue per client ──▶ sockets
//	        └─▶ queue per link (newest per retained topic) ──▶ other servers
//	PublishEvent ──▶ journal (durable) ──▶ embedded broker, links ──▶ removed when taken
//	clients, links ──▶ who may do what ──▶ Handler
//
// It knows nothing of devices or shadows: Options.Classify tells which topics are the
// bridge's, which are requests to it, and which are the clients' own.
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Class says whose a topic is.
type Class uint8

const (
	Open    Class = iota // the clients' own
	Owned                // only the bridge publishes it
	Request              // handed to the Handler, never retained
)

// Message is one publication of the bridge.
type Message struct {
	Topic   string
	Payload []byte // not changed by anyone after Publish
	QoS     byte   // 0 to 2
	Retain  bool   // with an empty payload: what was retained is forgotten
	Event   bool   // must not be lost: goes through the journal, as with PublishEvent

	correlation []byte // of an answer to a Response Topic over a link
	code        string // its user property; empty: no such answer
}

// Handler is called for each request. It runs on the goroutine of the client or link that
// sent it, in the order sent, and must not block.
type Handler func(*Incoming)

// Journal keeps events until each receiver has taken them. Its receivers are the links by
// name, and "embedded".
type Journal interface {
	// Append stores msg for link and calls done once it will survive a crash, or with the
	// error. seq ascends per link in the order of the calls. done must not be waited for
	// within a call of the Journal.
	Append(link string, msg []byte, done func(seq uint64, err error))
	// Each calls fn for what is stored for link behind the sequence after, in order, until
	// fn returns false. fn may keep msg.
	Each(link string, after uint64, fn func(seq uint64, msg []byte) bool) error
	// Remove forgets what was taken.
	Remove(link string, seqs ...uint64) error
	// Len is how many messages are stored for link.
	Len(link string) int
}

// Options is what the broker needs of its surroundings. Log, Registerer and Classify must
// be set, and Journal where there are links.
type Options struct {
	Log        *slog.Logger
	Registerer prometheus.Registerer
	Classify   func(topic string) Class
	Journal    Journal
	Sessions   SessionStore // nil: sessions of the embedded broker's clients end with the program
	Source     Source       // nil: the embedded broker keeps all that is retained itself
	Will       Message      // what other servers publish when a link dies; none without a topic
	Filters    []string     // what links subscribe to
	// Birth is called after each (re)connection of a link, on a goroutine of its own: it
	// publishes the birth message and all retained topics to that link again. publish
	// waits while the link is busy; it sends nothing once the link is down again.
	Birth func(link string, publish func(Message))
	// BackOff is how long a link that failed is left alone, after so many failures in a row
	// before. nil: a second.
	BackOff func(failures int) time.Duration
	// OnLink is called when a link is up and when it is down. It must not block.
	OnLink func(link string, up bool)
	// Upstream syncs shadows over one connection of a link of kind aws, until ctx ends or it
	// fails; UpstreamMessage takes what comes over it, and must not block. Both must be set
	// where there is such a link.
	Upstream        func(ctx context.Context, link string, c *UpstreamConn) error
	UpstreamMessage func(link, topic string, payload []byte)
	// OnClient is called when a client of the embedded broker has logged in and when it
	// went. client is unique for the connection, so the two can be paired whatever order a
	// session's old and new connection report in. It must not block.
	OnClient func(user, client string, connected bool)
}

// Broker is the MQTT side of the program. All methods may be called concurrently.
type Broker struct {
	cfg     Config
	opts    Options
	log     *slog.Logger
	metrics *metrics
	handler atomic.Pointer[Handler]

	server   *server   // nil: not enabled
	outboxes []*outbox // nil without a Journal
	links    []*link
}

// New prepares a Broker. Nothing is opened or started.
func New(cfg Config, opts Options) (*Broker, error) {
	switch {
	case opts.Log == nil || opts.Registerer == nil || opts.Classify == nil:
		return nil, errors.New("broker: Options need Log, Registerer and Classify")
	case len(cfg.Links) > 0 && opts.Journal == nil:
		return nil, errors.New("broker: links need a Journal for what must not be lost")
	}
	b := &Broker{cfg: cfg, opts: opts, log: opts.Log}
	if cfg.Embedded.Enabled {
		s, err := newServer(b)
		if err != nil {
			return nil, err
		}
		b.server = s
		if opts.Journal != nil {
			b.outboxes = append(b.outboxes, newOutbox(embeddedOutbox, Outbox{}, opts.Journal, opts.Log))
		}
	}
	for _, lc := range cfg.Links {
		l, err := newLink(b, lc)
		if err != nil {
			return nil, err
		}
		if b.links = append(b.links, l); lc.Kind != kindAWS {
			b.outboxes = append(b.outboxes, l.out)
		}
	}
	m, err := newMetrics(b)
	if err != nil {
		return nil, fmt.Errorf("broker metrics: %w", err)
	}
	b.metrics = m
	for _, o := range b.outboxes {
		o.dropped = m.outboxDropped.MustCurryWith(prometheus.Labels{"receiver": o.name})
	}
	return b, nil
}

// Handle sets who answers requests. Call it before Run.
func (b *Broker) Handle(h Handler) { b.handler.Store(&h) }

// Listen opens the embedded broker's sockets; clients are served from Run on. Without an
// embedded broker it does nothing.
func (b *Broker) Listen() error {
	if b.server == nil {
		return nil
	}
	return b.server.listen()
}

// Addrs returns the addresses listened on as URLs, in the order configured.
func (b *Broker) Addrs() []string {
	if b.server == nil {
		return nil
	}
	return b.server.addrs()
}

// Links returns the state of every link.
func (b *Broker) Links() []LinkStatus {
	all := make([]LinkStatus, 0, len(b.links))
	for _, l := range b.links {
		all = append(all, l.status())
	}
	return all
}

// Run serves clients and links until ctx ends; then it disconnects both and returns when
// all that it started has ended. What must still be seen by clients is published and
// flushed before.
func (b *Broker) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	if b.server != nil {
		if err := b.server.listen(); err != nil {
			return err
		}
		if out := b.embeddedOutbox(); out != nil {
			begun := time.Now()
			wg.Go(func() {
				if err := out.drain(ctx, begun, b.takeEmbedded); err != nil {
					b.log.Error("stored events not published", "err", err)
				}
			})
		}
		wg.Go(func() { b.server.run(ctx) })
	}
	for _, o := range b.outboxes {
		wg.Go(func() { o.tidy(ctx) })
	}
	for _, l := range b.links {
		wg.Go(func() { l.run(ctx) })
	}
	wg.Wait()
	return nil
}

// Publish sends m to every client that wants it and every link that is up. It waits for no
// client and keeps the order of each topic. On a link that is down m is not sent: what is
// retained follows with the next birth, an Event out of the journal.
func (b *Broker) Publish(m Message) {
	if m.Event {
		b.PublishEvent(m, func(err error) {
			if err != nil {
				b.log.Error("event not stored", "topic", m.Topic, "err", err)
			}
		})
		return
	}
	b.metrics.published.Inc()
	if b.server != nil {
		b.server.publish(m, nil)
	}
	for _, l := range b.links {
		if l.cfg.Kind != kindAWS {
			l.publish(m)
		}
	}
}

// Wanted tells whether a message on topic, not retained, would reach anybody now.
func (b *Broker) Wanted(topic string) bool {
	for _, l := range b.links {
		if l.cfg.Kind != kindAWS {
			return true
		}
	}
	return b.server != nil && len(b.server.topics.of(topic)) > 0
}

// PublishEvent sends what must not be lost. stored is called once, as soon as m is safe in
// the journal for every receiver, or with the error; then m goes out and leaves the
// journal receiver by receiver: the embedded broker takes it at once, a link by PUBACK.
// Without a Journal m is published, and stored is called after.
func (b *Broker) PublishEvent(m Message, stored func(error)) {
	if b.opts.Journal == nil {
		m.Event = false
		b.Publish(m)
		stored(nil)
		return
	}
	b.metrics.published.Inc()
	raw, err := encodeEvent(m)
	if err != nil {
		stored(fmt.Errorf("event on %s is not JSON: %w", m.Topic, err))
		return
	}
	var (
		mu   sync.Mutex // guards left and errs
		left = len(b.outboxes)
		errs []error
	)
	for _, o := range b.outboxes {
		o.append(raw, func(err error) {
			mu.Lock()
			left--
			if err != nil {
				errs = append(errs, fmt.Errorf("store event for %s: %w", o.name, err))
			}
			last, all := left == 0, errors.Join(errs...)
			mu.Unlock()
			if last {
				stored(all)
			}
		})
	}
}

// Flush waits until what was published so far has been handed to the sockets of all live
// clients and to the links that are up, or until ctx ends. It is called before Run's
// context ends, so that the last message published is the last that clients see.
func (b *Broker) Flush(ctx context.Context) error {
	var errs []error
	if b.server != nil {
		errs = append(errs, b.server.flush(ctx))
	}
	for _, l := range b.links {
		errs = append(errs, l.flush(ctx))
	}
	return errors.Join(errs...)
}

func (b *Broker) embeddedOutbox() *outbox {
	if b.server == nil || len(b.outboxes) == 0 {
		return nil
	}
	return b.outboxes[0]
}

// takeEmbedded hands one stored event to the embedded broker. It is taken once it is safe for
// every session that lasts; what could not be stored for one has been told.
func (b *Broker) takeEmbedded(_ context.Context, m Message, taken func()) error {
	b.server.publish(m, func(err error) {
		if err != nil {
			b.log.Error("event not stored for all persistent sessions", "topic", m.Topic, "err", err)
		}
		taken()
	})
	return nil
}

// classify is the class of a topic that somebody else publishes. Everything below $ is the
// service's [device-shadow 11]: what is not a request there is nobody else's.
func (b *Broker) classify(topic string) Class {
	c := b.opts.Classify(topic)
	if c == Open && topic != "" && topic[0] == '$' {
		return Owned
	}
	return c
}

// handle gives a request to the Handler. A panic there harms nobody else.
func (b *Broker) handle(in *Incoming) {
	h := b.handler.Load()
	if h == nil {
		return
	}
	defer func() {
		if r := recover(); r != nil {
			b.metrics.panics.Inc()
			b.log.Error("request handler panicked", "topic", in.Topic, "panic", r)
		}
	}()
	(*h)(in)
}
