package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

// noLeak holds that what the test starts has ended with it. It is not for tests in which
// Badger itself refuses to open: it leaves goroutines behind then.
func noLeak(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
}

func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(Config{Path: dir}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func put(t testing.TB, s *Store, key, value string) {
	t.Helper()
	var b Batch
	b.Set([]byte(key), []byte(value))
	if err := s.Commit(t.Context(), &b); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

func TestWhatIsCommittedIsThereAfterARestart(t *testing.T) {
	noLeak(t)
	dir := t.TempDir()
	s := open(t, dir)
	put(t, s, "k1", "v1")
	put(t, s, "k2", "v2")
	var b Batch
	b.Delete([]byte("k1"))
	b.SetTTL([]byte("k3"), []byte("v3"), time.Hour)
	b.SetTTL([]byte("k4"), []byte("v4"), -time.Second)
	if err := s.Commit(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	for key, want := range map[string]string{"k2": "v2", "k3": "v3"} {
		if got, err := s.Get([]byte(key)); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v; want %q", key, got, err, want)
		}
	}
	for _, key := range []string{"k1", "k4"} {
		if _, err := s.Get([]byte(key)); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", key, err)
		}
	}
}

func TestScanIsOrderedAndStops(t *testing.T) {
	s := open(t, t.TempDir())
	for _, k := range []string{"b2", "a", "b1", "b3", "c"} {
		put(t, s, k, k)
	}
	var got []string
	if err := s.Scan([]byte("b"), func(k, v []byte) bool {
		got = append(got, string(v))
		return string(k) != "b2"
	}); err != nil {
		t.Fatal(err)
	}
	if strings.Join(got, " ") != "b1 b2" {
		t.Errorf("got %v, want b1 b2", got)
	}
}

func TestManyWritersShareACommit(t *testing.T) {
	noLeak(t)
	reg := prometheus.NewRegistry()
	s, err := Open(Config{Path: t.TempDir(), Sync: true}, slog.New(slog.DiscardHandler), reg)
	if err != nil {
		t.Fatal(err)
	}
	var order []int
	var wg sync.WaitGroup
	for i := range 2000 {
		var b Batch
		b.Set(fmt.Appendf(nil, "k%d", i), []byte("v"))
		wg.Add(1)
		s.CommitAsync(&b, func(err error) {
			if err != nil {
				t.Errorf("commit %d: %v", i, err)
			}
			order = append(order, i)
			wg.Done()
		})
	}
	wg.Wait()
	for i, n := range order {
		if i != n {
			t.Fatalf("done %d was called at place %d", n, i)
		}
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "gb2mqtt_store_commits_total" {
			if got := f.Metric[0].GetCounter().GetValue(); got != 2000 {
				t.Errorf("%v commits counted, want 2000", got)
			}
		}
		if f.GetName() == "gb2mqtt_store_group_batches" {
			if groups := f.Metric[0].GetHistogram().GetSampleCount(); groups > 1000 {
				t.Errorf("%d groups for 2000 commits", groups)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.CommitAsync(new(Batch), func(err error) {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("commit after the close: %v, want ErrClosed", err)
		}
	})
	if _, err := s.Get([]byte("k1")); !errors.Is(err, ErrClosed) {
		t.Errorf("get after the close: %v, want ErrClosed", err)
	}
}

func TestLargeBatchesAreSplitIntoGroupsAndTooLargeOnesRefused(t *testing.T) {
	s := open(t, t.TempDir())
	var wg sync.WaitGroup
	for i := range 40 {
		var b Batch
		b.Set(fmt.Appendf(nil, "k%d", i), bytes.Repeat([]byte("x"), 900<<10))
		wg.Add(1)
		s.CommitAsync(&b, func(err error) {
			if err != nil {
				t.Errorf("commit %d: %v", i, err)
			}
			wg.Done()
		})
	}
	wg.Wait()
	var many Batch
	for i := range maxGroupSets {
		many.Set(fmt.Appendf(nil, "m%d", i), nil)
	}
	if err := s.Commit(t.Context(), &many); err != nil {
		t.Errorf("%d writes: %v", maxGroupSets, err)
	}
	var b Batch
	b.Set([]byte("k"), make([]byte, maxGroupBytes))
	if err := s.Commit(t.Context(), &b); !errors.Is(err, ErrTooBig) {
		t.Errorf("got %v, want ErrTooBig", err)
	}
}

func TestTablesKeepTheirEntriesApart(t *testing.T) {
	s := open(t, t.TempDir())
	reg, ch := s.Table(KindRegistration), s.Table(KindChannels)
	var b Batch
	reg.Put(&b, "1", []byte("r1"))
	reg.Put(&b, "2", []byte("r2"))
	ch.Put(&b, "1", []byte("c1"))
	if err := reg.Commit(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	var d Batch
	reg.Delete(&d, "2")
	if err := reg.Commit(t.Context(), &d); err != nil {
		t.Fatal(err)
	}
	got := ""
	if err := reg.Each(func(name string, value []byte) error { got += name + string(value); return nil }); err != nil || got != "1r1" {
		t.Errorf("got %q, %v; want 1r1", got, err)
	}
	if v, err := ch.Get("1"); err != nil || string(v) != "c1" {
		t.Errorf("got %q, %v", v, err)
	}
	stop := errors.New("stop")
	if err := ch.Each(func(string, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v, want the error of fn", err)
	}
}

func TestJournalSequencesNeverGoBack(t *testing.T) {
	noLeak(t)
	dir := t.TempDir()
	s := open(t, dir)
	appended := func(s *Store, link, msg string) uint64 {
		t.Helper()
		got := make(chan uint64, 1)
		s.Journal().Append(link, []byte(msg), func(seq uint64, err error) {
			if err != nil {
				t.Errorf("append: %v", err)
			}
			got <- seq
		})
		return <-got
	}
	for i := range 5 {
		if seq := appended(s, "a", fmt.Sprint(i)); seq != uint64(i+1) {
			t.Fatalf("sequence %d, want %d", seq, i+1)
		}
	}
	appended(s, "ab", "other link")
	j := s.Journal()
	if err := j.Remove("a", 2, 2, 4, 99); err != nil {
		t.Fatal(err)
	}
	if err := j.Remove("a", 2); err != nil {
		t.Fatal(err)
	}
	got := ""
	if err := j.Each("a", 1, func(seq uint64, msg []byte) bool { got += fmt.Sprintf("%d %s ", seq, msg); return true }); err != nil || got != "3 2 5 4 " {
		t.Errorf("got %q, %v", got, err)
	}
	if n := j.Len("a"); n != 3 {
		t.Errorf("length %d, want 3", n)
	}
	if err := j.Remove("a", 1, 3, 5); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if n := s.Journal().Len("a"); n != 0 {
		t.Errorf("length %d, want 0", n)
	}
	if n := s.Journal().Len("ab"); n != 1 {
		t.Errorf("length of the other link %d, want 1", n)
	}
	if seq := appended(s, "a", "x"); seq != 6 {
		t.Errorf("sequence %d after a restart of an emptied journal, want 6", seq)
	}
}

func TestCommitEndsWithItsContext(t *testing.T) {
	s := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var b Batch
	b.Set([]byte("k"), []byte("v"))
	if err := s.Commit(ctx, &b); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestConfigComplaintsNameTheKey(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Errorf("the default is refused: %v", err)
	}
	for _, path := range []string{"", " ", "a\x00b"} {
		if err := (Config{Path: path}).Validate(); err == nil || !strings.HasPrefix(err.Error(), "store.path: ") {
			t.Errorf("%q: %v", path, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Path: file}, slog.New(slog.DiscardHandler), nil); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file as folder: %v", err)
	}
}

func FuzzCutPart(f *testing.F) {
	f.Add([]byte("\x00\x02abc"))
	f.Fuzz(func(t *testing.T, key []byte) {
		part, rest, ok := CutPart(key)
		if ok && !bytes.Equal(append(Prefix('x', part)[1:], rest...), key) {
			t.Errorf("%q: %q and %q", key, part, rest)
		}
	})
}
