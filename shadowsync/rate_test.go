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

func TestTheRateHoldsInAnySecondWhereverItBegins(t *testing.T) {
	edge := time.Unix(1000, 0)
	r := rate{limit: 4}
	asked := func(at time.Duration, n int) (passed int) {
		for range n {
			if r.refuse("a", edge.Add(at)) == nil {
				passed++
			}
		}
		return passed
	}
	for _, step := range []struct {
		at        time.Duration
		ask, want int
	}{
		{-100 * time.Millisecond, 3, 3},
		{100 * time.Millisecond, 4, 1},  // a new second of the clock gives nothing new
		{899 * time.Millisecond, 1, 0},  // the first three are 999 ms old
		{900 * time.Millisecond, 5, 3},  // and now a second
		{1100 * time.Millisecond, 2, 1}, // as is the fourth
		{10 * time.Second, 9, 4},
	} {
		if got := asked(step.at, step.ask); got != step.want {
			t.Errorf("at %v %d of %d passed, want %d", step.at, got, step.ask, step.want)
		}
	}
	if r.refuse("b", edge.Add(time.Minute)); len(r.passed) != 1 || len(r.counts) != 1 {
		t.Errorf("%d requests of %d things are remembered a minute later, want the last one alone", len(r.passed), len(r.counts))
	}
}
