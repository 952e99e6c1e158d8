package broker

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/prometheus/client_golang/prometheus"
)

// classify is the tree of topics of these tests: P/cmd/… are requests, P/own/… the bridge's.
func classify(topic string) Class {
	switch {
	case strings.HasPrefix(topic, "P/cmd/") || topic == "$aws/get":
		return Request
	case strings.HasPrefix(topic, "P/own/"):
		return Owned
	}
	return Open
}

// memoryStore is a SessionStore that survives its broker.
type memoryStore struct {
	mu   sync.Mutex
	rows map[string][]byte
}

func newMemoryStore() *memoryStore { return &memoryStore{rows: map[string][]byte{}} }

func (m *memoryStore) Each(fn func(string, []byte) error) error {
	m.mu.Lock()
	rows := maps.Clone(m.rows)
	m.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		if err := fn(key, rows[key]); err != nil {
			return err
		}
	}
	return nil
}

func (m *memoryStore) Put(key string, value []byte, done func(error)) {
	m.mu.Lock()
	m.rows[key] = value
	m.mu.Unlock()
	go done(nil)
}

func (m *memoryStore) Remove(keys []string, done func(error)) {
	m.mu.Lock()
	for _, key := range keys {
		delete(m.rows, key)
	}
	m.mu.Unlock()
	go done(nil)
}

func (m *memoryStore) len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.rows)
}

// running is a broker that serves.
type running struct {
	*Broker
	t        *testing.T
	stop     func()
	requests chan *Incoming
}

func run(t *testing.T, c Config, opts Options) *running {
	t.Helper()
	opts.Log, opts.Registerer, opts.Classify = slog.New(slog.DiscardHandler), prometheus.NewRegistry(), classify
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	b, err := New(c, opts)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{Broker: b, t: t, requests: make(chan *Incoming, 100)}
	b.Handle(func(in *Incoming) { r.requests <- in })
	if err := b.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = b.Run(ctx) }()
	r.stop = func() { cancel(); <-ended }
	t.Cleanup(r.stop)
	return r
}

func embedded(change ...func(*Embedded)) Config {
	c := Default()
	c.Embedded.Listen = []string{"tcp://127.0.0.1:0", "ws://127.0.0.1:0"}
	for _, f := range change {
		f(&c.Embedded)
	}
	return c
}

// inbox is what a client got, as topic=payload.
type inbox chan string

func (i inbox) expect(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		select {
		case got := <-i:
			if got != w {
				t.Fatalf("got %q, want %q", got, w)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%q never came", w)
		}
	}
}

func (r *running) options(id string) *mqtt.ClientOptions {
	return mqtt.NewClientOptions().AddBroker(r.Addrs()[0]).SetClientID(id).SetAutoReconnect(false).SetOrderMatters(true)
}

func (r *running) connect(o *mqtt.ClientOptions, filters ...string) (mqtt.Client, inbox) {
	r.t.Helper()
	in := make(inbox, 100000)
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
		mark := ""
		if m.Retained() {
			mark = "retained "
		}
		in <- fmt.Sprintf("%s%s=%s", mark, m.Topic(), m.Payload())
	})
	c := mqtt.NewClient(o)
	done(r.t, c.Connect())
	r.t.Cleanup(func() { c.Disconnect(0) })
	for _, f := range filters {
		done(r.t, c.Subscribe(f, 1, nil))
	}
	return c, in
}

func done(t *testing.T, token mqtt.Token) {
	t.Helper()
	if !token.WaitTimeout(10 * time.Second) {
		t.Fatal("no answer within 10 s")
	}
	if token.Error() != nil {
		t.Fatal(token.Error())
	}
}

func newClient(o *mqtt.ClientOptions) mqtt.Client { return mqtt.NewClient(o) }
