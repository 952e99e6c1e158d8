package shadowsync

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func object(t testing.TB, text string) map[string]any {
	t.Helper()
	v, err := parseJSON([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	m, _ := v.(map[string]any)
	return m
}

func TestMerge(t *testing.T) {
	for _, c := range []struct{ name, old, patch, want, meta string }{
		{"null removes", `{"a":1,"b":2}`, `{"a":null}`, `{"b":2}`, `{"b":{"timestamp":1}}`},
		{"null of nothing", `{"b":2}`, `{"a":null}`, `{"b":2}`, `{"b":{"timestamp":1}}`},
		{"objects key by key", `{"o":{"x":1,"y":2}}`, `{"o":{"y":3}}`, `{"o":{"x":1,"y":3}}`, `{"o":{"x":{"timestamp":1},"y":{"timestamp":2}}}`},
		{"object over scalar, nulls left out", `{"o":1}`, `{"o":{"x":null,"y":2}}`, `{"o":{"y":2}}`, `{"o":{"y":{"timestamp":2}}}`},
		{"nothing but nulls is not stored", `{"o":1,"k":1}`, `{"o":{"x":null,"y":{"z":null}}}`, `{"k":1}`, `{"k":{"timestamp":1}}`},
		{"scalar over object", `{"o":{"x":1}}`, `{"o":5}`, `{"o":5}`, `{"o":{"timestamp":2}}`},
		{"array whole", `{"l":[1,2,3]}`, `{"l":[4]}`, `{"l":[4]}`, `{"l":[{"timestamp":2}]}`},
		{"empty object over scalar", `{"o":1}`, `{"o":{}}`, `{"o":{}}`, `{"o":{}}`},
		{"empty object over object", `{"o":{"x":1}}`, `{"o":{}}`, `{"o":{"x":1}}`, `{"o":{"x":{"timestamp":1}}}`},
		{"emptied inner object stays", `{"o":{"x":1}}`, `{"o":{"x":null}}`, `{"o":{}}`, `{"o":{}}`},
		{"same value, new time", `{"a":1}`, `{"a":1.0}`, `{"a":1.0}`, `{"a":{"timestamp":2}}`},
		{"empty array", `{}`, `{"l":[]}`, `{"l":[]}`, `{"l":[]}`},
	} {
		old := object(t, c.old)
		state, meta, changed := merge(old, stamped(old, stamp(1)).(map[string]any), object(t, c.patch), stamp(2))
		if got := string(appendJSON(nil, state)); got != c.want {
			t.Errorf("%s: state %s, want %s", c.name, got, c.want)
		}
		if got := string(appendJSON(nil, meta)); got != c.meta {
			t.Errorf("%s: metadata %s, want %s", c.name, got, c.meta)
		}
		if changed == equal(old, state) {
			t.Errorf("%s: changed is %v", c.name, changed)
		}
		if got := string(appendJSON(nil, old)); got != string(appendJSON(nil, object(t, c.old))) {
			t.Errorf("%s: the old document became %s", c.name, got)
		}
	}
}

func TestDelta(t *testing.T) {
	for _, c := range []struct{ name, desired, reported, want string }{
		{"equal", `{"a":1}`, `{"a":1.0}`, `null`},
		{"many digits", `{"a":9007199254740993}`, `{"a":9007199254740992}`, `{"a":9007199254740993}`},
		{"exponents", `{"a":1e400,"b":-0,"c":0.10}`, `{"a":10e399,"b":0,"c":1e-1}`, `null`},
		{"kinds", `{"a":1,"b":true,"c":"1"}`, `{"a":true,"b":"1","c":1}`, `{"a":1,"b":true,"c":"1"}`},
		{"missing empties", `{"a":{},"b":[]}`, `{}`, `{"a":{},"b":[]}`},
		{"path kept, siblings not", `{"a":{"b":{"c":1,"d":2}}}`, `{"a":{"b":{"c":1}}}`, `{"a":{"b":{"d":2}}}`},
		{"a part of what is reported", `{"a":{"b":1}}`, `{"a":{"b":1,"c":2},"d":1}`, `null`},
		{"empty object is a part", `{"a":{}}`, `{"a":{"b":1}}`, `null`},
		{"empty object against scalar", `{"a":{}}`, `{"a":1}`, `{"a":{}}`},
		{"arrays whole, order counts", `{"a":[1,2]}`, `{"a":[2,1]}`, `{"a":[1,2]}`},
		{"objects in arrays", `{"a":[{"x":1,"y":2}]}`, `{"a":[{"y":2,"x":1.0}]}`, `null`},
	} {
		desired := object(t, c.desired)
		state, meta := delta(desired, object(t, c.reported), stamped(desired, stamp(7)).(map[string]any))
		if got := differs(desired, object(t, c.reported)); got != (state != nil) {
			t.Errorf("%s: differs is %v", c.name, got)
		}
		got := "null"
		if state != nil {
			got = string(appendJSON(nil, state))
			if want := string(appendJSON(nil, stamped(state, stamp(7)))); string(appendJSON(nil, meta)) != want {
				t.Errorf("%s: metadata %s, want %s", c.name, appendJSON(nil, meta), want)
			}
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestRefusalsInTheirOrder(t *testing.T) {
	long := `"` + strings.Repeat("漢", 22) + `"`
	for _, c := range []struct {
		payload, want string
		code          int
		token         string
	}{
		{"", "Invalid JSON", 400, ""},
		{"[]", "Invalid JSON", 400, ""},
		{`{"state":{}} x`, "Invalid JSON", 400, ""},
		{`{"state":{"desired":{"a":NaN}}}`, "Invalid JSON", 400, ""},
		{"{\"state\":{\"desired\":{\"a\":\"\xff\"}}}", "Unsupported documented encoding", 415, ""},
		{`{"state":{"desired":{"a":[{"b":null}]}},"clientToken":5}`, "Invalid JSON", 400, ""},
		{`{"clientToken":` + long + `}`, "Invalid clientToken", 400, ""},
		{`{"clientToken":null,"state":{}}`, "Invalid clientToken", 400, ""},
		{`{"clientToken":"t"}`, "Missing required node: state", 400, "t"},
		{`{"state":[],"version":"x","clientToken":"t"}`, "State node must be an object", 400, "t"},
		{`{"state":{"desired":1,"x":1}}`, "Desired node must be an object", 400, ""},
		{`{"state":{"reported":[]}}`, "Reported node must be an object", 400, ""},
		{`{"state":{"desired":{},"delta":{}}}`, "State contains an invalid node: 'delta'", 400, ""},
		{`{"state":{"":{}}}`, "State contains an invalid node: ''", 400, ""},
		{`{"state":{"reported":{"a":{"b":{"c":{"d":{"e":{"f":{"g":1}}}}}}}}}`, "JSON contains too many levels of nesting; maximum is 6", 400, ""},
		{`{"state":{"desired":{"a":` + strings.Repeat("[", 5) + `[1]` + strings.Repeat("]", 5) + `}}}`, "JSON contains too many levels", 400, ""},
		{`{"state":` + strings.Repeat(`{"a":`, 600) + `1` + strings.Repeat("}", 600) + `}`, "JSON contains too many levels", 400, ""},
		{`{"state":{"reported":{"a":1}},"version":-1}`, "Forbidden", 403, ""},
		{`{"state":{"desired":{"a":1}},"version":-1}`, "Invalid version", 400, ""},
		{`{"state":{"desired":{"a":1}},"version":1.5}`, "Invalid version", 400, ""},
		{`{"state":{"desired":{"a":1}},"version":null}`, "Invalid version", 400, ""},
		{`{"state":{"desired":{"a":"` + strings.Repeat("x", maxPayload) + `"}}}`, "The payload exceeds the maximum size allowed", 413, ""},
	} {
		r, refused := parseRequest([]byte(c.payload), false)
		if refused == nil || refused.Code != c.code || !strings.HasPrefix(refused.Message, c.want) || r.token != c.token {
			t.Errorf("%.80s: got %+v with token %q, want %d %s with %q", c.payload, refused, r.token, c.code, c.want, c.token)
		}
	}
	for _, ok := range []string{
		`{"state":{"desired":{"a":{"b":{"c":{"d":{"e":{"f":1}}}}}}}}`,
		`{"state":{"desired":{"a":{"b":{"c":{"d":{"e":{"f":{}}}}}}}}}`,
		`{"state":null,"clientToken":"` + strings.Repeat("漢", 21) + `"}`,
		`{"state":{"desired":{"a":1}},"version":2.0,"metadata":1,"x":[null]}`,
	} {
		if _, refused := parseRequest([]byte(ok), false); refused != nil {
			t.Errorf("%s: refused: %v", ok, refused)
		}
	}
}

func TestSizeCountsCharactersAsTheirBytes(t *testing.T) {
	d, _, _ := update(nil, section{true, object(t, `{"a" : "<\u00e9\n"}`)}, section{true, object(t, `{"b":1}`)}, 1, stamp(1))
	d.encode(nil, true, true)
	if want := len(`{"a":"<é\n"}`) + len(`{"b":1}`); d.Size() != want {
		t.Errorf("size %d, want %d: %s", d.Size(), want, d.text)
	}
}

func TestTopicsAreSplitByPlace(t *testing.T) {
	for topic, want := range map[string]struct {
		key Key
		op  Op
		ok  bool
	}{
		"p/q/t/shadow/get":                           {Key{"t", ""}, OpGet, true},
		"p/q/t/shadow/name/update/update":            {Key{"t", "update"}, OpUpdate, true},
		"p/q/t/shadow/name/name/delete/accepted":     {Key{"t", "name"}, "delete/accepted", true},
		"p/q/shadow/shadow/name/shadow/update/delta": {Key{"shadow", "shadow"}, opDelta, true},
		"p/q/t/shadow/names":                         {Key{"t", ""}, OpNames, true},
		"p/q/t/shadow/names/2":                       {Key{"t", ""}, "names/2", true},
		"p/q/t/shadow/names/1":                       {},
		"p/q/t/shadow/names/02":                      {},
		"p/q/t/shadow/name/n/names":                  {},
		"p/q/t/shadow/name/get":                      {},
		"p/q/t/shadow/Get":                           {},
		"p/q/t/shadow/update/other":                  {},
		"p/q/t/shadow/get/":                          {},
		"p/t/shadow/get":                             {},
		"p/q/t/shadow":                               {},
		"p/q/t":                                      {},
	} {
		k, op, ok := ParseTopic("p/q", topic)
		if k != want.key || op != want.op || ok != want.ok {
			t.Errorf("%s: got %v %q %v, want %v", topic, k, op, ok, want)
		}
	}
}

func FuzzParseJSON(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-0.5e+3,true,false,null,"x\u00e9\ud83d\ude00\ud800"]}`, `[`, `"\u12`, `01`, `{"a":1,"a":2}`, ` 1 `, `1 2`, `"\ud800\u0041"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.ToValidUTF8(text, nil) == nil || string(bytes.ToValidUTF8(text, []byte("?"))) != string(text) {
			return
		}
		v, err := parseJSON(text)
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		var want any
		wantErr := dec.Decode(&want)
		if wantErr == nil && dec.More() {
			return
		}
		if wantErr == nil && !json.Valid(text) {
			return
		}
		if (err == nil) != (wantErr == nil) {
			if err == errTooDeep {
				return
			}
			t.Fatalf("%q: got %v, encoding/json says %v", text, err, wantErr)
		}
		if err != nil {
			return
		}
		if !equal(v, want) {
			t.Fatalf("%q: got %#v, want %#v", text, v, want)
		}
		again, err := parseJSON(appendJSON(nil, v))
		if err != nil || !equal(v, again) {
			t.Fatalf("%q: encoded as %s, which reads as %#v, %v", text, appendJSON(nil, v), again, err)
		}
	})
}

// FuzzDocument makes two updates of what the network sent and holds that the documents stay
// valid, that a stored one reads back, and that reporting the delta closes it.
func FuzzDocument(f *testing.F) {
	f.Add([]byte(`{"state":{"desired":{"a":1,"o":{"x":[1]}},"reported":{"a":2}}}`), []byte(`{"state":{"desired":{"o":{"x":null,"y":{}}},"reported":{"a":{"b":{"c":null}}}}}`))
	f.Add([]byte(`{"state":{"desired":{"a":{}}}}`), []byte(`{"state":{"reported":{"a":{"b":1}},"desired":null}}`))
	f.Add([]byte(`{"state":null}`), []byte(`{"state":{"desired":{"timestamp":{"timestamp":1e5}}}}`))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var d *Document
		for i, payload := range [][]byte{first, second} {
			r, refused := parseRequest(payload, true)
			if refused != nil {
				continue
			}
			prev := d
			before := ""
			if prev != nil {
				before = string(prev.text)
			}
			d, _, _ = update(prev, r.desired, r.reported, int64(i+1), stamp(i+1))
			d.encode(prev, r.desired.given, r.reported.given)
			if prev != nil {
				same := *prev
				same.encode(nil, true, true)
				if string(same.text) != before {
					t.Fatalf("%q changed the document before it from %s to %s", payload, before, same.text)
				}
			}
			fresh := *d
			fresh.encode(nil, true, true)
			if string(fresh.text) != string(d.text) {
				t.Fatalf("encoded piecewise %s, at once %s", d.text, fresh.text)
			}
			back, err := decodeDocument(d.text)
			if err != nil || string(back.text) != string(d.text) {
				t.Fatalf("%s reads back as %v, %v", d.text, back, err)
			}
			for _, s := range []map[string]any{d.State.Desired, d.State.Reported} {
				if deep, null := inspectIn(mapOrNothing(s), 1, true); deep || null || s != nil && len(s) == 0 {
					t.Fatalf("%q makes an invalid document %s", payload, d.text)
				}
			}
			for _, p := range [][2]map[string]any{{d.State.Desired, d.Metadata.Desired}, {d.State.Reported, d.Metadata.Reported}} {
				if string(appendJSON(nil, zeroStamps(p[1]))) != string(appendJSON(nil, stamped(p[0], stamp(0)))) && p[0] != nil {
					t.Fatalf("metadata has not the shape of state: %s", d.text)
				}
			}
			if want := d.Delta(); want != nil {
				closed, _, _ := update(d, section{}, section{true, want}, 9, stamp(9))
				if left := closed.Delta(); left != nil {
					t.Fatalf("delta %v of %s is still %v when it was reported", want, d.text, left)
				}
			}
		}
	})
}

func mapOrNothing(m map[string]any) any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

func zeroStamps(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = zeroStamps(e)
		}
		return m
	case []any:
		a := make([]any, len(v))
		for i, e := range v {
			a[i] = zeroStamps(e)
		}
		return a
	}
	return stamp(0)
}

func TestConfigComplaintsNameTheKey(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Errorf("the default is refused: %v", err)
	}
	err := Config{Prefix: "a/#", History: -1, MaxDocument: 1, Things: "some"}.Validate()
	for _, key := range []string{"shadow.prefix: ", "shadow.history: ", "shadow.max_document: ", "shadow.things: "} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%v does not name %s", err, key)
		}
	}
}
