package broker

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// shelf is a Source of n topics P/own/i/word, a hundred to a page.
type shelf struct {
	n    int
	read func(topic string) []byte
	told atomic.Int64 // payloads read
}

func (s *shelf) Holds(topic string) bool { return strings.HasPrefix(topic, "P/own/") }

func (s *shelf) Topics(filter, place string) (topics []string, next string) {
	from, _ := strconv.Atoi(place)
	for at := from; at < s.n; at++ {
		if len(topics) == 100 {
			return topics, strconv.Itoa(at)
		}
		topics = append(topics, fmt.Sprintf("P/own/%d/word", at))
	}
	return topics, ""
}

func (s *shelf) Retained(topic string) []byte {
	s.told.Add(1)
	if s.read != nil {
		return s.read(topic)
	}
	return []byte("here")
}

func TestWhoSubscribesIsToldWhatTheSourceHas(t *testing.T) {
	r := run(t, embedded(), Options{Source: &shelf{n: 1000}})
	for filter, want := range map[string]int{
		"P/own/+/word": 1000, "P/own/#": 1000, "#": 1000, "P/own/7/word": 1, "P/own/7/+": 1,
		"P/own/+/other": 0, "other/#": 0, "$share/g/P/own/+/word": 0, // [MQTT5 4.8.2]
	} {
		for _, qos := range []byte{0, 1} {
			t.Run(fmt.Sprintf("%s at QoS %d", filter, qos), func(t *testing.T) {
				c, in := r.connect(r.options("late"))
				done(t, c.Subscribe(filter, qos, nil))
				got := map[string]bool{}
				for range want {
					got[<-in] = true
				}
				if len(got) != want {
					t.Fatalf("%d different messages, want %d", len(got), want)
				}
				for m := range got {
					if !strings.HasPrefix(m, "retained P/own/") || !strings.HasSuffix(m, "/word=here") {
						t.Fatalf("got %q", m)
					}
				}
				done(t, c.Unsubscribe(filter))
				done(t, c.Subscribe("end", 1, nil))
				r.Publish(Message{Topic: "end", Payload: []byte("of it"), QoS: 1})
				in.expect(t, "end=of it")
			})
		}
	}
}

func TestRetainHandlingHoldsForTheSource(t *testing.T) {
	r := run(t, embedded(), Options{Source: &shelf{n: 1}})
	c := r.raw(t, 5, "choosy", true)
	subscribe := func(handling byte) { // [MQTT5 3.8.3.1]
		c.send(t, 0x82, packetID(1), []byte{0}, str("P/own/0/word"), []byte{handling << 4})
		c.expect(t, 0x90)
	}
	told := func() {
		if p := c.expect(t, 0x31); !strings.HasSuffix(string(p), "here") { // QoS 0, retained
			t.Fatalf("got %q", p)
		}
	}
	subscribe(2) // never
	subscribe(1) // only where the subscription is new
	subscribe(0) // always
	told()
	c.send(t, 0xa2, packetID(2), []byte{0}, str("P/own/0/word"))
	c.expect(t, 0xb0)
	subscribe(1)
	told()
}

// What was published while the source was read is newer than what it read: a subscriber must
// not be left with the older.
func TestLiveMessageIsNotFollowedByAnOlderRetainedOne(t *testing.T) {
	value := atomic.Int64{}
	var r *running
	source := &shelf{n: 300}
	source.read = func(topic string) []byte {
		payload := fmt.Append(nil, value.Load())
		if topic == "P/own/250/word" && value.CompareAndSwap(0, 1) {
			r.Publish(Message{Topic: topic, Payload: []byte("1"), QoS: 1, Retain: true})
		}
		return payload
	}
	r = run(t, embedded(), Options{Source: source})
	_, in := r.connect(r.options("late"), "P/own/+/word")
	var got []string
	for range 301 {
		if m := <-in; strings.Contains(m, "/250/") {
			got = append(got, m)
		}
	}
	if len(got) != 2 || got[0] != "P/own/250/word=1" || got[1] != "retained P/own/250/word=1" {
		t.Fatalf("the topic told %q, want the live message, then the retained one as it is now", got)
	}
}

func TestClientThatDoesNotReadHoldsTheSourceBack(t *testing.T) {
	for _, qos := range []byte{0, 1} {
		t.Run(fmt.Sprintf("QoS %d", qos), func(t *testing.T) {
			source := &shelf{n: 1_000_000, read: func(string) []byte { return []byte(strings.Repeat("x", 10_000)) }}
			r := run(t, embedded(), Options{Source: source})
			stuck := r.raw(t, 4, "stuck", true)
			stuck.send(t, 0x82, packetID(1), str("P/own/#"), []byte{qos})
			stuck.expect(t, 0x90)
			_, in := r.connect(r.options("reader"), "live")
			last := int64(-1)
			for { // until nothing is read any more: its socket and its part of the backlog are full
				r.Publish(Message{Topic: "live", Payload: []byte("on"), QoS: 1})
				in.expect(t, "live=on")
				now := source.told.Load()
				if now > 0 && now == last {
					break
				}
				last = now
				time.Sleep(50 * time.Millisecond)
			}
			if last > 10_000 {
				t.Fatalf("%d payloads of 10 kB were read for a client that takes none", last)
			}
			for range 100 { // and it goes on as soon as the client does
				stuck.expect(t, 0x31|qos<<1)
			}
		})
	}
}
