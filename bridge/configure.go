package bridge

import (
	"cmp"
	"context"
	"maps"
	"strings"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
	"github.com/gb2mqtt/gb2mqtt/shadowsync"
)

// readBackTimeout bounds reading back what a device has confirmed. A later answer is not lost:
// it is learnt from whenever it comes.
const readBackTimeout = 3 * time.Second

// configure writes a configuration and reads it back. What the standard wants in each write,
// and the wish leaves out, is taken from what is reported, else read from the device first.
func (a actuator) configure(ctx context.Context, device gb28181.ID, target string, k shadowsync.Key, w shadowsync.Wish) (map[string]any, *shadowsync.Refusal) {
	configuration, want, _ := w.Act.(mapping.Wish).Configuration()
	section := func(value any) map[string]any {
		return map[string]any{"config": map[string]any{configuration.Name: value}}
	}
	read := func() (any, *mapping.Error) {
		r, why := a.do(ctx, device, target, mapping.ReadConfiguration(configuration, readBackTimeout))
		if why != nil {
			return nil, why
		}
		return configuration.Brief(r.Fields[configuration.Name]), nil
	}
	value := want
	if missing := configuration.Missing(value); len(missing) > 0 {
		value = mapping.Overlay(configuration.Prune(a.reportedAt(k, w.Path)), want)
	}
	// A device that left an earlier write unanswered may have restarted with it (Uniview).
	if missing := configuration.Missing(value); len(missing) > 0 || w.Unanswered {
		current, why := read()
		switch {
		case why == nil && mapping.Covered(current, want):
			return section(mapping.Overlay(current, want)), nil
		case why == nil:
			value = mapping.Overlay(configuration.Prune(current), want)
		case len(missing) > 0:
			return nil, &shadowsync.Refusal{Code: why.Code, Message: w.Path + ": " + strings.Join(missing, ", ") +
				" must be written too, and reading what is set failed: " + why.Message}
		}
	}
	cmd, why := mapping.WriteConfiguration(configuration, value)
	if why != nil {
		return nil, &shadowsync.Refusal{Code: why.Code, Message: why.Message}
	}
	_, unanswered := a.do(ctx, device, target, cmd)
	if unanswered != nil && unanswered.Code != mapping.CodeTimeout {
		return nil, &shadowsync.Refusal{Code: unanswered.Code, Message: unanswered.Message}
	}
	current, why := read()
	switch {
	case why == nil && mapping.Covered(current, want):
		return section(mapping.Overlay(current, want)), nil
	case why == nil && unanswered == nil:
		return section(current), &shadowsync.Refusal{Code: mapping.CodeDeviceError,
			Message: "device " + device.String() + " confirmed " + w.Path + ", but reads back otherwise: see what is reported"}
	case unanswered != nil:
		return nil, &shadowsync.Refusal{Code: unanswered.Code, Message: unanswered.Message}
	}
	a.learnConfig(device, section(want))
	return section(want), nil // confirmed, and not to be read
}

// reportedAt is what a shadow reports at a dotted path; nil for nothing.
func (b *Bridge) reportedAt(k shadowsync.Key, path string) any {
	doc, err := b.shadows.Get(k)
	if err != nil {
		return nil
	}
	var v any = doc.State.Reported
	for key := range strings.SplitSeq(path, ".") {
		object, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = object[key]
	}
	return v
}

// asDesired gives configurations that are as desired the shape of what is desired. A delta
// compares arrays whole: an item that tells a field more would be another one, and be written
// again with each reading.
func (b *Bridge) asDesired(k shadowsync.Key, patch map[string]any) map[string]any {
	doc, err := b.shadows.Get(k)
	desired, _ := doc.State.Desired["config"].(map[string]any)
	told, _ := patch["config"].(map[string]any)
	if err != nil || desired == nil {
		return patch
	}
	shaped := maps.Clone(told)
	for name, want := range desired {
		if value, there := told[name]; there && mapping.Covered(value, want) {
			shaped[name] = mapping.Overlay(value, want)
		}
	}
	return map[string]any{"config": shaped}
}

// learnConfig takes over what a device's BasicParam says of its keepalive: what it does not
// say stays.
func (b *Bridge) learnConfig(device gb28181.ID, patch map[string]any) {
	interval, misses, told := mapping.HeartbeatOf(patch)
	known, there := b.fleet.Device(device)
	if !told || !there {
		return
	}
	b.fleet.SetHeartbeat(device, cmp.Or(interval, known.Heartbeat.Interval), cmp.Or(misses, known.Heartbeat.Misses))
	if now, _ := b.fleet.Device(device); now.Heartbeat != known.Heartbeat {
		b.shadows.Report(thing(device), map[string]any{"keepalive": keepaliveOf(now)}, nil)
	}
}

// keepaliveTold shows what a keepalive says is wrong, by what it calls it, and that it is over.
func (b *Bridge) keepaliveTold(in *fleet.Inbound, k *gb28181.Keepalive) {
	fields := mapping.Fields(in.Message)
	fields["status"] = strings.ToUpper(k.Status)
	if b.cfg.Fleet.TellKeepalives {
		b.publishEvent(event{kind: "keepalive", device: in.Device.String(), at: in.At, fields: fields})
	}
	wrong := noTrouble()
	if !k.Well() {
		wrong["status"] = fields["status"]
		if len(k.Faulty) > 0 {
			ids := make([]any, min(len(k.Faulty), faultyShown))
			for i := range ids {
				ids[i] = k.Faulty[i]
			}
			wrong["device_ids"] = ids
		}
	}
	b.shadows.Report(thing(in.Device), map[string]any{"keepalive": wrong}, nil)
}

// faultyShown bounds the list in a shadow, which has 8 KB for everything.
const faultyShown = 100

// noTrouble takes what a keepalive said is wrong out of the `keepalive` section of a shadow.
func noTrouble() map[string]any { return map[string]any{"status": nil, "device_ids": nil} }

// keepaliveOf is the `keepalive` section of a device's shadow.
func keepaliveOf(d fleet.Device) map[string]any {
	return map[string]any{"interval_s": seconds(d.Heartbeat.Interval), "misses": d.Heartbeat.Misses}
}
