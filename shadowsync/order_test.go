package shadowsync

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// versionOf is the version that a message of an update tells.
func versionOf(m message) int64 {
	v := m.payload["version"]
	if current, is := m.payload["current"].(map[string]any); is {
		v = current["version"]
	}
	n, _ := wholeNumber(v)
	return n
}

func TestVersionsOnEachTopicGrowByOneUnderAHundredWriters(t *testing.T) {
	const writers, each = 100, 20
	b := startService(t, t.TempDir(), nil)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				b.Handle(Request{Topic: base + "update", Payload: fmt.Appendf(nil, `{"state":{"desired":{"w%d":%d}}}`, w, i)})
			}
		})
	}
	wg.Wait()
	b.flush(t)
	last := map[string]int64{}
	seen := map[string]any{} // newest value of each writer in documents
	for _, m := range b.rec.drain() {
		op := strings.TrimPrefix(m.topic, base)
		if got := versionOf(m); got != last[op]+1 {
			t.Fatalf("%s tells version %d behind %d", op, got, last[op])
		}
		last[op]++
		current, is := m.payload["current"].(map[string]any)
		if !is {
			continue
		}
		desired := current["state"].(map[string]any)["desired"].(map[string]any)
		for writer, v := range desired {
			was, _ := wholeNumber(seen[writer])
			if now, _ := wholeNumber(v); now < was {
				t.Fatalf("version %d takes %s from %d back to %d", last[op], writer, was, now)
			}
			seen[writer] = v
		}
	}
	for _, op := range []string{"update/delta", "update/documents", "update/accepted"} {
		if last[op] != writers*each {
			t.Errorf("%s came to version %d, want %d", op, last[op], writers*each)
		}
	}
	d, err := b.Get(Key{Thing: "t1"})
	if err != nil || d.Version != writers*each || len(d.State.Desired) != writers {
		t.Errorf("stored version %d with %d keys, %v; want %d with %d", d.Version, len(d.State.Desired), err, writers*each, writers)
	}
}
