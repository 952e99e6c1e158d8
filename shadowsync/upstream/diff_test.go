package upstream

import (
	"encoding/json"
	"testing"
)

func object(t testing.TB, text string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := decode([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestDiffMakesOneIntoTheOther(t *testing.T) {
	for _, c := range []struct{ have, want, patch string }{
		{`{}`, `{}`, `null`},
		{`{"a":1}`, `{"a":1.0}`, `null`},
		{`{"a":9007199254740993}`, `{"a":9007199254740992}`, `{"a":9007199254740992}`},
		{`{"a":1,"b":2}`, `{"a":1}`, `{"b":null}`},
		{`{"a":{"x":1,"y":2}}`, `{"a":{"x":1,"y":3}}`, `{"a":{"y":3}}`},
		{`{"a":[1,2]}`, `{"a":[2,1]}`, `{"a":[2,1]}`},
		{`{"a":true}`, `{"a":"true"}`, `{"a":"true"}`},
		{`{"a":1}`, `{"a":{"x":{}}}`, `{"a":{"x":{}}}`},
	} {
		got, err := json.Marshal(diff(object(t, c.have), object(t, c.want)))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != c.patch {
			t.Errorf("diff(%s, %s) is %s, want %s", c.have, c.want, got, c.patch)
		}
	}
}

func TestAfterAnAbsenceTheCloudsWordCountsAndOursAloneStays(t *testing.T) {
	for _, c := range []struct{ ours, last, theirs, patch string }{
		{`{"a":1}`, `{}`, `{}`, `null`},                                          // never theirs: stays
		{`{"a":1}`, `{"a":1}`, `{}`, `{"a":null}`},                               // taken back
		{`{"a":1}`, `{"a":1}`, `{"a":2}`, `{"a":2}`},                             // changed there
		{`{"a":3}`, `{"a":1}`, `{"a":1}`, `{"a":1}`},                             // changed here only: the cloud's word
		{`{"a":{"m":1,"t":1}}`, `{"a":{"t":1}}`, `{"a":{}}`, `{"a":{"t":null}}`}, // within an object
		{`{"a":{"m":1}}`, `{}`, `{"a":{"n":2}}`, `{"a":{"n":2}}`},                // both add
	} {
		ours := object(t, c.ours)
		got, err := json.Marshal(needed(ours, reconciled(ours, object(t, c.last), object(t, c.theirs))))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != c.patch {
			t.Errorf("ours %s, last %s, theirs %s: patch %s, want %s", c.ours, c.last, c.theirs, got, c.patch)
		}
	}
}

func FuzzCloudMessageHarmsNothing(f *testing.F) {
	f.Add("$aws/things/edge-x/shadow/update/accepted", []byte(`{"state":{"desired":{"a":1}}}`))
	f.Add("$aws/things/edge-x/shadow/name/n/get/rejected", []byte(`{"clientToken":"t","code":404}`))
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		u := New(Config{Thing: "edge-{device}", Down: true}, nil, nil, discard)
		u.Receive(topic, payload)
	})
}
