package shadowsync

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/shadowsync/store"
)

// failing is a store whose disk is full while broken returns true. hold, when set, is run
// before each commit.
type failing struct {
	*store.Store
	broken func(commit int) bool
	hold   func(commit int)
	n      int
}

func (f *failing) CommitAsync(b *store.Batch, done func(error)) {
	f.n++
	n := f.n
	if f.broken(n) {
		go func() {
			if f.hold != nil {
				f.hold(n)
			}
			done(store.ErrFull)
		}()
		return
	}
	f.Store.CommitAsync(b, done)
}

func TestAFailedCommitChangesNothingAndIsToldToEach(t *testing.T) {
	b := newService(t, t.TempDir(), nil)
	began, next := make(chan struct{}), make(chan struct{})
	b.Service.st = &failing{Store: b.st, broken: func(n int) bool { return n == 2 }, hold: func(int) {
		close(began)
		<-next
	}}
	b.start(t)
	wantVersion(t, answerOf(t, b.ask(t, base+"update", `{"state":{"desired":{"a":1}}}`)), "1")

	// The second commit fails. What waits behind it was applied on top of it.
	ask := func(op, payload string) { b.Handle(Request{Topic: base + op, Payload: []byte(payload)}) }
	ask("update", `{"state":{"desired":{"a":2}},"clientToken":"fails"}`)
	<-began
	ask("get", `{"clientToken":"get"}`)
	ask("update", `{"state":{"desired":{"b":1}},"version":1,"clientToken":"next"}`)
	reported := make(chan error, 1)
	b.Report(Key{Thing: "t1"}, map[string]any{"r": 1}, func(d Document, err error) {
		if d.Version != 3 {
			err = errors.Join(err, errors.New("the report has not version 3"))
		}
		reported <- err
	})
	close(next)
	b.flush(t)
	if err := <-reported; err != nil {
		t.Error(err)
	}
	codes, states := map[string]string{}, map[string]map[string]any{}
	for _, m := range b.rec.drain() {
		token, _ := m.payload["clientToken"].(string)
		if strings.HasSuffix(m.topic, "rejected") {
			codes[token] = string(appendJSON(nil, m.payload["code"]))
		} else if strings.HasSuffix(m.topic, "accepted") {
			states[token], _ = m.payload["state"].(map[string]any)
		}
	}
	if codes["fails"] != "500" {
		t.Errorf("codes %v, want 500 for the update whose commit failed", codes)
	}
	if got := string(appendJSON(nil, states["get"]["desired"])); got != `{"a":1}` {
		t.Errorf("get saw %s, want what is stored", got)
	}
	if states["next"] == nil {
		t.Errorf("the update behind the failed one was refused: %v", codes)
	}
	d, err := b.Get(Key{Thing: "t1"})
	if err != nil || string(d.part(spanDesired)) != `{"a":1,"b":1}` || d.Version != 3 {
		t.Errorf("got %s, %v; want a 1, b 1, version 3", d.text, err)
	}
}

func TestServiceGoesOnWhenTheDiskHasRoomAgain(t *testing.T) {
	b := newService(t, t.TempDir(), nil)
	full := true
	b.Service.st = &failing{Store: b.st, broken: func(int) bool { return full }}
	b.start(t)
	for range 20 {
		m := answerOf(t, b.ask(t, base+"update", `{"state":{"desired":{"a":1}}}`))
		wantCode(t, m, "500")
		if m.payload["message"] != "Internal service failure" {
			t.Fatalf("message %v", m.payload["message"])
		}
		wantCode(t, answerOf(t, b.ask(t, base+"get", "")), "404")
	}
	full = false
	wantVersion(t, answerOf(t, b.ask(t, base+"update", `{"state":{"desired":{"a":1}}}`)), "1")
}

func TestReportsThatTheStoreCouldNotTakeAreLaidDownOnceThereIsRoom(t *testing.T) {
	b := newService(t, t.TempDir(), nil)
	var full atomic.Bool
	full.Store(true)
	b.Service.st = &failing{Store: b.st, broken: func(int) bool { return full.Load() }}
	b.retry = time.Millisecond
	b.start(t)
	const shadows = 2000 // several groups
	failed := make(chan error, 3*shadows)
	for i := range shadows {
		k := Key{Thing: fmt.Sprint("t", i)}
		for _, patch := range []map[string]any{{"a": 1, "b": 1}, {"a": 2}, {"b": nil}} {
			b.ReportSealed(k, patch, func(_ Document, err error) { failed <- err })
		}
	}
	for range 3 * shadows {
		if err := <-failed; !errors.Is(err, store.ErrFull) {
			t.Fatalf("told %v, want ErrFull", err)
		}
	}
	full.Store(false)
	deadline := time.Now().Add(30 * time.Second)
	for i := range shadows {
		k := Key{Thing: fmt.Sprint("t", i)}
		for {
			d, err := b.Get(k)
			if err == nil && string(d.part(spanReported)) == `{"a":2}` {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s is %s, %v; want a 2", k, d.Encode(), err)
			}
			time.Sleep(time.Millisecond) // between two looks
		}
	}
}

func TestAStopGivesUpReportsThatWaitTooLongAndAnswersClients(t *testing.T) {
	b := newService(t, t.TempDir(), nil)
	slow := make(chan struct{})
	b.Service.st = &failing{Store: b.st, broken: func(n int) bool { return n == 1 }, hold: func(int) { <-slow }}
	b.drain = 0
	b.start(t)
	b.Report(Key{Thing: "first"}, map[string]any{"a": 1}, func(Document, error) {}) // keeps the store busy
	const many = 5000
	told := make(chan error, many)
	for i := range many {
		b.Report(Key{Thing: fmt.Sprint("t", i)}, map[string]any{"a": 1}, func(_ Document, err error) { told <- err })
	}
	answer := make(chan int, 1)
	b.Handle(Request{Topic: base + "update", Payload: []byte(`{"state":{"desired":{"a":1}}}`), Reply: func(_ []byte, code int) { answer <- code }})
	go func() { // the stop has begun once nothing is taken any more
		for !errors.Is(b.queue.own(&job{flushed: make(chan struct{})}), ErrStopped) {
			time.Sleep(time.Millisecond)
		}
		close(slow)
	}()
	b.stop()
	given := 0
	for range many {
		if err := <-told; errors.Is(err, ErrStopped) {
			given++
		} else if err != nil && !errors.Is(err, store.ErrFull) { // with the first
			t.Fatalf("told %v, want ErrStopped or nothing", err)
		}
	}
	if given < many/2 {
		t.Errorf("%d of %d reports were given up, want most of them", given, many)
	}
	if code := <-answer; code != 200 {
		t.Errorf("the request of a client got %d, want 200", code)
	}
}
