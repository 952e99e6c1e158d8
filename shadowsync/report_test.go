package shadowsync

import (
	"strings"
	"testing"
)

func TestAReportThatChangesNothingMakesNoVersion(t *testing.T) {
	b := startService(t, t.TempDir(), nil)
	k := Key{Thing: "t1", Name: "c"}
	report := func(patch map[string]any) Document {
		var got Document
		done := make(chan struct{})
		b.Report(k, patch, func(d Document, err error) {
			if err != nil {
				t.Errorf("report: %v", err)
			}
			got = d
			close(done)
		})
		<-done
		return got
	}
	if d := report(map[string]any{"gone": nil}); d.Version != 0 {
		t.Errorf("removing from nothing made version %d", d.Version)
	}
	patch := map[string]any{"a": 1, "b": map[string]any{"c": []string{"x"}, "f": 1.5}}
	for range 3 {
		if d := report(patch); d.Version != 1 {
			t.Fatalf("version %d, want 1", d.Version)
		}
	}
	if d := report(map[string]any{"a": nil, "n": nil}); d.Version != 2 || d.State.Reported["a"] != nil {
		t.Errorf("got version %d %v, want 2 without a", d.Version, d.State.Reported)
	}
	b.rec.mu.Lock()
	defer b.rec.mu.Unlock()
	if len(b.rec.changes) != 2 || !b.rec.changes[0].reported || b.rec.changes[0].delta {
		t.Errorf("observed %+v, want two changes of reported", b.rec.changes)
	}
}

func TestReportsThatWaitBecomeOneUpdateUnlessSealed(t *testing.T) {
	b := newService(t, t.TempDir(), nil)
	k := Key{Thing: "t1"}
	var versions []int64
	done := func(d Document, err error) {
		if err != nil {
			t.Errorf("report: %v", err)
		}
		versions = append(versions, d.Version)
	}
	b.Report(k, map[string]any{"a": 1, "o": 1}, done)
	b.Report(k, map[string]any{"b": 2, "o": map[string]any{"p": 1}}, done)
	b.ReportSealed(k, map[string]any{"presence": "online"}, done)
	b.ReportSealed(k, map[string]any{"presence": "offline"}, done)
	b.Report(k, map[string]any{"a": 5}, done)
	b.Report(k, map[string]any{"a": nil}, done)
	b.start(t)
	b.flush(t)
	want := []int64{1, 1, 2, 3, 4, 4}
	if len(versions) != len(want) {
		t.Fatalf("versions %v, want %v", versions, want)
	}
	for i := range want {
		if versions[i] != want[i] {
			t.Fatalf("versions %v, want %v", versions, want)
		}
	}
	d, err := b.Get(k)
	if err != nil || string(d.part(spanReported)) != `{"b":2,"o":{"p":1},"presence":"offline"}` {
		t.Errorf("got %s %v", d.part(spanReported), err)
	}
}

func TestAReportDoesNotOvertakeAnEarlierRequest(t *testing.T) {
	b := newService(t, t.TempDir(), nil)
	b.Report(Key{Thing: "t1"}, map[string]any{"a": 1}, nil)
	b.Handle(Request{Topic: base + "delete"})
	b.Report(Key{Thing: "t1"}, map[string]any{"a": 2}, nil)
	b.start(t)
	b.flush(t)
	if d, err := b.Get(Key{Thing: "t1"}); err != nil || d.Version != 3 {
		t.Errorf("got version %d, %v; want 3: made, deleted, made again", d.Version, err)
	}
}

func TestReportsAreBounded(t *testing.T) {
	b := startService(t, t.TempDir(), nil)
	for name, patch := range map[string]map[string]any{
		"large":  {"x": strings.Repeat("y", 300<<10)},
		"null":   {"x": []any{nil}},
		"deep":   {"a": map[string]any{"b": map[string]any{"c": map[string]any{"d": map[string]any{"e": map[string]any{"f": map[string]any{"g": 1}}}}}}},
		"utf8":   {"x": "\xff"},
		"notval": {"x": make(chan int)},
	} {
		got := make(chan error, 1)
		b.Report(Key{Thing: "t1"}, patch, func(_ Document, err error) { got <- err })
		if err := <-got; err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	got := make(chan error, 1)
	b.Report(Key{Thing: "a/b"}, map[string]any{"a": 1}, func(_ Document, err error) { got <- err })
	if err := <-got; err == nil {
		t.Error("a thing with a slash in its name was taken")
	}
}
