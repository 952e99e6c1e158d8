package broker

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

func numbered(topic string, from, to int) (all []string) {
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprintf("%s=%d", topic, i))
	}
	return all
}

func (r *running) publishNumbered(topic string, from, to int) {
	for i := from; i < to; i++ {
		r.Publish(Message{Topic: topic, Payload: fmt.Append(nil, i), QoS: 1})
	}
}

func TestPersistentSessionGetsItsMessagesInOrder(t *testing.T) {
	for name, store := range map[string]*memoryStore{"over a connection": nil, "over a restart": newMemoryStore()} {
		t.Run(name, func(t *testing.T) {
			opts := Options{}
			if store != nil {
				opts.Sessions = store
			}
			r := run(t, embedded(), opts)
			c, _ := r.connect(r.options("keeper").SetCleanSession(false), "a/#")
			c.Disconnect(0)
			awaitGone(t, r, "keeper")
			const n = 3000
			r.publishNumbered("a/b", 0, n/2)
			if store != nil {
				r.stop()
				r = run(t, embedded(), opts)
			}
			r.publishNumbered("a/b", n/2, n)
			_, in := r.connect(r.options("keeper").SetCleanSession(false))
			r.publishNumbered("a/b", n, n+10)
			in.expect(t, numbered("a/b", 0, n+10)...)
			if store == nil {
				return
			}
			deadline := time.Now().Add(10 * time.Second)
			for store.len() > 1 { // the session's own record stays
				if time.Now().After(deadline) {
					t.Fatalf("%d entries stay in the store after all was acknowledged", store.len())
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
}

func TestSessionThatIsAwayKeepsTheNewestWithinItsBounds(t *testing.T) {
	store := newMemoryStore()
	r := run(t, embedded(func(e *Embedded) { e.Session.Queued = 100 }), Options{Sessions: store})
	c, _ := r.connect(r.options("away").SetCleanSession(false), "a")
	c.Disconnect(0)
	awaitGone(t, r, "away")
	r.publishNumbered("a", 0, 250)
	_, in := r.connect(r.options("away").SetCleanSession(false))
	in.expect(t, numbered("a", 150, 250)...)
}

// awaitGone waits until a client's session knows that it is away.
func awaitGone(t *testing.T, r *running, id string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		ss := r.server.sessions.get(id)
		if ss == nil {
			return
		}
		ss.mu.Lock()
		away := ss.cl == nil
		ss.mu.Unlock()
		if away {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("client %s never went", id)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestSessionIsNotAnotherUsers(t *testing.T) {
	r := run(t, embedded(func(e *Embedded) {
		e.Users = []User{{Name: "ann", Password: "1", Read: []string{"#"}}, {Name: "bob", Password: "2", Read: []string{"#"}}}
	}), Options{Sessions: newMemoryStore()})
	c, _ := r.connect(r.options("same").SetCleanSession(false).SetUsername("ann").SetPassword("1"), "a")
	c.Disconnect(0)
	awaitGone(t, r, "same")
	r.publishNumbered("a", 0, 3)
	_, in := r.connect(r.options("same").SetCleanSession(false).SetUsername("bob").SetPassword("2"), "b")
	r.publishNumbered("a", 3, 5)
	r.publishNumbered("b", 0, 1)
	in.expect(t, "b=0")
}

func TestTakeoverLeavesTheNewConnectionWhole(t *testing.T) {
	r := run(t, embedded(), Options{})
	for i := range 50 { // clean or not, the old connection's end must not take anything of the new one
		_, in := r.connect(r.options("taken").SetCleanSession(i%3 != 0), "a")
		r.Publish(Message{Topic: "a", Payload: fmt.Append(nil, i), QoS: 1})
		in.expect(t, fmt.Sprint("a=", i))
	}
}

func TestSubscribeWhoseIDIsOnItsWayTheOtherWayIsAnswered(t *testing.T) {
	r := run(t, embedded(), Options{})
	raw := r.raw(t, 4, "raw", true)
	raw.send(t, 0x82, packetID(1), str("a"), []byte{1})
	raw.expect(t, 0x90)
	for range 20 {
		r.Publish(Message{Topic: "a", Payload: []byte("x"), QoS: 1})
	}
	for i := range 20 { // never acknowledged: IDs 1 to 20 are on their way
		if p := raw.expect(t, 0x32); p[0] != 0 || p[1] != 'a' && len(p) == 0 {
			t.Fatalf("message %d is % x", i, p)
		}
	}
	for id := byte(1); id <= 20; id++ {
		raw.send(t, 0x82, packetID(id), str(fmt.Sprint("b", id)), []byte{1})
		if p := raw.expect(t, 0x90); p[1] != id || p[2] != 1 {
			t.Fatalf("SUBACK %d is % x, want QoS 1 granted", id, p)
		}
	}
}

func TestClientThatStopsReadingHoldsUpNobodyAndIsDisconnected(t *testing.T) {
	r := run(t, embedded(func(e *Embedded) { e.MaxBacklog = e.MaxPacket }), Options{})
	_, in := r.connect(r.options("reader"), "a")
	stuck := r.raw(t, 4, "stuck", true)
	stuck.send(t, 0x82, packetID(1), str("a"), []byte{1})
	stuck.expect(t, 0x90)
	payload := strings.Repeat("x", 50000)
	begun := time.Now()
	const n = 400 // 20 MB: more than the system buffers and max_backlog take
	for range n {
		r.Publish(Message{Topic: "a", Payload: []byte(payload), QoS: 1})
		in.expect(t, "a="+payload)
	}
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("%d messages took the publisher and a reader %v beside a client that does not read", n, took)
	}
	awaitGone(t, r, "stuck")
}

func TestReceiveMaximumIsKeptAndDoesNotStall(t *testing.T) {
	r := run(t, embedded(), Options{})
	raw := r.raw(t, 5, "small", true, 0x21, 0, 3) // Receive Maximum 3 [MQTT5 3.1.2.11.3]
	raw.send(t, 0x82, packetID(1), []byte{0}, str("a"), []byte{1})
	raw.expect(t, 0x90)
	r.publishNumbered("a", 0, 50)
	for i := range 50 {
		p := raw.expect(t, 0x32)
		if got := string(p[6:]); got != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, got)
		}
		if i >= 2 {
			raw.send(t, 0x40, p[3:5]) // one acknowledged, one more comes
		}
	}
}

func TestRetainedMessagesComeAfterTheSuback(t *testing.T) {
	r := run(t, embedded(), Options{})
	for i := range 500 {
		r.Publish(Message{Topic: fmt.Sprint("r/", i), Payload: []byte("old"), QoS: 1, Retain: true})
		r.Publish(Message{Topic: fmt.Sprint("r/", i), Payload: []byte("new"), QoS: 1, Retain: true})
	}
	_, in := r.connect(r.options("late"), "r/#")
	got := map[string]bool{}
	for range 500 {
		got[<-in] = true
	}
	for i := range 500 {
		if want := fmt.Sprintf("retained r/%d=new", i); !got[want] {
			t.Fatalf("no %q", want)
		}
	}
}

func TestWillIsPublishedWithinItsRights(t *testing.T) {
	r := run(t, embedded(), Options{})
	_, in := r.connect(r.options("watcher"), "#")
	for _, topic := range []string{"P/own/x", "P/cmd/x", "mine"} {
		r.raw(t, 4, "dying", true).withWill(t, r, topic)
	}
	in.expect(t, "mine=gone")
}

func (c *rawClient) withWill(t *testing.T, r *running, topic string) {
	t.Helper()
	c.Close()
	o := r.options("will-"+topic).SetWill(topic, "gone", 1, false)
	o.SetCustomOpenConnectionFn(nil)
	var conn net.Conn
	o.SetCustomOpenConnectionFn(func(u *urlT, _ mqtt.ClientOptions) (net.Conn, error) {
		var err error
		conn, err = net.Dial("tcp", u.Host)
		return conn, err
	})
	r.connect(o)
	_ = conn.Close()
	awaitGone(t, r, "will-"+topic)
}
