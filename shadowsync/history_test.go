package shadowsync

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// reportWait reports patch and returns the document that is durable then.
func reportWait(t *testing.T, b *bed, k Key, patch map[string]any) Document {
	t.Helper()
	done := make(chan Document, 1)
	b.Report(k, patch, func(d Document, err error) {
		if err != nil {
			t.Errorf("report: %v", err)
		}
		done <- d
	})
	return <-done
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Random changes of nested values, over restarts: each one of them is told as it was, newest
// first, and so is every moment between them.
func TestEveryChangeIsToldAsItWas(t *testing.T) {
	dir, k := t.TempDir(), Key{Thing: "cam", Name: "a"}
	random := rand.New(rand.NewPCG(1, 2))
	var states []string // by change, the oldest first
	b := startService(t, dir, nil)
	last := ""
	for i := range 150 {
		if i%60 == 59 {
			b.stop()
			b = startService(t, dir, nil)
		}
		key := fmt.Sprintf("k%d", random.IntN(4))
		var v any
		switch random.IntN(4) {
		case 0:
			v = nil
		case 1:
			v = random.IntN(9)
		case 2:
			v = []any{random.IntN(9), "x"}
		default:
			v = map[string]any{fmt.Sprintf("s%d", random.IntN(3)): random.IntN(9), fmt.Sprintf("n%d", random.IntN(3)): nil}
		}
		doc := reportWait(t, b, k, map[string]any{key: v, "base": 1})
		if now := text(t, doc.State.Reported); now != last {
			states, last = append(states, now), now
		}
	}
	var told []Past
	for to := int64(1 << 60); ; {
		list, more, err := b.past(k, 0, to, 40)
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, list...)
		if to = more; more == 0 {
			break
		}
	}
	if len(told) != len(states) {
		t.Fatalf("%d changes are told, want %d", len(told), len(states))
	}
	for i, p := range told {
		if want := states[len(states)-1-i]; text(t, p.Reported) != want {
			t.Fatalf("change %d from the end is %s, want %s", i, text(t, p.Reported), want)
		}
		if at, ok, err := b.pastAt(k, p.At); err != nil || !ok || text(t, at.Reported) != text(t, p.Reported) || at.Version != p.Version {
			t.Fatalf("at %d it was %+v, %v, %v; want %+v", p.At, at, ok, err, p)
		}
		if i > 0 && p.At >= told[i-1].At {
			t.Fatalf("%d is not before %d", p.At, told[i-1].At)
		}
	}
	if _, ok, err := b.pastAt(k, told[len(told)-1].At-1); ok || err != nil {
		t.Errorf("before its first change there was a shadow: %v", err)
	}
}

func TestHistoryIsAskedForOverTopics(t *testing.T) {
	b := startService(t, t.TempDir(), nil)
	k := Key{Thing: "cam"}
	for i := range 5 {
		reportWait(t, b, k, map[string]any{"n": i})
	}
	ask := func(payload string) (map[string]any, int) {
		t.Helper()
		type answer struct {
			body []byte
			code int
		}
		got := make(chan answer, 1)
		if !b.Handle(Request{Topic: "$aws/things/cam/shadow/history", Payload: []byte(payload), Reply: func(p []byte, code int) { got <- answer{p, code} }}) {
			t.Fatal("no request topic")
		}
		a := <-got
		var body map[string]any
		if err := json.Unmarshal(a.body, &body); err != nil {
			t.Fatal(err)
		}
		return body, a.code
	}
	page, code := ask(`{"limit":2,"clientToken":"x"}`)
	results, _ := page["results"].([]any)
	if code != 200 || len(results) != 2 || page["clientToken"] != "x" || text(t, results[0].(map[string]any)["state"]) != `{"reported":{"n":4}}` {
		t.Fatalf("the first page is %d %v", code, page)
	}
	rest, _ := ask(fmt.Sprintf(`{"next":%s}`, text(t, page["next"])))
	if all, _ := rest["results"].([]any); len(all) != 3 || rest["next"] != nil {
		t.Errorf("the rest is %v", rest)
	}
	moment := time.UnixMilli(int64(results[1].(map[string]any)["ts"].(float64))).UTC().Format(time.RFC3339Nano)
	if at, code := ask(`{"at":"` + moment + `"}`); code != 200 || text(t, at["results"].([]any)[0].(map[string]any)["state"]) != `{"reported":{"n":3}}` {
		t.Errorf("at %s it was %d %v", moment, code, at)
	}
	for payload, want := range map[string]int{`{"at":1}`: 404, `{"limit":0}`: 400, `{"from":"yesterday"}`: 400, `nonsense`: 400} {
		if body, code := ask(payload); code != want || body["message"] == nil {
			t.Errorf("%s got %d %v, want %d", payload, code, body, want)
		}
	}
	deleted := make(chan error, 1)
	b.Delete(k, func(err error) { deleted <- err })
	if err := <-deleted; err != nil {
		t.Fatal(err)
	}
	after, _ := ask(`{"limit":1}`)
	if r := after["results"].([]any)[0].(map[string]any); text(t, r["state"]) != `{"reported":null}` {
		t.Errorf("after the deletion the newest change is %v", r)
	}
}

func TestNoHistoryIsKeptWhereNoneIsWanted(t *testing.T) {
	b := startService(t, t.TempDir(), func(c *Config, _ *Options) { c.History = 0 })
	k := Key{Thing: "cam"}
	reportWait(t, b, k, map[string]any{"n": 1})
	if list, _, err := b.past(k, 0, 1<<60, 10); err != nil || len(list) != 0 {
		t.Errorf("kept %v, %v", list, err)
	}
}

func TestALongTimeWithoutAChangeIsStillTold(t *testing.T) {
	b := startService(t, t.TempDir(), func(c *Config, _ *Options) { c.History = 10 * time.Millisecond })
	k := Key{Thing: "cam"}
	reportWait(t, b, k, map[string]any{"n": 1})
	if p, ok, err := b.pastAt(k, time.Now().UnixMilli()); err != nil || !ok || text(t, p.Reported) != `{"n":1}` {
		t.Errorf("it is %+v, %v, %v", p, ok, err)
	}
}
