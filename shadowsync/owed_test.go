package shadowsync

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/shadowsync/store"
)

// debtor owes every shadow its word until that is paid.
type debtor struct {
	since time.Time
	late  bool // in the stead of a report that was refused

	mu   sync.Mutex
	owes map[Key]string
}

func (d *debtor) Owed(k Key, caughtUp bool) (map[string]any, time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	word, owes := d.owes[k]
	if !owes || d.late && !caughtUp {
		return nil, d.since
	}
	return map[string]any{"presence": word}, d.since
}

func (d *debtor) Paid(k Key, _ bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.owes, k)
}

func TestWhatIsOwedIsSeenAtOnceAndWrittenAheadOfEverything(t *testing.T) {
	k := Key{Thing: "t1"}
	for name, first := range map[string]func(t *testing.T, b *bed){
		"a get": func(t *testing.T, b *bed) { wantVersion(t, answerOfClient(t, b.ask(t, base+"get", "")), "2") },
		"an update": func(t *testing.T, b *bed) {
			wantCode(t, answerOfClient(t, b.ask(t, base+"update", `{"state":{"desired":{"a":1}},"version":1}`)), "409")
		},
		"a report":   func(t *testing.T, b *bed) { reportWait(t, b, k, map[string]any{"presence": "online"}) },
		"a deletion": func(t *testing.T, b *bed) { b.Delete(k, nil); b.flush(t) },
		"a question about the past": func(t *testing.T, b *bed) {
			for answered := false; !answered; { // from a goroutine of its own
				for _, m := range b.ask(t, base+"history", "") {
					answered = answered || m.topic == base+"history/accepted"
				}
			}
		},
		"nothing": func(t *testing.T, b *bed) { b.Settle(k); b.flush(t) },
	} {
		t.Run(name, func(t *testing.T) {
			d := &debtor{owes: map[Key]string{}, since: time.Now().Add(-time.Minute)}
			b := startService(t, t.TempDir(), func(_ *Config, o *Options) { o.Debts = d })
			reportWait(t, b, k, map[string]any{"presence": "online", "n": 1})
			d.since = time.Now()
			d.mu.Lock()
			d.owes[k] = "unknown"
			d.mu.Unlock()
			for _, read := range []func(Key) (Document, error){b.Get, b.Glance} {
				doc, err := read(k)
				if err != nil || doc.Version != 2 || text(t, doc.State.Reported) != `{"n":1,"presence":"unknown"}` || doc.ReportedAt != d.since.UnixMilli() {
					t.Fatalf("read as %s, %v, want what is owed as version 2", doc.Encode(), err)
				}
			}
			if _, owed := d.owes[k]; !owed {
				t.Fatal("a look wrote it")
			}
			first(t, b)
			if patch, _ := d.Owed(k, true); patch != nil {
				t.Fatal("it was not paid")
			}
			list, _, err := b.past(k, 0, 1<<60, 10)
			if err != nil || len(list) < 2 || text(t, list[len(list)-2].Reported) != `{"n":1,"presence":"unknown"}` {
				t.Fatalf("the past is %v, %v, want what was owed behind the first change", list, err)
			}
		})
	}
}

// answerOfClient is the last answer: what the program itself reported is accepted before it.
func answerOfClient(t *testing.T, messages []message) message {
	t.Helper()
	return answerOf(t, messages[len(messages)-1:])
}

func TestWhatIsOwedStaysOwedWhenItIsNotStored(t *testing.T) {
	k := Key{Thing: "t1"}
	d := &debtor{owes: map[Key]string{k: "unknown"}, since: time.Now()}
	b := newService(t, t.TempDir(), func(_ *Config, o *Options) { o.Debts = d })
	b.Service.st = &failing{Store: b.st, broken: func(n int) bool { return n == 1 }}
	b.start(t)
	failed := make(chan error, 1)
	b.Report(k, map[string]any{"x": 1}, func(_ Document, err error) { failed <- err })
	if err := <-failed; err != store.ErrFull {
		t.Fatalf("the report says %v, want that the disk is full", err)
	}
	if patch, _ := d.Owed(k, true); patch == nil {
		t.Fatal("it counts as paid, and is not stored")
	}
	if doc := reportWait(t, b, k, map[string]any{"x": 2}); doc.Version != 2 || text(t, doc.State.Reported) != `{"presence":"unknown","x":2}` {
		t.Errorf("the shadow is %s, want what was owed as version 1 and the report as version 2", doc.Encode())
	}
}

// A report that is refused because too many wait must not be followed by those that waited.
func TestWhatIsOwedForARefusedReportComesAfterThoseThatWaited(t *testing.T) {
	k := Key{Thing: "t1"}
	d := &debtor{owes: map[Key]string{}, since: time.Now(), late: true}
	b := newService(t, t.TempDir(), func(_ *Config, o *Options) { o.Debts = d })
	b.queue.most = 3
	for _, word := range []string{"online", "unknown", "online"} {
		b.ReportSealed(k, map[string]any{"presence": word}, nil)
	}
	refused := error(nil)
	b.ReportMade(k, func() map[string]any { t.Error("a refused report was made"); return nil }, true, func(_ Document, err error) { refused = err })
	if refused != ErrBusy {
		t.Fatalf("the fourth of three reports was told %v, want ErrBusy", refused)
	}
	d.owes[k] = "offline"
	b.queue.most = maxOwnJobs
	b.Settle(Key{Thing: "another"})
	b.start(t)
	b.flush(t)
	b.Settle(k)
	b.flush(t)
	var words []string
	for _, c := range b.rec.changes {
		words = append(words, fmt.Sprint(c.doc.State.Reported["presence"]))
	}
	if want := []string{"online", "unknown", "online", "offline"}; !slices.Equal(words, want) {
		t.Errorf("the shadow was %q, want %q", words, want)
	}
	if waiting, caughtUp := b.Backlog(); waiting != 0 || !caughtUp {
		t.Errorf("%d wait, caught up: %v, after all was told", waiting, caughtUp)
	}
}
