package bridge

import (
	"context"
	"errors"
	"maps"
	"time"

	"golang.org/x/time/rate"

	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
	"github.com/gb2mqtt/gb2mqtt/shadowsync"
)

// debts are what the shadows are owed: the presence that a restart made, of each device and
// channel, and what was reported while more waited than the shadow service takes. They are
// read off the fleet, so that they cost a byte each however long they wait.
type debts struct{ *Bridge }

// Owed is what the fleet knows of a device or a channel whose shadow may not have it.
func (b debts) Owed(k shadowsync.Key, caughtUp bool) (patch map[string]any, since time.Time) {
	device, channel, ours := parseKey(k)
	if !ours {
		return nil, b.started
	}
	debt := b.fleet.Debts(device, channel)
	if !caughtUp {
		debt &^= fleet.Missed
	}
	if debt == 0 {
		return nil, b.started
	}
	since = b.started
	if debt&fleet.Missed != 0 {
		since = time.Now()
	}
	if !channel.IsZero() {
		ch, _ := b.fleet.Channel(device, channel)
		return channelPatch(ch), since
	}
	d, _ := b.fleet.Device(device)
	patch = b.presencePatch(d)
	maps.Copy(patch, b.registrationPatch(d))
	return patch, since
}

// Paid notes that a shadow has it.
func (b debts) Paid(k shadowsync.Key, caughtUp bool) {
	device, channel, ours := parseKey(k)
	if !ours {
		return
	}
	paid := fleet.Restart
	if _, still := b.shadows.Backlog(); caughtUp && still {
		paid |= fleet.Missed
	}
	b.fleet.Pay(device, channel, paid)
}

// missed notes a report that the shadow service could not take: its shadow is owed it.
func (b *Bridge) missed(device, channel gb28181.ID, err error) {
	if !errors.Is(err, shadowsync.ErrBusy) {
		return
	}
	b.fleet.Owe(device, channel, fleet.Missed)
	select {
	case b.owing <- struct{}{}:
	default:
	}
}

// parseKey tells whose shadow k may be; channel is zero for a device's own.
func parseKey(k shadowsync.Key) (device, channel gb28181.ID, ours bool) {
	device, err := gb28181.ParseID(k.Thing)
	if err == nil && k.Name != "" {
		channel, err = gb28181.ParseID(k.Name)
	}
	return device, channel, err == nil
}

// How fast debts are paid that nobody asked for. Who asks for a shadow sees it paid already,
// and most are paid anyway when their devices return.
const (
	restartsPerSecond = 500                   // a million within the hour, at a few hundredths of a processor
	missedPerSecond   = 5000                  // while the shadow service has time
	quietBacklog      = 1000                  // reports that wait when it has
	backlogInterval   = 50 * time.Millisecond // how often it is looked at
)

// settleShadows pays what is owed, until ctx ends.
func (b *Bridge) settleShadows(ctx context.Context) error {
	b.settleAll(ctx, rate.NewLimiter(restartsPerSecond, restartsPerSecond))
	pace := rate.NewLimiter(missedPerSecond, missedPerSecond/10)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.owing:
		}
		b.settleAll(ctx, pace)
	}
}

// settleAll goes through the fleet once, and pays what it owes.
func (b *Bridge) settleAll(ctx context.Context, pace *rate.Limiter) {
	for place, more := uint64(0), true; more; more = place != 0 {
		if !b.awaitQuiet(ctx) {
			return
		}
		var ids []gb28181.ID
		ids, place = b.fleet.List(place)
		for _, id := range ids {
			if b.settleDevice(ctx, id, pace) != nil {
				return // the bridge stops
			}
		}
	}
}

// awaitQuiet waits until the shadow service has time; it returns false when ctx has ended.
func (b *Bridge) awaitQuiet(ctx context.Context) bool {
	for {
		if waiting, caughtUp := b.shadows.Backlog(); waiting < quietBacklog && caughtUp {
			return ctx.Err() == nil
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(backlogInterval):
		}
	}
}

func (b *Bridge) settleDevice(ctx context.Context, device gb28181.ID, pace *rate.Limiter) error {
	settle := func(channel gb28181.ID) error {
		if b.fleet.Debts(device, channel) == 0 {
			return nil
		}
		if err := pace.Wait(ctx); err != nil {
			return err
		}
		b.shadows.Settle(shadowsync.Key{Thing: device.String(), Name: channel.String()})
		return nil
	}
	if err := settle(gb28181.ID{}); err != nil {
		return err
	}
	for _, ch := range b.fleet.Channels(device) {
		if err := settle(ch.ID); err != nil {
			return err
		}
	}
	return nil
}
