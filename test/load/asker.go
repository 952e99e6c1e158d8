package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"

	"github.com/gb2mqtt/gb2mqtt/test/load/measure"
)

// Bounds of what waits.
const (
	mqttTimeout = 10 * time.Second
	patience    = 15 * time.Second // a request without an answer is lost after this: lists aside, the bridge answers within 10 s
	askQueue    = 4096             // requests of one connection that wait to be sent; beyond it they are lost
)

// dialMQTT connects with MQTT 5. received gets every message; lost, when the connection ends.
func dialMQTT(ctx context.Context, at, id string, received func(*paho.Publish), lost func(error)) (*paho.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, mqttTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", at)
	if err != nil {
		return nil, fmt.Errorf("mqtt: %w", err)
	}
	client := paho.NewClient(paho.ClientConfig{
		Conn: packets.NewThreadSafeConn(conn), PacketTimeout: mqttTimeout, OnClientError: lost,
		OnServerDisconnect: func(d *paho.Disconnect) {
			why := packets.Disconnect{ReasonCode: d.ReasonCode}
			lost(fmt.Errorf("disconnected by the broker with code %#x: %s", d.ReasonCode, why.Reason()))
		},
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(r paho.PublishReceived) (bool, error) {
			received(r.Packet)
			return true, nil
		}},
	})
	if _, err := client.Connect(ctx, &paho.Connect{ClientID: id, CleanStart: true, KeepAlive: 60}); err != nil {
		return nil, errors.Join(fmt.Errorf("mqtt: connect to %s: %w", at, err), conn.Close())
	}
	return client, nil
}

// subscribe asks for a filter.
func subscribe(ctx context.Context, c *paho.Client, filter string) error {
	ctx, cancel := context.WithTimeout(ctx, mqttTimeout)
	defer cancel()
	if _, err := c.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: filter, QoS: 1}}}); err != nil {
		return fmt.Errorf("mqtt: subscribe to %s: %w", filter, err)
	}
	return nil
}

// asker is one MQTT connection that asks, and gets the answers on a topic of its own. Its
// Run owns the connection; ask may be called by anyone.
type asker struct {
	client *paho.Client
	topic  string
	queue  chan ask
	broken chan error

	mu   sync.Mutex // guards the rest; never held while something is sent
	next uint64
	open map[uint64]ask
}

// codeOK is the user property code of an answer that is no refusal.
const codeOK = "200"

// ask is one request on its way.
type ask struct {
	topic   string
	payload []byte
	began   time.Time
	count   []*measure.Recorder
	done    func(code string) // of the answer, "" when it is lost; may be nil
}

func newAsker(ctx context.Context, at, id string) (*asker, error) {
	a := &asker{topic: "load/answers/" + id, queue: make(chan ask, askQueue), broken: make(chan error, 1), open: make(map[uint64]ask)}
	var err error
	a.client, err = dialMQTT(ctx, at, "load-"+id, a.answered, func(err error) {
		select {
		case a.broken <- err:
		default:
		}
	})
	if err != nil {
		return nil, err
	}
	if err := subscribe(ctx, a.client, a.topic); err != nil {
		return nil, errors.Join(err, a.client.Disconnect(&paho.Disconnect{}))
	}
	return a, nil
}

// ask takes a request, which begins now; it is lost at once when too many wait.
func (a *asker) ask(q ask) {
	q.began = time.Now()
	for _, r := range q.count {
		r.Sent()
	}
	select {
	case a.queue <- q:
	default:
		q.lost()
	}
}

func (q ask) lost() {
	for _, r := range q.count {
		r.Lost()
	}
	if q.done != nil {
		q.done("")
	}
}

// Run sends what was asked, and gives up what is not answered, until ctx ends. It fails when
// the connection does.
func (a *asker) Run(ctx context.Context) error {
	sweep := time.NewTicker(time.Second)
	defer sweep.Stop()
	defer func() { _ = a.client.Disconnect(&paho.Disconnect{}) }() // it may be broken already
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-a.broken:
			return fmt.Errorf("mqtt: %w", err)
		case now := <-sweep.C:
			a.giveUp(now)
		case q := <-a.queue:
			if err := a.send(ctx, q); err != nil && ctx.Err() == nil {
				return fmt.Errorf("mqtt: publish: %w", err)
			}
		}
	}
}

func (a *asker) send(ctx context.Context, q ask) error {
	a.mu.Lock()
	a.next++
	number := a.next
	a.open[number] = q
	a.mu.Unlock()
	_, err := a.client.Publish(ctx, &paho.Publish{Topic: q.topic, Payload: q.payload, Properties: &paho.PublishProperties{
		ResponseTopic: a.topic, CorrelationData: binary.BigEndian.AppendUint64(nil, number)}})
	return err
}

// answered ends the request that a message answers.
func (a *asker) answered(m *paho.Publish) {
	if m.Properties == nil || len(m.Properties.CorrelationData) != 8 {
		return
	}
	number := binary.BigEndian.Uint64(m.Properties.CorrelationData)
	a.mu.Lock()
	q, waits := a.open[number]
	delete(a.open, number)
	a.mu.Unlock()
	if !waits {
		return
	}
	code := m.Properties.User.Get("code")
	for _, r := range q.count {
		r.Answered(time.Since(q.began), code != codeOK)
	}
	if q.done != nil {
		q.done(code)
	}
}

// giveUp ends what has waited too long.
func (a *asker) giveUp(now time.Time) {
	var late []ask
	a.mu.Lock()
	for number, q := range a.open {
		if now.Sub(q.began) > patience {
			late = append(late, q)
			delete(a.open, number)
		}
	}
	a.mu.Unlock()
	for _, q := range late {
		q.lost()
	}
}

// waiting is how many requests have not ended.
func (a *asker) waiting() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.open) + len(a.queue)
}
