package shadowsync

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/shadowsync/store"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if crashChild() {
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

// message is one publish, or one direct reply (no topic).
type message struct {
	topic   string
	payload map[string]any
	code    int
}

// recorder is a Publisher and an Observer that remembers.
type recorder struct {
	mu       sync.Mutex
	messages []message
	changes  []change
	created  []Key
	came     chan struct{}
}

type change struct {
	key             Key
	doc             Document
	reported, delta bool
	deleted         bool
}

func newRecorder() *recorder { return &recorder{came: make(chan struct{}, 1)} }

func (r *recorder) Publish(topic string, payload []byte) { r.add(topic, payload, 0) }

func (r *recorder) add(topic string, payload []byte, code int) {
	v, err := parseJSON(payload)
	if err != nil {
		panic(string(payload) + ": " + err.Error())
	}
	r.mu.Lock()
	r.messages = append(r.messages, message{topic, v.(map[string]any), code})
	r.mu.Unlock()
	select {
	case r.came <- struct{}{}:
	default:
	}
}

func (r *recorder) Updated(k Key, doc Document, reported, delta bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes = append(r.changes, change{k, doc, reported, delta, false})
}

func (r *recorder) Created(k Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.created = append(r.created, k)
}

func (r *recorder) Deleted(k Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes = append(r.changes, change{key: k, deleted: true})
}

// drain returns all messages so far and forgets them.
func (r *recorder) drain() []message {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.messages
	r.messages = nil
	return m
}

type bed struct {
	*Service
	rec  *recorder
	st   *store.Store
	stop func()
}

func openStore(t testing.TB, dir string) *store.Store {
	t.Helper()
	st, err := store.Open(store.Config{Path: dir, Sync: false}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// newService is a Service that is not running yet.
func newService(t testing.TB, dir string, change func(*Config, *Options)) *bed {
	t.Helper()
	cfg := Default()
	cfg.ClientReported = true
	opts := Options{Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg, &opts)
	}
	b := &bed{rec: newRecorder(), st: openStore(t, dir)}
	var err error
	if b.Service, err = New(cfg, b.st, b.rec, opts); err != nil {
		t.Fatal(err)
	}
	b.Observe(b.rec)
	return b
}

func (b *bed) start(t testing.TB) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := b.st.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	t.Cleanup(b.stop)
}

func startService(t testing.TB, dir string, change func(*Config, *Options)) *bed {
	b := newService(t, dir, change)
	b.start(t)
	return b
}

// ask sends one request and returns all messages that it caused; the answer is the last.
func (b *bed) ask(t testing.TB, topic, payload string) []message {
	t.Helper()
	if !b.Handle(Request{Topic: topic, Payload: []byte(payload)}) {
		t.Fatalf("%s is no request topic", topic)
	}
	b.flush(t)
	return b.rec.drain()
}

func (b *bed) flush(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := b.Flush(ctx); err != nil {
		t.Fatalf("flush: %v", err)
	}
}

// answerOf returns the one answer among the messages.
func answerOf(t testing.TB, messages []message) message {
	t.Helper()
	var found []message
	for _, m := range messages {
		if strings.HasSuffix(m.topic, "/accepted") || strings.HasSuffix(m.topic, "/rejected") {
			found = append(found, m)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d answers, want one: %v", len(found), messages)
	}
	return found[0]
}

func wantCode(t testing.TB, m message, code string) {
	t.Helper()
	if !strings.HasSuffix(m.topic, "/rejected") || m.payload["code"] != json.Number(code) {
		t.Fatalf("got %s %v, want rejected with %s", m.topic, m.payload, code)
	}
}

func wantVersion(t testing.TB, m message, version string) {
	t.Helper()
	if !strings.HasSuffix(m.topic, "/accepted") || m.payload["version"] != json.Number(version) {
		t.Fatalf("got %s %v, want accepted with version %s", m.topic, m.payload, version)
	}
}

const base = "$aws/things/t1/shadow/"

func TestVersionsGoOnAboveADeletedShadowOverRestarts(t *testing.T) {
	dir := t.TempDir()
	b := startService(t, dir, nil)
	for range 3 {
		b.ask(t, base+"update", `{"state":{"desired":{"a":1}}}`)
	}
	wantVersion(t, answerOf(t, b.ask(t, base+"delete", "")), "3")
	b.stop()

	b = startService(t, dir, nil)
	wantCode(t, answerOf(t, b.ask(t, base+"update", `{"state":{"desired":{"a":1}},"version":3}`)), "409")
	wantVersion(t, answerOf(t, b.ask(t, base+"update", `{"state":{"desired":{"a":1}}}`)), "5")
	b.stop()

	b = startService(t, dir, nil)
	wantVersion(t, answerOf(t, b.ask(t, base+"get", "")), "5")
	wantVersion(t, answerOf(t, b.ask(t, base+"update", `{"state":{"desired":{"a":2}}}`)), "6")
}

func TestADocumentIsTheSameAfterARestart(t *testing.T) {
	dir := t.TempDir()
	b := startService(t, dir, nil)
	b.ask(t, base+"update", `{"state":{"desired":{"timestamp":{"timestamp":5},"n":9007199254740993,"e":{},"l":[1,{"x":[]}]},"reported":{"s":"\u0001\"漢<"}}}`)
	before, err := b.Get(Key{Thing: "t1"})
	if err != nil {
		t.Fatal(err)
	}
	b.stop()
	b = startService(t, dir, nil)
	after, err := b.Get(Key{Thing: "t1"})
	if err != nil {
		t.Fatal(err)
	}
	if string(before.Encode()) != string(after.Encode()) {
		t.Errorf("got  %s\nwant %s", after.Encode(), before.Encode())
	}
}

func TestOfManyUpdatesWithOneVersionOneGetsThrough(t *testing.T) {
	b := startService(t, t.TempDir(), nil)
	b.ask(t, base+"update", `{"state":{"desired":{"a":1}}}`)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			b.Handle(Request{Topic: base + "update", Payload: []byte(`{"state":{"desired":{"a":2}},"version":1}`)})
		})
	}
	wg.Wait()
	b.flush(t)
	accepted := 0
	for _, m := range b.rec.drain() {
		if strings.HasSuffix(m.topic, "accepted") {
			accepted++
		}
	}
	if accepted != 1 {
		t.Errorf("%d of 50 updates with version 1 were accepted, want 1", accepted)
	}
}

