package broker

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// bridged is a broker without listeners that has a link to url.
func bridged(t *testing.T, url string, j *memoryJournal, change ...func(*Link)) *running {
	l := Link{Name: "up", URL: url}
	for _, f := range change {
		f(&l)
	}
	return run(t, Config{Links: []Link{l}}, Options{
		Journal: j, Filters: []string{"P/cmd/+"}, Will: Message{Topic: "P/state", Payload: []byte("offline"), QoS: 1, Retain: true},
		Birth: func(_ string, publish func(Message)) {
			publish(Message{Topic: "P/state", Payload: []byte("online"), QoS: 1, Retain: true})
		},
	})
}

func (r *running) awaitLink(up bool) {
	r.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for r.Links()[0].Up != up {
		if time.Now().After(deadline) {
			r.t.Fatalf("link is %+v, want up: %v", r.Links()[0], up)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// mosquitto is a real one; url is empty where none is installed.
type mosquitto struct {
	t    *testing.T
	conf string
	url  string
	cmd  *exec.Cmd
}

func newMosquitto(t *testing.T) *mosquitto {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	m := &mosquitto{t: t, conf: filepath.Join(t.TempDir(), "mosquitto.conf"), url: "tcp://" + address}
	text := fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\nuser root\nmax_queued_messages 0\n", port)
	if err := os.WriteFile(m.conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.kill() })
	return m
}

// mosquittoPath is where mosquitto is, or nothing.
func mosquittoPath() string {
	for _, name := range []string{"mosquitto", "/usr/sbin/mosquitto"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

func (m *mosquitto) start() {
	m.t.Helper()
	m.cmd = exec.Command(mosquittoPath(), "-c", m.conf)
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		c, err := net.Dial("tcp", m.url[len("tcp://"):])
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("mosquitto does not listen: %v", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (m *mosquitto) kill() {
	if m.cmd != nil {
		_ = m.cmd.Process.Kill()
		_ = m.cmd.Wait()
		m.cmd = nil
	}
}

func watch(t *testing.T, url string, filters ...string) inbox {
	t.Helper()
	r := &running{t: t}
	o := mqtt.NewClientOptions().AddBroker(url).SetClientID("watcher").SetAutoReconnect(false).SetOrderMatters(true)
	_, in := r.connect(o, filters...)
	return in
}

// only311 stands before a server and lets nobody speak MQTT 5 to it.
func only311(t *testing.T, server string, answer []byte) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				head := make([]byte, 9) // fixed header, name, version
				if _, err := io.ReadFull(c, head); err != nil {
					return
				}
				if head[8] == 5 {
					_, _ = c.Write(answer)
					return
				}
				s, err := net.Dial("tcp", server[len("tcp://"):])
				if err != nil {
					return
				}
				defer s.Close()
				_, _ = s.Write(head)
				go func() { _, _ = io.Copy(c, s); c.Close() }()
				_, _ = io.Copy(s, c)
			}()
		}
	}()
	return "tcp://" + l.Addr().String()
}

func TestLinkSpeaksTheServersVersion(t *testing.T) {
	server := func() string { return run(t, embedded(), Options{}).Addrs()[0] }
	urls := map[string]bool{
		server(): false,
		run(t, embedded(), Options{}).Addrs()[1] + "/mqtt": false,
		only311(t, server(), []byte{0x20, 2, 0, 1}):        true, // unacceptable protocol version [MQTT 3.1.1, 3.2.2.3]
		only311(t, server(), nil):                          true, // closes, as some do
	}
	if mosquittoPath() != "" {
		m := newMosquitto(t)
		m.start()
		urls[m.url] = false
	}
	for url, old := range urls {
		t.Run(url, func(t *testing.T) {
			in := watch(t, url, "#")
			r := bridged(t, url, newMemoryJournal())
			r.awaitLink(true)
			in.expect(t, "P/state=online")
			if r.links[0].old != old {
				t.Errorf("the link speaks 3.1.1: %v, want %v", r.links[0].old, old)
			}
			r.PublishEvent(Message{Topic: "P/event", Payload: []byte(`{"id":"1"}`), QoS: 1}, func(error) {})
			in.expect(t, `P/event={"id":"1"}`)
			c, _ := (&running{t: t}).connect(mqtt.NewClientOptions().AddBroker(url).SetClientID("asker"))
			done(t, c.Publish("P/cmd/x", 1, false, "{}"))
			if got := <-r.requests; got.Link != "up" || got.Topic != "P/cmd/x" {
				t.Errorf("the request is %+v", got)
			}
			in.expect(t, "P/cmd/x={}")
			r.Publish(Message{Topic: "P/answer", Payload: []byte("{}"), QoS: 1})
			in.expect(t, "P/answer={}")
		})
	}
}

func TestResponseTopicWorksOverALink(t *testing.T) {
	server := run(t, embedded(), Options{})
	server.opts.Classify = func(string) Class { return Open }
	r := bridged(t, server.Addrs()[0], newMemoryJournal())
	r.awaitLink(true)
	raw := server.raw(t, 5, "asker", true)
	raw.send(t, 0x82, packetID(1), []byte{0}, str("answer"), []byte{1})
	raw.expect(t, 0x90)
	properties := append(append([]byte{0x08}, str("answer")...), append([]byte{0x09}, str("corr")...)...)
	raw.send(t, 0x30, str("P/cmd/x"), append([]byte{byte(len(properties))}, properties...), []byte("{}"))
	in := <-r.requests
	if !in.HasReply {
		t.Fatal("the Response Topic did not come over the link")
	}
	in.Reply([]byte("done"), 409)
	p := string(raw.expect(t, 0x32))
	for _, want := range []string{"corr", "code", "409", "done"} {
		if !strings.Contains(p, want) {
			t.Errorf("the answer %q has no %q", p, want)
		}
	}
}

func TestEventsOfAnOutageFollowInOrderMarkedAndOnce(t *testing.T) {
	if mosquittoPath() == "" {
		t.Log("no mosquitto here: only the embedded broker stands for the server elsewhere")
		return
	}
	m, j := newMosquitto(t), newMemoryJournal()
	m.start()
	r := bridged(t, m.url, j)
	r.awaitLink(true)
	m.kill()
	r.awaitLink(false)
	event := func(i int) {
		r.PublishEvent(Message{Topic: "P/event", Payload: fmt.Appendf(nil, `{"id":"%d"}`, i), QoS: 1}, func(error) {})
	}
	const n = 2000
	for i := range n / 2 {
		event(i)
	}
	r.stop() // the bridge restarts in the outage
	r = bridged(t, m.url, j)
	for i := n / 2; i < n; i++ {
		event(i)
	}
	m.start()
	in := watch(t, m.url, "P/event", "P/state")
	r.awaitLink(true)
	event(n)
	want, birth := 0, false
	for want <= n || !birth {
		var got string
		select {
		case got = <-in:
		case <-time.After(20 * time.Second):
			t.Fatalf("event %d never came", want)
		}
		if strings.HasSuffix(got, "P/state=online") {
			birth = true
			continue
		}
		var e struct {
			ID     string
			SentAt int64 `json:"sent_at"`
		}
		_, body, _ := strings.Cut(got, "=")
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		if e.ID != fmt.Sprint(want) || (e.SentAt == 0) != (want == n) {
			t.Fatalf("got %s, want event %d, marked unless it is of now", got, want)
		}
		want++
	}
	for deadline := time.Now().Add(10 * time.Second); j.Len("up") > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%d events stay in the journal after their PUBACK", j.Len("up"))
		}
		time.Sleep(time.Millisecond)
	}
}

