package shadowsync

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRequestsBeyondTheRateOfAThingAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newService(t, t.TempDir(), func(c *Config, _ *Options) { c.Rate = 2 })
		defer func() {
			if err := b.st.Close(); err != nil {
				t.Error(err)
			}
		}()
		refused := func(thing string) int {
			for range 3 {
				b.Handle(Request{Topic: "$aws/things/" + thing + "/shadow/get"})
			}
			messages := b.rec.drain() // not running: refusals alone are answered
			for _, m := range messages {
				wantCode(t, m, "429")
				if text, _ := m.payload["message"].(string); !strings.Contains(text, "limits.shadow_rate") {
					t.Errorf("message %q does not name the limit", text)
				}
			}
			return len(messages)
		}
		for _, thing := range []string{"a", "b"} {
			if n := refused(thing); n != 1 {
				t.Errorf("%d of 3 requests for %s refused, want 1", n, thing)
			}
		}
		time.Sleep(time.Second)
		if n := refused("a"); n != 1 {
			t.Errorf("%d of 3 requests refused a second later, want 1", n)
		}
	})
}
