package bridge

import (
	"context"

	"github.com/gb2mqtt/gb2mqtt/bridge/command"
	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/bridge/guard"
	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
	"github.com/gb2mqtt/gb2mqtt/shadowsync"
)

// actuator makes desired state true by commands: the Reconciler's hands.
type actuator struct{ *Bridge }

// Ready holds while the device is online and its breaker lets requests through.
func (a actuator) Ready(thing string) bool {
	id, err := gb28181.ParseID(thing)
	if err != nil {
		return false
	}
	d, known := a.fleet.Device(id)
	return known && d.Presence == fleet.Online && a.breakers.State(thing) != guard.Open
}

// Wishes cuts the delta of a device's or a channel's shadow by the table of desired keys.
// A thing that is no device of ours has no wishes: its keys are its owner's business.
func (a actuator) Wishes(k shadowsync.Key, delta map[string]any) []shadowsync.Wish {
	device, err := gb28181.ParseID(k.Thing)
	if err != nil {
		return nil
	}
	if _, known := a.fleet.Device(device); !known {
		return nil
	}
	if k.Name != "" {
		channel, err := gb28181.ParseID(k.Name)
		if err != nil {
			return nil // a named shadow of its owner's own
		}
		if _, known := a.fleet.Channel(device, channel); !known && channel != device {
			return nil // not there (yet): the catalogue will tell
		}
	}
	var wishes []shadowsync.Wish
	for _, w := range mapping.Wishes(delta, k.Name != "") {
		wish := shadowsync.Wish{Path: w.Path, Value: w.Value, Act: w}
		if w.Err != nil {
			wish.Err = &shadowsync.Refusal{Code: w.Err.Code, Message: w.Err.Message}
		}
		wishes = append(wishes, wish)
	}
	return wishes
}

// Make sends the command of a wish and returns what is reported once the device obeyed.
func (a actuator) Make(ctx context.Context, k shadowsync.Key, w shadowsync.Wish) (map[string]any, *shadowsync.Refusal) {
	device, err := gb28181.ParseID(k.Thing)
	if err != nil {
		return nil, &shadowsync.Refusal{Code: 404, Message: err.Error()}
	}
	target := k.Name
	if target == "" {
		target = k.Thing
	}
	wish := w.Act.(mapping.Wish)
	if _, _, isConfig := wish.Configuration(); isConfig {
		reported, refusal := a.configure(ctx, device, target, k, w)
		a.tellChanges(k, reported)
		return reported, refusal
	}
	if now := a.reportedAt(k, w.Path); now != nil && mapping.Covered(now, w.Value) {
		return nil, nil // came true with another wish
	}
	if kind, isSubscription := wish.Subscription(); isSubscription {
		if why := a.subscribed(ctx, device, kind); why != nil {
			return nil, &shadowsync.Refusal{Code: why.Code, Message: why.Message}
		}
		return wish.Reported(), nil
	}
	cmd, why := wish.Command(a.reportedAt(k, w.Path))
	if why == nil {
		_, why = a.do(ctx, device, target, cmd)
	}
	if why != nil {
		return nil, &shadowsync.Refusal{Code: why.Code, Message: why.Message}
	}
	a.tellChanges(k, cmd.Reported)
	return cmd.Reported, nil
}

// do sends a command of a wish, in its turn where its device has just returned with others.
func (a actuator) do(ctx context.Context, device gb28181.ID, target string, cmd *mapping.Command) (command.Result, *mapping.Error) {
	if err := a.pace.WaitFor(ctx, device.String()); err != nil {
		return command.Result{}, mapping.Errorf(mapping.CodeUnavailable, "the bridge is stopping")
	}
	return a.commands.Do(ctx, device, target, cmd)
}
