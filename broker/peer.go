package broker

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	pahosession "github.com/eclipse/paho.golang/paho/session"
	"github.com/eclipse/paho.golang/paho/session/state"
	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/gorilla/websocket"
)

// peer is one connection to another server, in MQTT 5 or 3.1.1.
type peer interface {
	subscribe(ctx context.Context, filter string, qos byte) error
	// publish sends m, in the order of the calls; wait returns once the server has
	// acknowledged it. One caller at a time.
	publish(ctx context.Context, m Message, qos byte) (wait func(context.Context) error)
	close()
}

// refusal is a CONNACK that says no.
type refusal struct {
	code   byte
	reason string
}

func (r *refusal) Error() string {
	return fmt.Sprintf("the server refused the connection with code %#x (%s)", r.code, cmp.Or(r.reason, "no reason given"))
}

// connect speaks MQTT 5 where the server does, else 3.1.1.
func (l *link) connect(ctx context.Context, lost func(error)) (peer, error) {
	if !l.old {
		p, err := l.connect5(ctx, lost)
		var r *refusal
		switch {
		case err == nil:
			return p, nil
		case errors.As(err, &r) && r.code != packets.ConnackUnsupportedProtocolVersion && r.code >= 0x80:
			return nil, err // it speaks MQTT 5, and means it
		case errors.Is(err, errDial) || ctx.Err() != nil:
			return nil, err
		}
	}
	p, err := l.connect3(ctx, lost)
	if err == nil {
		l.old = true
	}
	return p, err
}

// peer3 is MQTT 3.1.1.
type peer3 struct {
	client  mqtt.Client
	receive mqtt.MessageHandler
}

func (l *link) connect3(ctx context.Context, lost func(error)) (peer, error) {
	opt := *l.opt
	opt.SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost(err) })
	client := mqtt.NewClient(&opt)
	if err := await(ctx, client.Connect()); err != nil {
		client.Disconnect(0)
		return nil, err
	}
	return &peer3{client, func(_ mqtt.Client, m mqtt.Message) {
		l.receive(&Incoming{Topic: m.Topic(), Payload: m.Payload(), QoS: m.Qos(), Retain: m.Retained(), Link: l.cfg.Name})
	}}, nil
}

func (p *peer3) subscribe(ctx context.Context, filter string, qos byte) error {
	token := p.client.Subscribe(filter, qos, p.receive)
	if err := await(ctx, token); err != nil {
		return err
	}
	if granted := token.(*mqtt.SubscribeToken).Result()[filter]; granted == 0x80 { // [MQTT 3.1.1, 3.9.3]
		return errors.New("the server refused the subscription")
	}
	return nil
}

func (p *peer3) publish(_ context.Context, m Message, qos byte) func(context.Context) error {
	token := p.client.Publish(m.Topic, qos, m.Retain, m.Payload)
	return func(ctx context.Context) error { return await(ctx, token) }
}

func (p *peer3) close() { p.client.Disconnect(uint(lastWords / time.Millisecond)) }

// peer5 is MQTT 5.
type peer5 struct {
	client *paho.Client
	acks   *ackedSession
}

// ackedSession tells of each acknowledgement, which paho keeps to itself when it is not to
// wait for it.
type ackedSession struct {
	pahosession.SessionManager
	mu   sync.Mutex // guards next; one publication at a time
	next chan packets.ControlPacket
}

// AddToSession takes a packet in; the answer to a publication comes to next.
func (s *ackedSession) AddToSession(ctx context.Context, p pahosession.Packet, resp chan<- packets.ControlPacket) error {
	if p.Type() == packets.PUBLISH {
		resp = s.next
	}
	return s.SessionManager.AddToSession(ctx, p, resp)
}

