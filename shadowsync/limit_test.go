package shadowsync

import (
	"strings"
	"testing"
)

func TestClientsMakeNoMoreShadowsThanTheLimit(t *testing.T) {
	dir := t.TempDir()
	limit := func(c *Config, _ *Options) { c.Shadows = 2 }
	b := startService(t, dir, limit)
	update := func(thing string) (code int, text string) {
		t.Helper()
		type answer struct {
			body string
			code int
		}
		got := make(chan answer, 1)
		b.Handle(Request{Topic: "$aws/things/" + thing + "/shadow/update", Payload: []byte(`{"state":{"desired":{"a":1}}}`),
			Reply: func(p []byte, code int) { got <- answer{string(p), code} }})
		a := <-got
		return a.code, a.body
	}
	for _, thing := range []string{"a", "b", "a"} {
		if code, text := update(thing); code != 200 {
			t.Errorf("%s got %d %s", thing, code, text)
		}
	}
	if code, text := update("c"); code != 429 || !strings.Contains(text, "limits.shadows is 2") {
		t.Errorf("one too many got %d %s", code, text)
	}
	reportWait(t, b, Key{Thing: "camera"}, map[string]any{"presence": "online"}) // the bridge's own is made
	b.stop()
	b = startService(t, dir, limit)
	if code, _ := update("c"); code != 429 {
		t.Errorf("after a restart one too many got %d", code)
	}
	for _, thing := range []string{"a", "b"} {
		gone := make(chan error, 1)
		b.Delete(Key{Thing: thing}, func(err error) { gone <- err })
		if err := <-gone; err != nil {
			t.Fatal(err)
		}
	}
	if code, text := update("c"); code != 200 {
		t.Errorf("after deletions it got %d %s", code, text)
	}
}
