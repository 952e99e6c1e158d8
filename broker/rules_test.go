package broker

import (
	"strings"
	"testing"
)

func withUsers(read, write string) Config {
	return embedded(func(e *Embedded) {
		e.Users = []User{{Name: "u", Password: "p", Read: strings.Fields(read), Write: strings.Fields(write)}, {Name: "all", Password: "p", Read: []string{"#", "$aws/#"}, Write: []string{"#", "$aws/#"}}}
	})
}

func TestSubscriptionWiderThanReadIsRefused(t *testing.T) {
	r := run(t, withUsers("P/own/# plain/+/x", ""), Options{})
	c, _ := r.connect(r.options("u").SetUsername("u").SetPassword("p"))
	for filter, want := range map[string]byte{
		"P/own/#": 1, "P/own/a": 1, "plain/+/x": 1, "plain/1/x": 1,
		"#": 0x80, "P/#": 0x80, "plain/#": 0x80, "plain/+/+": 0x80, "$aws/#": 0x80, "+/own/a": 0x80,
	} {
		token := c.Subscribe(filter, 1, nil)
		token.Wait()
		if got := token.(interface{ Result() map[string]byte }).Result()[filter]; got != want {
			t.Errorf("subscription to %s: SUBACK %#x, want %#x", filter, got, want)
		}
	}
}

func TestWildcardsDoNotReachTopicsOfTheService(t *testing.T) {
	r := run(t, embedded(), Options{})
	_, in := r.connect(r.options("c"), "#", "+/x/y")
	r.Publish(Message{Topic: "$aws/x/y", Payload: []byte("no"), QoS: 1})
	r.Publish(Message{Topic: "end", Payload: []byte("1"), QoS: 1})
	in.expect(t, "end=1")
	_, in = r.connect(r.options("d"), "$aws/#")
	r.Publish(Message{Topic: "$aws/x/y", Payload: []byte("yes"), QoS: 1})
	in.expect(t, "$aws/x/y=yes")
}

func TestNobodyButTheBridgePublishesWhatIsItsOwn(t *testing.T) {
	r := run(t, embedded(), Options{})
	_, in := r.connect(r.options("watcher"), "#", "$aws/#")
	v3, _ := r.connect(r.options("v3"))
	for _, topic := range []string{"P/own/presence", "$aws/things/x/shadow/update/accepted", "$SYS/x"} {
		for qos := range byte(3) {
			done(t, v3.Publish(topic, qos, true, "forged")) // acknowledged and dropped
		}
	}
	v5 := r.raw(t, 5, "v5", true)
	v5.send(t, 0x32, str("P/own/presence"), packetID(7), []byte{0}, []byte("forged"))
	if p := v5.expect(t, 0x40); p[1] != 7 || p[2] != 0x87 {
		t.Errorf("PUBACK is % x, want Not authorized", p)
	}
	v5.send(t, 0x34, str("P/own/presence"), packetID(8), []byte{0}, []byte("forged"))
	if first, p, err := v5.read(); err != nil || first != 0x50 || p[2] != 0x87 {
		t.Errorf("answer to QoS 2 is %#x % x (%v), want PUBREC with Not authorized", first, p, err)
	}
	done(t, v3.Publish("mine", 1, false, "end"))
	in.expect(t, "mine=end")
}

func TestPublicationsBeyondWriteReachNobody(t *testing.T) {
	r := run(t, withUsers("#", "mine/#"), Options{})
	c, in := r.connect(r.options("u").SetUsername("u").SetPassword("p"), "#")
	done(t, c.Publish("other", 1, false, "no"))
	done(t, c.Publish("P/cmd/x", 1, false, "no"))
	done(t, c.Publish("mine/a", 1, false, "yes"))
	in.expect(t, "mine/a=yes")
	if len(r.requests) != 0 {
		t.Error("a command beyond write was handed on")
	}
}

func TestRequestIsNeverRetained(t *testing.T) {
	r := run(t, embedded(), Options{})
	c, _ := r.connect(r.options("c"))
	done(t, c.Publish("P/cmd/x", 1, true, "again"))
	if in := <-r.requests; !in.Retain {
		t.Error("the handler does not know that the command was to be retained")
	}
	_, in := r.connect(r.options("late"), "#")
	r.Publish(Message{Topic: "end", Payload: []byte("1"), QoS: 1})
	in.expect(t, "end=1")
}

func TestLoopbackWithoutUsersTakesAnyUserName(t *testing.T) {
	r := run(t, embedded(), Options{})
	r.connect(r.options("sdk").SetUsername("?SDK=JavaScript&Version=1"))
	r.connect(r.options("x").SetUsername("who").SetPassword("ever"))
	r = run(t, withUsers("#", "#"), Options{})
	for _, o := range [][2]string{{"u", "wrong"}, {"nobody", "p"}, {"", ""}} {
		token := mqttConnect(r, o[0], o[1])
		if token == nil {
			t.Errorf("user %q with password %q was let in", o[0], o[1])
		}
	}
}