func (l *link) connect5(ctx context.Context, lost func(error)) (peer, error) {
	ctx, cancel := context.WithTimeout(ctx, linkTimeout)
	defer cancel()
	conn, err := l.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDial, err)
	}
	p := &peer5{acks: &ackedSession{SessionManager: state.NewInMemory()}}
	p.client = paho.NewClient(paho.ClientConfig{
		Conn: packets.NewThreadSafeConn(conn), Session: p.acks, PacketTimeout: linkTimeout,
		OnClientError:      lost,
		OnServerDisconnect: func(d *paho.Disconnect) { lost(fmt.Errorf("the server disconnected with code %#x", d.ReasonCode)) },
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(r paho.PublishReceived) (bool, error) {
			l.receive(l.incoming5(r.Packet))
			return true, nil
		}},
	})
	expiry := uint32(0)
	connect := &paho.Connect{
		ClientID: cmp.Or(l.cfg.ClientID, defaultClientID(l.cfg.Name)), CleanStart: true,
		KeepAlive: uint16(cmp.Or(l.cfg.Keepalive, defaultKeepalive) / time.Second),
		Username:  l.cfg.Username, UsernameFlag: l.cfg.Username != "",
		Password: []byte(l.cfg.Password), PasswordFlag: l.cfg.Password != "",
		Properties: &paho.ConnectProperties{SessionExpiryInterval: &expiry, RequestProblemInfo: true},
	}
	if w := l.will(); w.Topic != "" {
		connect.WillMessage = &paho.WillMessage{Topic: w.Topic, Payload: w.Payload, QoS: l.qos(w.QoS), Retain: w.Retain}
	}
	answer, err := p.client.Connect(ctx, connect)
	if err != nil {
		err = errors.Join(err, ignoreClosed(conn.Close()))
		if answer != nil && answer.ReasonCode != 0 {
			r := &refusal{code: answer.ReasonCode}
			if answer.Properties != nil {
				r.reason = answer.Properties.ReasonString
			}
			return nil, r
		}
		return nil, err
	}
	return p, nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

var errDial = errors.New("no connection")

// dial opens the connection below MQTT.
func (l *link) dial(ctx context.Context) (net.Conn, error) {
	u, err := url.Parse(l.cfg.URL)
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "ws", "wss":
		d := websocket.Dialer{TLSClientConfig: l.tls, Subprotocols: []string{"mqtt"}, HandshakeTimeout: linkTimeout, Proxy: http.ProxyFromEnvironment}
		c, _, err := d.DialContext(ctx, l.cfg.URL, nil)
		if err != nil {
			return nil, err
		}
		return &wsConn{Conn: c.NetConn(), ws: c}, nil
	case "ssl", "mqtts":
		return (&tls.Dialer{Config: l.tls}).DialContext(ctx, "tcp", withPort(u, "8883"))
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", withPort(u, "1883"))
}

func withPort(u *url.URL, port string) string {
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port))
}

func (p *peer5) subscribe(ctx context.Context, filter string, qos byte) error {
	_, err := p.client.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: filter, QoS: qos, RetainHandling: 2}}})
	return err
}

func (p *peer5) publish(ctx context.Context, m Message, qos byte) func(context.Context) error {
	p.acks.mu.Lock()
	defer p.acks.mu.Unlock()
	ack := make(chan packets.ControlPacket, 1)
	p.acks.next = ack
	out := &paho.Publish{Topic: m.Topic, Payload: m.Payload, QoS: qos, Retain: m.Retain}
	if m.code != "" {
		out.Properties = &paho.PublishProperties{CorrelationData: m.correlation, User: paho.UserProperties{{Key: "code", Value: m.code}}}
	}
	_, err := p.client.PublishWithOptions(ctx, out, paho.PublishOptions{Method: paho.PublishMethod_AsyncSend})
	return func(ctx context.Context) error {
		if err != nil || qos == 0 {
			return err
		}
		select {
		case got := <-ack:
			switch c := got.Content.(type) {
			case nil:
				return errors.New("the connection ended before the acknowledgement")
			case *packets.Puback:
				return refusedBy(c.ReasonCode)
			case *packets.Pubrec:
				return refusedBy(c.ReasonCode)
			}
			return nil
		case <-time.After(linkTimeout):
			return fmt.Errorf("no answer within %v", linkTimeout)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// errRefused is a message that the server will never take.
var errRefused = errors.New("the server refused the message")

func refusedBy(code byte) error {
	if code >= 0x80 { // [MQTT5 3.4.2.1]
		return fmt.Errorf("%w with code %#x", errRefused, code)
	}
	return nil
}

func (p *peer5) close() {
	// The connection may have ended already: then there is nobody to say goodbye to.
	_ = p.client.Disconnect(&paho.Disconnect{})
}

// incoming5 is a request with its Response Topic, whose answer goes back over the link.
func (l *link) incoming5(p *paho.Publish) *Incoming {
	in := &Incoming{Topic: p.Topic, Payload: p.Payload, QoS: p.QoS, Retain: p.Retain, Link: l.cfg.Name}
	if p.Properties == nil || p.Properties.ResponseTopic == "" {
		return in
	}
	topic, correlation := p.Properties.ResponseTopic, p.Properties.CorrelationData
	if in.Refused = l.b.refuseResponseTopic(topic, &rights{all: true}); in.Refused != "" {
		return in
	}
	in.HasReply = true
	in.reply = func(payload []byte, code int) {
		l.publish(Message{Topic: topic, Payload: payload, QoS: 1, correlation: correlation, code: fmt.Sprint(code)})
	}
	return in
}
