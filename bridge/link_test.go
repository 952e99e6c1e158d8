package bridge

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/bridge/guard"
	"github.com/gb2mqtt/gb2mqtt/shadowsync"
	"github.com/gb2mqtt/gb2mqtt/shadowsync/store"
)

type nowhere struct{}

func (nowhere) Publish(string, []byte) {}

// withShadows returns a Bridge that has shadows, a fleet and nothing else.
func withShadows(t *testing.T) *Bridge {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	b := &Bridge{log: slog.New(slog.DiscardHandler)}
	reg := prometheus.NewRegistry()
	var err error
	cfg := store.Default()
	cfg.Path = t.TempDir()
	b.store, err = store.Open(cfg, b.log, reg)
	check(err)
	b.shadows, err = shadowsync.New(shadowsync.Default(), b.store, nowhere{}, shadowsync.Options{Log: b.log, Registerer: reg})
	check(err)
	fc := fleet.Default()
	fc.Auth.Password = healingPassword
	b.fleet, err = fleet.New(fc, fleet.Options{Sink: &healed{}, Log: b.log, Registerer: reg})
	check(err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.shadows.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := b.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestALinksShadowIsWrittenWhenSomethingHasChangedOnly(t *testing.T) {
	b := withShadows(t)
	d := deviceNumber(t, 1)
	for _, step := range []struct {
		what    string
		link    guard.Link
		version int64
		health  string
	}{
		{"the first measurement", guard.Link{Health: 1}, 1, "1"},
		{"the same again, after it was forgotten", guard.Link{Health: 1}, 1, "1"},
		{"less than a tenth", guard.Link{Health: 0.911}, 1, "1"},
		{"another level", guard.Link{Health: 0.89, Level: guard.Warn}, 2, "0.89"},
		{"a tenth within its level", guard.Link{Health: 0.7812, Level: guard.Warn}, 3, "0.78"},
		{"bad", guard.Link{Health: 0.3, Level: guard.Bad}, 4, "0.3"},
	} {
		b.linkChanged(d.String(), step.link)
		if err := b.shadows.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		doc, err := b.shadows.Get(shadowsync.Key{Thing: d.String()})
		if err != nil {
			t.Fatal(err)
		}
		if got := b.reportedAt(thing(d), "link.health"); doc.Version != step.version || got != json.Number(step.health) {
			t.Errorf("%s: version %d, health %v; want %d, %s", step.what, doc.Version, got, step.version, step.health)
		}
	}
	if got := b.reportedAt(thing(d), "link.level"); got != "bad" {
		t.Errorf("level %v, want bad", got)
	}
}
