package test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// message is one MQTT message as a client got it.
type message struct {
	topic    string
	payload  []byte
	retained bool
	at       time.Time
}

// json reads the payload as an object.
func (m message) json(t testing.TB) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(m.payload, &v); err != nil {
		t.Fatalf("%s carries %q, want a JSON object: %v", m.topic, m.payload, err)
	}
	return v
}

// client is an MQTT 3.1.1 client that keeps all it gets, in order.
type client struct {
	t    testing.TB
	conn mqtt.Client

	mu    sync.Mutex // guards inbox and more
	inbox []message
	more  chan struct{} // closed and replaced with each message
}

// connect returns a client that is subscribed to filters.
func connect(t testing.TB, url string, filters ...string) *client {
	t.Helper()
	c := &client{t: t, more: make(chan struct{})}
	options := mqtt.NewClientOptions().AddBroker(url).SetClientID("story-" + strings.ReplaceAll(t.Name(), "/", "-") + "-" + time.Now().Format("150405.000000000")).
		SetAutoReconnect(false).SetOrderMatters(true).SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { c.take(m) })
	c.conn = mqtt.NewClient(options)
	c.done(c.conn.Connect(), "connect to "+url)
	t.Cleanup(func() { c.conn.Disconnect(0) })
	for _, f := range filters {
		c.done(c.conn.Subscribe(f, 1, nil), "subscribe to "+f)
	}
	return c
}

func (c *client) take(m mqtt.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inbox = append(c.inbox, message{m.Topic(), m.Payload(), m.Retained(), time.Now()})
	close(c.more)
	c.more = make(chan struct{})
}

func (c *client) done(token mqtt.Token, what string) {
	c.t.Helper()
	if !token.WaitTimeout(10 * time.Second) {
		c.t.Fatalf("%s: no answer within 10 s", what)
	}
	if token.Error() != nil {
		c.t.Fatalf("%s: %v", what, token.Error())
	}
}

// publish sends v, as JSON unless it is text, with QoS 1.
func (c *client) publish(topic string, v any) {
	c.t.Helper()
	payload, isText := v.(string)
	if !isText {
		b, err := json.Marshal(v)
		if err != nil {
			c.t.Fatal(err)
		}
		payload = string(b)
	}
	c.done(c.conn.Publish(topic, 1, false, payload), "publish to "+topic)
}

// mark is the place in the inbox from which wait may look.
func (c *client) mark() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.inbox)
}

// wait returns the first message from mark on that matches, or fails the test.
func (c *client) wait(mark int, what string, match func(message) bool) message {
	c.t.Helper()
	return c.waitFor(mark, 10*time.Second, what, match)
}

func (c *client) waitFor(mark int, limit time.Duration, what string, match func(message) bool) message {
	c.t.Helper()
	deadline := time.After(limit)
	for {
		c.mu.Lock()
		for ; mark < len(c.inbox); mark++ {
			if match(c.inbox[mark]) {
				m := c.inbox[mark]
				c.mu.Unlock()
				return m
			}
		}
		more := c.more
		c.mu.Unlock()
		select {
		case <-more:
		case <-deadline:
			c.t.Fatalf("no %s within %v", what, limit)
		}
	}
}

// on matches a topic and, where given, the whole payload.
func on(topic string, payload ...string) func(message) bool {
	return func(m message) bool {
		return m.topic == topic && (len(payload) == 0 || string(m.payload) == payload[0])
	}
}

// token matches a JSON answer by its clientToken.
func token(topic, value string) func(message) bool {
	return func(m message) bool {
		var body struct{ ClientToken string }
		return m.topic == topic && json.Unmarshal(m.payload, &body) == nil && body.ClientToken == value
	}
}

// messages returns what came on topic, in order.
func (c *client) messages(topic string) []message {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []message
	for _, m := range c.inbox {
		if m.topic == topic {
			out = append(out, m)
		}
	}
	return out
}

// shadow asks for a document and returns it; nil when there is none.
func (c *client) shadow(thing, name string) map[string]any {
	c.t.Helper()
	base := shadowTopic(thing, name)
	c.done(c.conn.Subscribe(base+"/get/+", 1, nil), "subscribe to "+base+"/get/+")
	mark := c.mark()
	c.publish(base+"/get", "")
	m := c.wait(mark, "answer to get of "+base, func(m message) bool { return strings.HasPrefix(m.topic, base+"/get/") })
	if strings.HasSuffix(m.topic, "/rejected") {
		return nil
	}
	return m.json(c.t)
}

// reported waits until cond holds for what a shadow reports, and returns that.
func (c *client) reported(thing, name, what string, cond func(map[string]any) bool) map[string]any {
	c.t.Helper()
	return c.reportedWithin(10*time.Second, thing, name, what, cond)
}

func (c *client) reportedWithin(limit time.Duration, thing, name, what string, cond func(map[string]any) bool) map[string]any {
	c.t.Helper()
	deadline := time.Now().Add(limit)
	var last any
	for time.Now().Before(deadline) {
		if doc := c.shadow(thing, name); doc != nil {
			last = doc
			reported, _ := at(doc, "state.reported").(map[string]any)
			if reported != nil && cond(reported) {
				return reported
			}
		}
		time.Sleep(10 * time.Millisecond) // between two looks, not for anything to happen
	}
	c.t.Fatalf("the shadow %s %s never showed %s; last: %v", thing, name, what, last)
	return nil
}

func shadowTopic(thing, name string) string {
	if name == "" {
		return "$aws/things/" + thing + "/shadow"
	}
	return "$aws/things/" + thing + "/shadow/name/" + name
}

// at follows a dotted path into JSON.
func at(v any, path string) any {
	for key := range strings.SplitSeq(path, ".") {
		object, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = object[key]
	}
	return v
}
