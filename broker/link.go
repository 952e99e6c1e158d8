package broker

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// The bounds of a link.
const (
	linkTimeout  = 10 * time.Second // of connecting, and of what is sent for its acknowledgement
	maxLinkQueue = 10000            // messages that wait to be sent
	maxCleared   = 100000           // topics that lost their retained message while a link was down
	linkWindow   = 256              // messages that may wait for their acknowledgement
)

// LinkStatus is how a link is.
type LinkStatus struct {
	Name string
	Up   bool
	Err  string // why it is down
	// Breaker is LinkClosed, LinkOpen or LinkHalfOpen; RetryAt tells when an open one is tried
	// again.
	Breaker string
	RetryAt time.Time
}

// link is the connection to another MQTT server.
type link struct {
	b   *Broker
	cfg Link
	out *outbox
	opt *mqtt.ClientOptions
	tls *tls.Config
	old bool // the server speaks 3.1.1 only; run's own

	mu      sync.Mutex // guards what follows; never held across I/O
	up      bool
	since   time.Time // it is up
	state   string    // of its breaker
	retryAt time.Time // when an open breaker is tried again
	err     error
	queue   []Message
	places  map[string]int  // of retained topics in queue: a newer value takes the place of the older
	newer   map[string]bool // retained topics published since the birth began; nil when it has ended
	cleared map[string]bool // topics whose retained message went while the link was down
	wake    chan struct{}   // capacity 1
	unacked int
}

func newLink(b *Broker, c Link) (*link, error) {
	l := &link{
		b: b, cfg: c, out: newOutbox(c.Name, c.Outbox, b.opts.Journal, b.log), err: errors.New("not connected yet"),
		places: make(map[string]int), cleared: make(map[string]bool), wake: make(chan struct{}, 1),
	}
	address, err := pahoURL(c.URL)
	if err != nil {
		return nil, fmt.Errorf("mqtt.links %s: %w", c.Name, err)
	}
	conf, err := clientTLS(c.TLS)
	if err != nil {
		return nil, fmt.Errorf("mqtt.links %s.tls: %w", c.Name, err)
	}
	l.tls = conf
	l.opt = mqtt.NewClientOptions().AddBroker(address).
		SetClientID(cmp.Or(c.ClientID, defaultClientID(c.Name))).SetUsername(c.Username).SetPassword(c.Password).
		SetKeepAlive(cmp.Or(c.Keepalive, defaultKeepalive)).SetTLSConfig(conf).
		SetCleanSession(true).SetAutoReconnect(false).SetConnectTimeout(linkTimeout).SetWriteTimeout(linkTimeout).
		SetOrderMatters(true).SetProtocolVersion(4)
	if w := l.will(); w.Topic != "" {
		l.opt.SetBinaryWill(w.Topic, w.Payload, l.qos(w.QoS), w.Retain)
	}
	return l, nil
}

// will is what the server publishes when the link dies: nothing where shadows only go.
func (l *link) will() Message {
	if l.cfg.Kind == kindAWS {
		return Message{}
	}
	return l.b.opts.Will
}

// pahoURL gives a URL the scheme that paho knows.
func pahoURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", err
	}
	switch u.Scheme {
	case "mqtt":
		u.Scheme = "tcp"
	case "mqtts":
		u.Scheme = "ssl"
	}
	return u.String(), nil
}

func clientTLS(c LinkTLS) (*tls.Config, error) {
	conf := &tls.Config{ServerName: c.ServerName, InsecureSkipVerify: c.Insecure, MinVersion: tls.VersionTLS12}
	var err error
	if c.CA != "" {
		if conf.RootCAs, err = readCA(c.CA); err != nil {
			return nil, err
		}
	}
	if c.Cert != "" {
		cert, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, err
		}
		conf.Certificates = []tls.Certificate{cert}
	}
	return conf, nil
}

func defaultClientID(link string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "host"
	}
	return "gb2mqtt-" + host + "-" + link
}

// qos is the highest that the link may use, at most q.
func (l *link) qos(q byte) byte {
	if l.cfg.QoS != nil {
		return min(q, byte(*l.cfg.QoS))
	}
	return min(q, 1)
}

func (l *link) status() LinkStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := LinkStatus{Name: l.cfg.Name, Up: l.up, Breaker: l.state, RetryAt: l.retryAt}
	if !l.up {
		s.Err = l.err.Error()
	}
	return s
}

// session is one connection, from connecting to its end.
func (l *link) session(ctx context.Context) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	peer, err := l.connect(ctx, func(err error) { end(fmt.Errorf("connection lost: %w", err)) })
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer peer.close()
	if l.cfg.Kind == kindAWS {
		return l.serveUpstream(ctx, peer)
	}
	for _, f := range l.b.opts.Filters {
		if err := peer.subscribe(ctx, f, l.qos(1)); err != nil {
			return fmt.Errorf("subscribe to %s: %w", f, err)
		}
	}
	begun := time.Now()
	l.mu.Lock()
	l.connectedLocked()
	l.newer = make(map[string]bool)
	for topic := range l.cleared {
		l.enqueueLocked(Message{Topic: topic, QoS: 1, Retain: true})
	}
	clear(l.cleared)
	l.mu.Unlock()
	l.connected()

	var work sync.WaitGroup
	defer work.Wait()
	defer end(nil)
	if l.b.opts.Birth != nil {
		work.Go(func() {
			l.b.opts.Birth(l.cfg.Name, func(m Message) { l.bear(ctx, m) })
			l.mu.Lock()
			l.newer = nil
			l.mu.Unlock()
		})
	}
	var one sync.Mutex // guards the order of publications on the connection
	publish := func(m Message, retain bool) func(context.Context) error {
		one.Lock()
		defer one.Unlock()
		m.Retain = retain
		return peer.publish(ctx, m, l.qos(m.QoS))
	}
	work.Go(func() {
		sent := newPipeline(ctx, &work, end)
		err := l.out.drain(ctx, begun, func(_ context.Context, m Message, taken func()) error {
			return sent.add(ctx, publish(m, false), taken)
		})
		if err != nil {
			end(err)
		}
	})
	work.Go(func() { end(l.send(ctx, newPipeline(ctx, &work, end), publish)) })
	<-ctx.Done()
	return context.Cause(ctx)
}

// receive takes what comes over the link: requests alone are for us.
func (l *link) receive(in *Incoming) {
	if l.cfg.Kind == kindAWS {
		l.b.opts.UpstreamMessage(l.cfg.Name, in.Topic, in.Payload)
		return
	}
	if l.b.classify(in.Topic) == Request {
		l.b.handle(in)
	}
}