func TestOutboxDropsTheOldestBeyondItsSize(t *testing.T) {
	j := newMemoryJournal()
	r := bridged(t, "tcp://127.0.0.1:1", j, func(l *Link) { l.Outbox.MaxBytes = minOutboxBytes })
	last := 0
	for ; last < 5000; last++ {
		r.PublishEvent(Message{Topic: "P/event", Payload: fmt.Appendf(nil, `{"id":"%d"}`, last), QoS: 1}, func(error) {})
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		bytes, ids := 0, []string{}
		_ = j.Each("up", 0, func(_ uint64, raw []byte) bool {
			bytes += len(raw)
			ids = append(ids, string(raw))
			return true
		})
		if bytes <= minOutboxBytes {
			if !strings.Contains(ids[len(ids)-1], `"4999"`) || len(ids) < 500 {
				t.Errorf("%d events are left, the last %s", len(ids), ids[len(ids)-1])
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes stay in the journal, max_bytes is %d", bytes, minOutboxBytes)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestOutboxDropsWhatIsTooOld(t *testing.T) {
	j := newMemoryJournal()
	r := bridged(t, "tcp://127.0.0.1:1", j)
	r.PublishEvent(Message{Topic: "P/event", Payload: []byte(`{}`), QoS: 1}, func(error) {})
	r.links[0].out.trim(time.Now().Add(defaultOutboxAge - time.Hour))
	if j.Len("up") != 1 {
		t.Fatal("an event within its age is dropped")
	}
	r.links[0].out.trim(time.Now().Add(defaultOutboxAge + time.Hour))
	if j.Len("up") != 0 {
		t.Fatal("an event beyond its age stays")
	}
}

func TestRetainedStateOfAnOutageIsTheNewestAndWhatWentIsGone(t *testing.T) {
	server := run(t, embedded(), Options{})
	server.opts.Classify = func(string) Class { return Open }
	r := bridged(t, server.Addrs()[0], newMemoryJournal())
	r.awaitLink(true)
	r.Publish(Message{Topic: "gone", Payload: []byte("1"), QoS: 1, Retain: true})
	in := watch(t, server.Addrs()[0], "gone")
	select {
	case <-in:
	case <-time.After(10 * time.Second):
		t.Fatal("no retained message over the link")
	}
	l := r.links[0]
	l.down(net.ErrClosed)
	r.Publish(Message{Topic: "gone", QoS: 1, Retain: true})
	l.mu.Lock()
	cleared := l.cleared["gone"]
	l.mu.Unlock()
	if !cleared {
		t.Error("a retained message that went while the link was down stays at the server")
	}
}