func mqttConnect(r *running, user, password string) error {
	c := newClient(r.options("login").SetUsername(user).SetPassword(password))
	token := c.Connect()
	token.Wait()
	if token.Error() == nil {
		c.Disconnect(0)
	}
	return token.Error()
}

func TestWebSocketAnswersAtBothPaths(t *testing.T) {
	r := run(t, embedded(), Options{})
	for _, path := range []string{"/mqtt", "/"} {
		o := r.options("ws" + path)
		o.Servers = nil
		o.AddBroker(r.Addrs()[1] + path)
		_, in := r.connect(o, "a")
		r.Publish(Message{Topic: "a", Payload: []byte(path), QoS: 1})
		in.expect(t, "a="+path)
	}
}

func TestPacketBeyondMaxPacketClosesItsConnectionAlone(t *testing.T) {
	r := run(t, embedded(func(e *Embedded) { e.MaxPacket = 1024 }), Options{})
	c, in := r.connect(r.options("other"), "a")
	raw := r.raw(t, 4, "big", true)
	raw.send(t, 0x30, str("a"), make([]byte, 5000))
	if _, _, err := raw.read(); err == nil {
		t.Error("the connection that sent a packet beyond max_packet lives on")
	}
	done(t, c.Publish("a", 1, false, "well"))
	in.expect(t, "a=well")
}

func TestResponseTopicTakesTheAnswerAlone(t *testing.T) {
	r := run(t, withUsers("mine/#", "P/cmd/# mine/#"), Options{})
	raw := r.login(t, "u", "p")
	raw.send(t, 0x82, packetID(1), []byte{0}, str("mine/#"), []byte{1})
	raw.expect(t, 0x90)
	ask := func(topic string) *Incoming {
		properties := append(append([]byte{0x08}, str(topic)...), append([]byte{0x09}, str("corr")...)...)
		raw.send(t, 0x30, str("P/cmd/x"), append([]byte{byte(len(properties))}, properties...), []byte("{}"))
		return <-r.requests
	}
	in := ask("mine/answer")
	if !in.HasReply || in.Refused != "" {
		t.Fatalf("a Response Topic within write is refused: %q", in.Refused)
	}
	in.Reply([]byte("done"), 200)
	p := string(raw.expect(t, 0x32))
	for _, want := range []string{"mine/answer", "corr", "code", "200", "done"} {
		if !strings.Contains(p, want) {
			t.Errorf("the answer %q has no %q", p, want)
		}
	}
	for _, topic := range []string{"P/own/x", "P/cmd/x", "mine/+", "mine/#", "beyond"} {
		if in := ask(topic); in.HasReply || in.Refused == "" {
			t.Errorf("Response Topic %s is taken", topic)
		}
	}
}

func TestExpiredMessageIsNotDelivered(t *testing.T) {
	r := run(t, embedded(), Options{Sessions: newMemoryStore()})
	c, _ := r.connect(r.options("away").SetCleanSession(false), "a")
	c.Disconnect(0)
	awaitGone(t, r, "away")
	raw := r.raw(t, 5, "sender", true)
	raw.send(t, 0x32, str("a"), packetID(1), []byte{5, 0x02, 0, 0, 0, 1}, []byte("short")) // expires after 1 s
	raw.expect(t, 0x40)
	raw.send(t, 0x32, str("a"), packetID(2), []byte{0}, []byte("long"))
	raw.expect(t, 0x40)
	ss := r.server.sessions.get("away")
	ss.mu.Lock()
	ss.waiting[0].pk.Expiry = 1 // long ago
	ss.mu.Unlock()
	_, in := r.connect(r.options("away").SetCleanSession(false))
	in.expect(t, "a=long")
}

func TestOpenListenerIsRefused(t *testing.T) {
	for url, ok := range map[string]bool{
		"tcp://127.0.0.1:0": true, "tcp://[::1]:0": true, "ws://localhost:0": true,
		"tcp://0.0.0.0:0": false, "ws://10.1.1.1:0": false, "tcp://[::]:0": false,
	} {
		c := embedded(func(e *Embedded) { e.Listen = []string{url} })
		if err := c.Validate(); (err == nil) != ok {
			t.Errorf("%s without users: %v", url, err)
		}
		c.Embedded.AllowAnonymous = true
		if err := c.Validate(); err != nil {
			t.Errorf("%s with allow_anonymous: %v", url, err)
		}
	}
}

func TestWhoFollowsRequestsSeesThemBeforeTheirAnswers(t *testing.T) {
	r := run(t, embedded(), Options{})
	r.Handle(func(in *Incoming) { r.Publish(Message{Topic: "P/own/answer", Payload: in.Payload, QoS: 1}) })
	follower, in := r.connect(r.options("follower"))
	done(t, follower.Subscribe("P/#", 1, nil))
	c, _ := r.connect(r.options("asks"))
	for _, n := range []string{"1", "2", "3"} {
		done(t, c.Publish("P/cmd/x", 1, false, n))
		in.expect(t, "P/cmd/x="+n, "P/own/answer="+n)
	}
}
