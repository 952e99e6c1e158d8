package broker

import (
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestRetainedMessagesOfClientsOutliveARestart(t *testing.T) {
	opts := Options{Sessions: newMemoryStore()}
	r := run(t, embedded(), opts)
	c, _ := r.connect(r.options("writer"))
	publish := func(topic, payload string) { done(t, c.Publish(topic, 1, true, payload)) }
	publish("a/kept", "old")
	publish("a/kept", "new")
	publish("a/gone", "once")
	publish("a/gone", "")
	publish("P/own/state", "forged") // nobody's but the bridge's
	r.stop()

	r = run(t, embedded(), opts)
	late, in := r.connect(r.options("reader"))
	for _, filter := range []string{"a/#", "P/own/#", "end"} {
		done(t, late.Subscribe(filter, 1, nil))
	}
	r.Publish(Message{Topic: "end", Payload: []byte("of it"), QoS: 1})
	in.expect(t, "retained a/kept=new", "end=of it")
}

func TestAnExpiredRetainedMessageDoesNotComeBack(t *testing.T) {
	store := newMemoryStore()
	p := persistence{store, nil}
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1, Retain: true}, TopicName: "a/short", Payload: []byte("lived"),
		Expiry: time.Now().Add(-time.Second).Unix(),
	}
	p.keep(pk, func(error) {})
	_, _, retained, err := p.load()
	if err != nil || len(retained) != 0 || store.len() != 0 {
		t.Errorf("%d messages, %d rows, %v; want none", len(retained), store.len(), err)
	}
}

func TestRetainedMessagesOfClientsAreBounded(t *testing.T) {
	r := run(t, embedded(func(e *Embedded) { e.MaxPacket, e.MaxBacklog = 9<<20, 16<<20 }), Options{})
	c, _ := r.connect(r.options("writer"))
	big := strings.Repeat("x", 8<<20)
	topics := []string{"a/0", "a/1", "a/2", "a/3", "a/4", "a/5", "a/6", "a/7", "a/8"}
	for _, topic := range topics {
		done(t, c.Publish(topic, 1, true, big))
	}
	if n := testutil.ToFloat64(r.metrics.unkept); n != 2 {
		t.Errorf("%v messages were not kept, want 2", n)
	}
	done(t, c.Publish("a/0", 1, true, "")) // makes room
	done(t, c.Publish("a/8", 1, true, "small"))
	got := make(chan string, 1)
	reader, _ := r.connect(r.options("reader"))
	done(t, reader.Subscribe("a/8", 1, func(_ mqtt.Client, m mqtt.Message) { got <- string(m.Payload()) }))
	if m := <-got; m != "small" {
		t.Errorf("got %d bytes, want what there was room for", len(m))
	}
}