func TestMessagesOfOneUpdateGoOutBeforeThoseOfTheNext(t *testing.T) {
	b := startService(t, t.TempDir(), nil)
	for range 200 {
		b.Handle(Request{Topic: base + "update", Payload: []byte(`{"state":{"desired":{"a":1}}}`)})
	}
	b.flush(t)
	messages := b.rec.drain()
	if len(messages) != 600 {
		t.Fatalf("%d messages, want 600", len(messages))
	}
	for i, m := range messages {
		op := []string{"delta", "documents", "accepted"}[i%3]
		version := m.payload["version"]
		if op == "documents" {
			version = m.payload["current"].(map[string]any)["version"]
		}
		if n, _ := wholeNumber(version); !strings.HasSuffix(m.topic, op) || n != int64(i/3+1) {
			t.Fatalf("message %d: %s version %v, want %s of version %d", i, m.topic, version, op, i/3+1)
		}
	}
}

func TestTheEleventhRequestInFlightIsToldSo(t *testing.T) {
	b := newService(t, t.TempDir(), nil) // not running: nothing is answered
	for range 11 {
		b.Handle(Request{Topic: base + "get", Payload: []byte(`{"clientToken":"c"}`), Client: "one"})
	}
	b.Handle(Request{Topic: base + "get", Client: "two"})
	messages := b.rec.drain()
	if len(messages) != 1 {
		t.Fatalf("%d answers before Run, want one", len(messages))
	}
	wantCode(t, messages[0], "429")
	if messages[0].payload["clientToken"] != "c" {
		t.Errorf("the 429 has no clientToken: %v", messages[0].payload)
	}
	b.start(t)
	b.flush(t)
	if n := len(b.rec.drain()); n != 11 {
		t.Errorf("%d answers, want 11", n)
	}
	b.Handle(Request{Topic: base + "get", Client: "one"})
	b.flush(t)
	wantCode(t, b.rec.drain()[0], "404")
}

