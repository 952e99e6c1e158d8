package shadowsync

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/gb2mqtt/gb2mqtt/shadowsync/store"
)

// reading is a store that counts what is read of it. hold, when set, is run within each
// reading, once the value was read.
type reading struct {
	*store.Store
	hold  func()
	reads atomic.Int64
}

func (r *reading) Get(key []byte) ([]byte, error) {
	r.reads.Add(1)
	value, err := r.Store.Get(key)
	if r.hold != nil {
		r.hold()
	}
	return value, err
}

// restarted is a service over a store that has the shadow t1 but nothing of it in memory.
func restarted(t *testing.T, hold func()) (*bed, *reading) {
	dir := t.TempDir()
	b := startService(t, dir, nil)
	wantVersion(t, answerOf(t, b.ask(t, base+"update", `{"state":{"desired":{"a":1}}}`)), "1")
	b.stop()
	again := newService(t, dir, nil)
	r := &reading{Store: again.st, hold: hold}
	again.Service.st = r
	return again, r
}

func TestAStampedeOnAColdShadowReadsItOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		arrived := make(chan struct{})
		b, r := restarted(t, func() { <-arrived })
		b.start(t)
		defer b.stop()
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() {
				if d, err := b.Get(Key{Thing: "t1"}); err != nil || d.Version != 1 {
					t.Errorf("got version %d, %v; want 1", d.Version, err)
				}
			})
			all.Go(func() { b.Handle(Request{Topic: base + "get"}) })
		}
		synctest.Wait() // all of them wait for the one that reads
		close(arrived)
		all.Wait()
		b.flush(t)
		for range 1000 {
			if _, err := b.Get(Key{Thing: "t1"}); err != nil {
				t.Fatal(err)
			}
		}
		if n := r.reads.Load(); n != 1 {
			t.Errorf("the store was read %d times, want once", n)
		}
	})
}

func TestAGetAfterACommitDoesNotShareAReadingFromBefore(t *testing.T) {
	read, overtaken := make(chan struct{}), make(chan struct{})
	first := sync.OnceFunc(func() {
		close(read)
		<-overtaken
	})
	b, _ := restarted(t, first)
	b.start(t)
	k := Key{Thing: "t1"}
	early := make(chan int64)
	go func() {
		d, err := b.Get(k)
		if err != nil {
			t.Error(err)
		}
		early <- d.Version
	}()
	<-read // version 1, and holds it
	b.cache.put(k, &shadow{doc: &Document{Version: 2}})
	if d, err := b.Get(k); err != nil || d.Version != 2 {
		t.Errorf("got version %d, %v; want the committed 2", d.Version, err)
	}
	close(overtaken)
	if v := <-early; v != 1 {
		t.Errorf("the get from before got version %d, want 1", v)
	}
	if d, err := b.Get(k); err != nil || d.Version != 2 {
		t.Errorf("got version %d, %v once the old reading had landed; want 2", d.Version, err)
	}
}

func TestTheWriterDoesNotReadForWhoAsks(t *testing.T) {
	arrived, read := make(chan struct{}), make(chan struct{})
	var begun atomic.Bool
	b, _ := restarted(t, func() {
		if begun.CompareAndSwap(false, true) {
			close(read)
			<-arrived
		}
	})
	b.start(t)
	slow := make(chan struct{})
	go func() {
		defer close(slow)
		b.Handle(Request{Topic: base + "get"})
	}()
	<-read // and is held up
	b.Handle(Request{Topic: "$aws/things/other/shadow/update", Payload: []byte(`{"state":{"desired":{"a":1}}}`)})
	b.flush(t) // the other one's is durable and told meanwhile
	if m := b.rec.drain(); len(m) == 0 {
		t.Error("an update of another shadow waits for a slow reading")
	}
	close(arrived)
	<-slow
	b.flush(t)
	wantVersion(t, answerOf(t, b.rec.drain()), "1")
}
