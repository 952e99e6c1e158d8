package shadowsync

import (
	"strings"
	"testing"
)

func TestWhatNobodyWantsIsNotPublished(t *testing.T) {
	wanted := "$aws/things/t1/shadow/update/documents"
	b := startService(t, t.TempDir(), func(_ *Config, o *Options) {
		o.Wanted = func(topic string) bool { return topic == wanted }
	})
	replied := 0
	b.Handle(Request{Topic: base + "update", Payload: []byte(`{"state":{"desired":{"a":1}}}`), Reply: func([]byte, int) { replied++ }})
	b.flush(t)
	b.Handle(Request{Topic: base + "get"})
	b.Handle(Request{Topic: base + "update", Payload: []byte(`no JSON`)})
	b.flush(t)
	var got []string
	for _, m := range b.rec.drain() {
		got = append(got, strings.TrimPrefix(m.topic, base))
	}
	if want := "update/documents"; strings.Join(got, " ") != want {
		t.Errorf("published %v, want %s alone", got, want)
	}
	if replied != 1 {
		t.Errorf("%d replies, want 1: who asks by a Response Topic wants its answer", replied)
	}
}
