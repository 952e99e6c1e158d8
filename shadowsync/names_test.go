package shadowsync

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"
)

// create makes shadows, and returns when they are there.
func create(t *testing.T, b *bed, keys ...Key) {
	t.Helper()
	for _, k := range keys {
		b.Report(k, map[string]any{"a": 1}, nil)
	}
	b.flush(t)
}

func TestEachThingWithNamedShadowsIsListedOnceOverAllPages(t *testing.T) {
	b := startService(t, t.TempDir(), nil)
	var want []string
	// A classic shadow alone, named ones alone, both, and many about where a page ends.
	create(t, b, Key{"classic", ""}, Key{"named", "x"}, Key{"named", "y"}, Key{"both", ""}, Key{"both", "x"})
	want = append(want, "named", "both")
	for i := range keysPerLook {
		create := []Key{{fmt.Sprintf("thing%05d", i), ""}}
		if i%2 == 0 {
			create = append(create, Key{create[0].Thing, "n"})
			want = append(want, create[0].Thing)
		}
		for _, k := range create {
			b.Report(k, map[string]any{"a": 1}, nil)
		}
	}
	for i := range keysPerLook + 10 {
		b.Report(Key{"wide", fmt.Sprint("n", i)}, map[string]any{"a": 1}, nil)
	}
	want = append(want, "wide")
	b.flush(t)

	var got []string
	for after := ""; ; {
		things, next, err := b.ThingsWithNames(after)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, things...)
		if next == "" {
			break
		}
		after = next
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d things, want %d; the first that differ: %v", len(got), len(want), firstDifferent(got, want))
	}
}

func firstDifferent(a, b []string) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return a[i] + " for " + b[i]
		}
	}
	return ""
}

func TestAListOfManyNamesComesInPages(t *testing.T) {
	var names []string
	for i := range 2*namesPerPage + 1 {
		names = append(names, fmt.Sprintf("n%06d", i))
	}
	if got := NamesPages(names); got != 3 {
		t.Errorf("%d pages, want 3", got)
	}
	var all []string
	for n := 1; ; n++ {
		payload := NamesPage(names, n, time.Unix(1700000000, 0))
		if payload == nil {
			break
		}
		var page struct {
			Results   []string
			NextToken string
			Timestamp int64
		}
		if err := json.Unmarshal(payload, &page); err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Results...)
		if last := n == 3; (page.NextToken == "") != last || !last && page.NextToken != fmt.Sprint(n+1) || page.Timestamp != 1700000000 {
			t.Errorf("page %d has nextToken %q, timestamp %d", n, page.NextToken, page.Timestamp)
		}
		if thing, page, ok := ParseNamesTopic("p", NamesTopic("p", "t", n)); thing != "t" || page != n || !ok {
			t.Errorf("the topic of page %d is read as %s %d %v", n, thing, page, ok)
		}
	}
	if !slices.Equal(all, names) {
		t.Errorf("%d names in all pages, want %d", len(all), len(names))
	}
	if NamesPages(nil) != 0 || NamesPage(nil, 1, time.Now()) != nil {
		t.Error("a list of no names has a page")
	}
}

func TestObserverIsToldOfNewShadowsOnly(t *testing.T) {
	b := startService(t, t.TempDir(), nil)
	for _, step := range []struct{ op, payload string }{
		{"update", `{"state":{"desired":{"a":1}}}`}, {"update", `{"state":{"desired":{"a":2}}}`}, {"delete", ""}, {"update", `{"state":{"desired":{"a":1}}}`},
	} {
		b.ask(t, base+step.op, step.payload)
	}
	if want := []Key{{"t1", ""}, {"t1", ""}}; !slices.Equal(b.rec.created, want) {
		t.Errorf("told of %v, want %v", b.rec.created, want)
	}
}
