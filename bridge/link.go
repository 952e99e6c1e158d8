package bridge

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/bridge/guard"
	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// switchInterval is how often the other way to a device may be tried: where both are bad, none
// is better than the other.
const switchInterval = 30 * time.Second

// linkStep is a change of a link's health that is worth a version of its shadow.
const linkStep = 0.1

// measureLink has a request over p counted for the link, while p is still the way to the device.
func (b *Bridge) measureLink(device gb28181.ID, p sip.Path, o guard.Outcome, rtt time.Duration) {
	if d, known := b.fleet.Device(device); !known || d.Path != p {
		return
	}
	switch o {
	case guard.Timeout:
		b.links.TimedOut(device.String(), wayOf(p))
	case guard.Success, guard.Failure:
		if rtt > 0 { // else its connection is gone, which is no matter of health
			b.links.Answered(device.String(), wayOf(p), rtt)
		}
	}
}

// wayOf is the way that a path goes.
func wayOf(p sip.Path) guard.Way {
	if p.Network == sip.TCP {
		return guard.OverTCP
	}
	return guard.OverUDP
}

// linkDenied counts a refusal of a device's credentials.
func (b *Bridge) linkDenied(device gb28181.ID) { b.links.Denied(device.String()) }

// linkChanged shows in its shadow how good the link to a device is, and over what it goes.
func (b *Bridge) linkChanged(device string, l guard.Link) {
	id, err := gb28181.ParseID(device)
	if err != nil {
		return
	}
	d, _ := b.fleet.Device(id)
	k, transport := thing(id), d.Path.Network.String()
	health := math.Round(l.Health*100) / 100
	before, _ := b.reportedAt(k, "link.level").(string)
	was, _ := b.reportedAt(k, "link.health").(json.Number)
	last, err := was.Float64()
	if err == nil && before == l.Level.String() && math.Abs(last-health) < linkStep && b.reportedAt(k, "link.transport") == transport {
		return // what was measured of it was forgotten meanwhile; the shadow has it still
	}
	b.shadows.Report(k, map[string]any{"link": map[string]any{"health": health, "level": l.Level.String(), "transport": transport}}, nil)
	level := slog.LevelDebug
	switch {
	case before == l.Level.String():
	case l.Level == guard.Bad:
		level = slog.LevelWarn
	case before != "":
		level = slog.LevelInfo
	}
	b.log.Log(context.Background(), level, "link", "device", device, "level", l.Level, "health", health,
		"jitter", l.Jitter, "timeouts", l.Timeouts, "denials", l.Denials)
}

// linkBad tries the other known way to a device, where there is one, and takes it if the device
// answers there: its link is bad, or requests opened its breaker, which is sooner than the last
// minute can tell.
func (b *Bridge) linkBad(device string) {
	id, err := gb28181.ParseID(device)
	if err != nil {
		return
	}
	d, known := b.fleet.Device(id)
	if !known || !b.online(d) || !d.HasPath || d.Other.Network == 0 || !b.switches.allow(thing(id), "link", time.Now()) {
		return
	}
	if why := b.locals.start(nil, func(ctx context.Context) { b.switchLink(ctx, d) }); why != nil {
		b.log.Debug("other way not tried", "device", device, "err", why)
	}
}

// switchLink takes the other way to d.
func (b *Bridge) switchLink(ctx context.Context, d fleet.Device) {
	cmd, why := mapping.ParseCommand("device_status", false, nil)
	if why != nil {
		b.log.Error("other way not tried", "device", d.ID, "err", why)
		return
	}
	rtt, err := b.commands.Try(ctx, d.ID, d.Other, cmd)
	if err != nil {
		b.log.Info("link is bad, and the other way is no better", "device", d.ID,
			"transport", d.Path.Network, "other", d.Other.Network, "err", err)
		return
	}
	if !b.fleet.Choose(d.ID, d.Other) {
		return // it has ended meanwhile
	}
	b.metrics.switches.WithLabelValues(d.Other.Network.String()).Inc()
	b.log.Warn("link switched", "device", d.ID, "from", d.Path.Network, "to", d.Other.Network, "remote", d.Other.Remote)
	b.shadows.Report(thing(d.ID), map[string]any{"link": map[string]any{
		"transport": d.Other.Network.String(), "switched_at": time.Now().UnixMilli(),
	}}, nil)
	b.links.Reset(d.ID.String())
	b.links.Answered(d.ID.String(), wayOf(d.Other), rtt)
	b.breakers.Alive(d.ID.String()) // what opened it was the other way
}
