package upstream

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gb2mqtt/gb2mqtt/shadowsync"
)

var discard = slog.New(slog.DiscardHandler)

// things is a shadow service whose shadows all report nothing and desire nothing.
type things int

func (n things) Get(shadowsync.Key) (shadowsync.Document, error) {
	return shadowsync.Document{State: shadowsync.State{Reported: map[string]any{"k": json.Number("1")}}}, nil
}

func (n things) Each(fn func(shadowsync.Key, shadowsync.Document) bool) error {
	for i := range int(n) {
		fn(shadowsync.Key{Thing: fmt.Sprint("t", i)}, shadowsync.Document{})
	}
	return nil
}

func (things) Handle(shadowsync.Request) bool { return true }

// cloud answers each request after a while, and throttles the first ones.
type cloud struct {
	u        *Upstream
	mu       sync.Mutex
	filters  int
	inFlight int
	most     int
	at       []time.Time
	throttle int
	updated  map[string]bool
}

func (c *cloud) Subscribe(_ context.Context, filters ...string) error {
	c.filters += len(filters)
	return nil
}

func (c *cloud) Publish(_ context.Context, topic string, payload []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inFlight++
	c.most = max(c.most, c.inFlight)
	c.at = append(c.at, time.Now())
	refuse := c.throttle > 0
	if refuse {
		c.throttle--
	} else if strings.HasSuffix(topic, "/update") {
		c.updated[topic] = true
	}
	var body struct{ ClientToken string }
	if err := json.Unmarshal(payload, &body); err != nil {
		return err
	}
	time.AfterFunc(50*time.Millisecond, func() {
		c.mu.Lock()
		c.inFlight--
		c.mu.Unlock()
		if refuse {
			c.u.Receive(topic+"/rejected", fmt.Appendf(nil, `{"clientToken":%q,"code":429,"message":"too many"}`, body.ClientToken))
			return
		}
		c.u.Receive(topic+"/accepted", fmt.Appendf(nil, `{"clientToken":%q,"state":{}}`, body.ClientToken))
	})
	return nil
}

func TestSyncStaysWithinTheLimitsOfAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 400
		u := New(Config{Link: "l", Thing: "{device}", Up: true, Prefix: prefix}, things(n), nil, discard)
		c := &cloud{u: u, throttle: 20, updated: map[string]bool{}}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = u.Run(ctx, c) }()
		time.Sleep(5 * time.Minute) // virtual
		cancel()
		<-ended
		if len(c.updated) != n {
			t.Errorf("%d of %d shadows are in line", len(c.updated), n)
		}
		if c.most > 10 {
			t.Errorf("%d requests were in flight, AWS allows 10", c.most)
		}
		if c.filters > 8 {
			t.Errorf("%d filters, AWS allows 8 a SUBSCRIBE", c.filters)
		}
		for i := 100; i < len(c.at); i++ {
			if c.at[i].Sub(c.at[i-100]) < time.Second {
				t.Fatalf("publishes %d to %d within %v, AWS allows 100 a second", i-100, i, c.at[i].Sub(c.at[i-100]))
			}
		}
	})
}
