package shadowsync

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type vector struct {
	About string
	Steps []struct {
		Op, Shadow string
		MS         int
		Payload    json.RawMessage
		Expect     struct {
			Topic  string
			Code   int
			Match  json.RawMessage
			Absent []string
		}
		Delta      json.RawMessage
		DeltaMatch json.RawMessage `json:"delta_match"`
		Documents  json.RawMessage
	}
}

func TestVectors(t *testing.T) {
	files, err := filepath.Glob("testdata/vectors/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	b := startService(t, t.TempDir(), nil)
	for i, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var v vector
			if err := json.Unmarshal(text, &v); err != nil {
				t.Fatal(err)
			}
			runVector(t, b, fmt.Sprintf("vector-%d", i), v)
		})
	}
}

func runVector(t *testing.T, b *bed, thing string, v vector) {
	m := matcher{saved: map[string]any{}}
	for n, step := range v.Steps {
		if step.Op == "wait" {
			time.Sleep(time.Duration(step.MS) * time.Millisecond) // metadata counts in seconds of the real clock
			continue
		}
		k := Key{thing, step.Shadow}
		messages := b.ask(t, topic("$aws/things", k, Op(step.Op)), payloadOf(t, step.Payload))
		where := fmt.Sprintf("step %d (%s)", n+1, step.Op)
		answer := answerOf(t, messages)
		if want := topic("$aws/things", k, Op(step.Op+"/"+step.Expect.Topic)); answer.topic != want {
			t.Fatalf("%s: answer on %s, want %s: %v", where, answer.topic, want, answer.payload)
		}
		if step.Expect.Code != 0 {
			m.match(t, where+" code", answer.payload["code"], json.Number(fmt.Sprint(step.Expect.Code)))
		}
		if step.Expect.Match != nil {
			m.match(t, where, answer.payload, value(t, step.Expect.Match))
		}
		for _, path := range step.Expect.Absent {
			if has(answer.payload, strings.Split(path, ".")) {
				t.Errorf("%s: %s is there", where, path)
			}
		}
		other := map[string][]message{}
		for _, msg := range messages {
			for _, op := range []Op{opDelta, opDocuments} {
				if msg.topic == topic("$aws/things", k, op) {
					other[string(op)] = append(other[string(op)], msg)
				}
			}
		}
		if step.Expect.Topic == "rejected" && len(messages) != 1 {
			t.Errorf("%s: %d messages after a refusal", where, len(messages))
		}
		deltas, documents := other[string(opDelta)], other[string(opDocuments)]
		if step.Delta != nil {
			want := value(t, step.Delta)
			switch {
			case want == nil && len(deltas) > 0:
				t.Errorf("%s: a delta came: %v", where, deltas)
			case want != nil && len(deltas) != 1:
				t.Errorf("%s: %d deltas, want %v", where, len(deltas), want)
			case want != nil:
				d := deltas[0].payload
				if !equal(d["state"], want) {
					t.Errorf("%s: delta %v, want %v", where, d["state"], want)
				}
				m.match(t, where+" delta version", d["version"], answer.payload["version"])
				m.match(t, where+" delta token", d["clientToken"], answer.payload["clientToken"])
				if got := stamped(d["state"], stamp(0)); string(appendJSON(nil, got)) != string(appendJSON(nil, zeroed(d["state"], d["metadata"]))) {
					t.Errorf("%s: delta metadata %v has not the shape of %v", where, d["metadata"], d["state"])
				}
				if step.DeltaMatch != nil {
					m.match(t, where+" delta", d, value(t, step.DeltaMatch))
				}
			}
		}
		if step.Documents != nil {
			want := value(t, step.Documents)
			switch {
			case want == nil && len(documents) > 0:
				t.Errorf("%s: documents came", where)
			case want != nil && len(documents) != 1:
				t.Errorf("%s: %d documents, want one", where, len(documents))
			case want != nil:
				m.match(t, where+" documents", documents[0].payload, want)
				m.match(t, where+" documents token", documents[0].payload["clientToken"], answer.payload["clientToken"])
				if has(documents[0].payload, []string{"current", "state", "delta"}) {
					t.Errorf("%s: documents hold a delta", where)
				}
			}
		}
	}
}

// zeroed is metadata with every stamp at 0, where it has the shape of state.
func zeroed(state, meta any) any {
	switch s := state.(type) {
	case map[string]any:
		m, _ := meta.(map[string]any)
		out := map[string]any{}
		for k, e := range m {
			out[k] = zeroed(s[k], e)
		}
		return out
	case []any:
		a, _ := meta.([]any)
		out := make([]any, len(a))
		for i, e := range a {
			if i < len(s) {
				out[i] = zeroed(s[i], e)
			}
		}
		return out
	}
	m, _ := meta.(map[string]any)
	if _, ok := wholeNumber(m["timestamp"]); ok && len(m) == 1 {
		return stamp(0)
	}
	return meta
}

func payloadOf(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	if raw == nil {
		return ""
	}
	switch v := value(t, raw).(type) {
	case string:
		return v
	case map[string]any:
		if h, ok := v["$hex"].(string); ok && len(v) == 1 {
			b, err := hex.DecodeString(h)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
	}
	return string(appendJSON(nil, value(t, raw)))
}

func value(t *testing.T, raw json.RawMessage) any {
	t.Helper()
	v, err := parseJSON(raw)
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return v
}

func has(v any, path []string) bool {
	m, _ := v.(map[string]any)
	inner, there := m[path[0]]
	return there && (len(path) == 1 || has(inner, path[1:]))
}

// matcher compares as testdata/vectors/README.md says.
type matcher struct{ saved map[string]any }

func (m matcher) match(t *testing.T, where string, got, want any) {
	t.Helper()
	switch w := want.(type) {
	case map[string]any:
		if len(w) == 1 {
			for key, arg := range w {
				if strings.HasPrefix(key, "$") {
					m.special(t, where, key, got, arg)
					return
				}
			}
		}
		g, is := got.(map[string]any)
		if !is {
			t.Errorf("%s: got %v, want an object", where, got)
			return
		}
		for key, e := range w {
			inner, there := g[key]
			if !there {
				t.Errorf("%s.%s: missing", where, key)
				continue
			}
			m.match(t, where+"."+key, inner, e)
		}
	case []any:
		g, is := got.([]any)
		if !is || len(g) != len(w) {
			t.Errorf("%s: got %v, want %v", where, got, want)
			return
		}
		for i := range w {
			m.match(t, fmt.Sprintf("%s[%d]", where, i), g[i], w[i])
		}
	default:
		if !equal(got, want) {
			t.Errorf("%s: got %v, want %v", where, got, want)
		}
	}
}

func (m matcher) special(t *testing.T, where, name string, got, arg any) {
	t.Helper()
	n, whole := wholeNumber(got)
	text, _ := arg.(string)
	ok := false
	switch name {
	case "$exact":
		ok = equal(got, arg)
	case "$ts":
		age := time.Now().Unix() - n
		ok = whole && age > -10 && age < 10
	case "$gt":
		limit, _ := wholeNumber(arg)
		ok = whole && n > limit
	case "$prefix":
		s, is := got.(string)
		ok = is && strings.HasPrefix(s, text)
	case "$any":
		ok = true
	case "$save":
		m.saved[text] = got
		ok = true
	case "$same":
		ok = equal(got, m.saved[text])
	case "$later":
		limit, _ := wholeNumber(m.saved[text])
		ok = whole && n > limit
	}
	if !ok {
		t.Errorf("%s: got %v, want %s %v", where, got, name, arg)
	}
}