func TestEveryRequestTakenIsAnsweredOnceWhenRunEnds(t *testing.T) {
	b := newService(t, t.TempDir(), nil)
	for range 1000 {
		b.Handle(Request{Topic: base + "update", Payload: []byte(`{"state":{"reported":{"a":1}}}`)})
	}
	reports := 0
	for range 100 {
		b.ReportSealed(Key{Thing: "t2"}, map[string]any{"n": reports}, func(Document, error) { reports++ })
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Run(ctx); err != nil {
		t.Fatal(err)
	}
	b.Handle(Request{Topic: base + "update", Payload: []byte(`{"state":{}}`)})
	answers := map[string]int{}
	for _, m := range b.rec.drain() {
		if strings.HasPrefix(m.topic, base) {
			answers[strings.TrimPrefix(m.topic, base)]++
		}
	}
	if answers["update/accepted"] != 1000 || answers["update/rejected"] != 1 || reports != 100 {
		t.Errorf("answers %v and %d reports, want 1000 accepted, 1 rejected, 100 reports", answers, reports)
	}
	if err := b.Flush(t.Context()); !errors.Is(err, ErrStopped) {
		t.Errorf("Flush after the end: %v, want ErrStopped", err)
	}
	if err := b.st.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAReplyTakesTheAnswerAlone(t *testing.T) {
	b := startService(t, t.TempDir(), nil)
	reply := func(payload []byte, code int) { b.rec.add("", payload, code) }
	b.Handle(Request{Topic: base + "update", Payload: []byte(`{"state":{"desired":{"a":1}}}`), Reply: reply})
	b.Handle(Request{Topic: base + "update", Payload: []byte(`{}`), Reply: reply})
	b.Handle(Request{Topic: base + "get", Reply: reply, Forbidden: "response topic x is the bridge's own"})
	b.flush(t)
	var topics []string
	var codes []int
	for _, m := range b.rec.drain() {
		if m.topic != "" {
			topics = append(topics, strings.TrimPrefix(m.topic, base))
		} else {
			codes = append(codes, m.code)
		}
	}
	if strings.Join(topics, " ") != "update/delta update/documents" {
		t.Errorf("topics %v, want delta and documents alone", topics)
	}
	if len(codes) != 3 || codes[0] != 200 || codes[1] != 400 || codes[2] != 403 {
		t.Errorf("codes %v, want 200 400 403", codes)
	}
}

func TestClientsMayNotWriteReportedByDefault(t *testing.T) {
	b := startService(t, t.TempDir(), func(c *Config, _ *Options) { c.ClientReported = false })
	wantCode(t, answerOf(t, b.ask(t, base+"update", `{"state":{"reported":{"a":1}}}`)), "403")
	wantCode(t, answerOf(t, b.ask(t, base+"update", `{"state":{"reported":null},"version":"x"}`)), "403")
	wantVersion(t, answerOf(t, b.ask(t, base+"update", `{"state":null}`)), "1")
	b.Report(Key{Thing: "t1"}, map[string]any{"a": 1}, nil)
	b.flush(t)
	b.rec.drain()
	wantCode(t, answerOf(t, b.ask(t, base+"update", `{"state":null}`)), "403")
	wantVersion(t, answerOf(t, b.ask(t, base+"update", `{"state":{"desired":null}}`)), "3")
}

func TestUnknownThingsAreRefusedWhereOnlyDevicesHaveShadows(t *testing.T) {
	b := startService(t, t.TempDir(), func(c *Config, o *Options) {
		c.Things = ThingsDevices
		o.KnownThing = func(thing string) bool { return thing == "known" }
	})
	wantCode(t, answerOf(t, b.ask(t, base+"get", "")), "404")
	wantVersion(t, answerOf(t, b.ask(t, "$aws/things/known/shadow/update", `{"state":{}}`)), "1")
}

func TestNamesOutsideThePatternAreRefusedOnTheirOwnTopic(t *testing.T) {
	b := startService(t, t.TempDir(), nil)
	for _, topic := range []string{
		"$aws/things/ä/shadow/get", "$aws/things//shadow/get", "$aws/things/t/shadow/name/$x/get",
		"$aws/things/t/shadow/name//get", "$aws/things/" + strings.Repeat("x", 129) + "/shadow/get",
		"$aws/things/t/shadow/name/" + strings.Repeat("x", 65) + "/get",
	} {
		m := answerOf(t, b.ask(t, topic, ""))
		wantCode(t, m, "400")
		if m.topic != topic+"/rejected" {
			t.Errorf("answer on %s, want %s/rejected", m.topic, topic)
		}
	}
}

func TestNamesAndEachShowWhatIsStored(t *testing.T) {
	b := startService(t, t.TempDir(), nil)
	for _, k := range []Key{{"a", ""}, {"a", "x"}, {"a", "y"}, {"ab", "z"}} {
		b.Report(k, map[string]any{"v": 1}, nil)
	}
	b.Report(Key{"a", "w"}, map[string]any{"v": 1}, nil)
	deleted := make(chan error, 2)
	b.Delete(Key{"a", "w"}, func(err error) { deleted <- err })
	b.Delete(Key{"a", "w"}, func(err error) { deleted <- err })
	if err := <-deleted; err != nil {
		t.Error(err)
	}
	if err := <-deleted; !errors.Is(err, ErrNotFound) {
		t.Errorf("second delete: %v, want ErrNotFound", err)
	}
	if got := strings.Join(b.Names("a"), " "); got != "x y" {
		t.Errorf("names %q, want x y", got)
	}
	n := 0
	if err := b.Each(func(_ Key, d Document) bool { n++; return d.Version == 1 }); err != nil || n != 4 {
		t.Errorf("%d documents, %v; want 4", n, err)
	}
	if _, err := b.Get(Key{"a", "w"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted shadow: %v, want ErrNotFound", err)
	}
}
