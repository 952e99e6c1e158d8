package broker

import (
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

func TestAChangeOfSubscriptionsCountsForTheNextMessage(t *testing.T) {
	r := run(t, embedded(), Options{})
	first, heard := r.connect(r.options("first"), "a/+")
	r.Publish(Message{Topic: "a/b", Payload: []byte("1"), QoS: 1})
	heard.expect(t, "a/b=1")

	second, also := r.connect(r.options("second"), "a/b")
	r.Publish(Message{Topic: "a/b", Payload: []byte("2"), QoS: 1})
	heard.expect(t, "a/b=2")
	also.expect(t, "a/b=2")

	done(t, first.Unsubscribe("a/+"))
	r.Publish(Message{Topic: "a/b", Payload: []byte("3"), QoS: 1})
	also.expect(t, "a/b=3")
	done(t, first.Subscribe("a/#", 1, nil))
	second.Disconnect(0)
	r.Publish(Message{Topic: "a/b", Payload: []byte("4"), QoS: 1})
	heard.expect(t, "a/b=4") // and never 3
}

func TestASessionThatIsTakenUpAgainIsFound(t *testing.T) {
	r := run(t, embedded(), Options{})
	o := func() *mqtt.ClientOptions { return r.options("lasting").SetCleanSession(false) }
	c, _ := r.connect(o(), "a")
	c.Disconnect(0)
	awaitGone(t, r, "lasting")
	r.Publish(Message{Topic: "a", Payload: []byte("while away"), QoS: 1})
	_, in := r.connect(o())
	r.Publish(Message{Topic: "a", Payload: []byte("when back"), QoS: 1})
	in.expect(t, "a=while away", "a=when back")
}

func TestSubscribersAreSoughtOnceUntilOneChanges(t *testing.T) {
	sought := 0
	found := &mochi.Subscribers{Subscriptions: map[string]packets.Subscription{"c": {Qos: 1}}}
	s := subscribers{find: func(string) *mochi.Subscribers { sought++; return found }}
	for range 10 {
		if all := s.of("t"); len(all) != 1 || all[0].client != "c" {
			t.Fatalf("found %v", all)
		}
	}
	if sought != 1 {
		t.Errorf("sought %d times, want once", sought)
	}
	s.changed()
	s.of("t")
	if sought != 2 {
		t.Errorf("sought %d times after a change, want twice", sought)
	}

	s.find = func(string) *mochi.Subscribers {
		s.changed() // while it is sought
		return found
	}
	s.of("other")
	if len(s.known) != 0 {
		t.Error("what a change has overtaken is remembered")
	}

	s.find = func(topic string) *mochi.Subscribers { return found }
	for i := range 3 * maxKnownTopics {
		s.of(string(rune(i)))
	}
	if n := len(s.known); n > maxKnownTopics {
		t.Errorf("%d topics are remembered, want at most %d", n, maxKnownTopics)
	}
}

func TestSharedSubscriptionsTakeTurns(t *testing.T) {
	r := run(t, embedded(), Options{})
	_, one := r.connect(r.options("one"), "$share/g/a")
	_, two := r.connect(r.options("two"), "$share/g/a")
	for range 100 {
		r.Publish(Message{Topic: "a", Payload: []byte("x"), QoS: 1})
	}
	for range 100 {
		select {
		case <-one:
		case <-two:
		}
	}
	if len(one)+len(two) > 0 {
		t.Error("a message went to both")
	}
}
