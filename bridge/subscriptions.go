package bridge

import (
	"context"
	"sync"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/subscribe"
	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
	"github.com/gb2mqtt/gb2mqtt/shadowsync"
)

// overrides are the subscriptions that commands have asked for: they count instead of what is
// configured, until a command asks otherwise or the bridge is restarted.
type overrides struct {
	mu      sync.Mutex // guards seconds
	seconds map[gb28181.ID]map[string]int
}

func newOverrides() *overrides { return &overrides{seconds: make(map[gb28181.ID]map[string]int)} }

func (o *overrides) set(device gb28181.ID, kind string, seconds int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seconds[device] == nil {
		o.seconds[device] = make(map[string]int, 1)
	}
	o.seconds[device][kind] = seconds
}

// apply puts what commands have asked for of device into wanted.
func (o *overrides) apply(device gb28181.ID, wanted *subscribe.Wanted) {
	o.mu.Lock()
	defer o.mu.Unlock()
	take(wanted, o.seconds[device])
}

// take puts seconds by kind into wanted.
func take(wanted *subscribe.Wanted, seconds map[string]int) {
	for name, n := range seconds {
		if k, known := subscribe.ParseKind(name); known {
			wanted[k] = time.Duration(n) * time.Second
		}
	}
}

// wantedSubscriptions is what is wanted of a device: as configured for all or for it, else as a
// command asked, and before them as its desired state says.
func (b *Bridge) wantedSubscriptions(device gb28181.ID) (wanted subscribe.Wanted) {
	for name, d := range b.cfg.Subscribe {
		if k, known := subscribe.ParseKind(name); known {
			wanted[k] = d
		}
	}
	own := b.quirks.Of(device).Subscribe
	for k, d := range map[subscribe.Kind]*time.Duration{
		subscribe.Catalog: own.Catalog, subscribe.Alarm: own.Alarm, subscribe.Position: own.Position,
	} {
		if d != nil {
			wanted[k] = *d
		}
	}
	b.overrides.apply(device, &wanted)
	take(&wanted, mapping.DesiredSubscriptions(b.shadows.Desired(thing(device))))
	return wanted
}

// reportSubscriptions shows what is upheld of a device.
func (b *Bridge) reportSubscriptions(device gb28181.ID, upheld subscribe.Wanted, states map[subscribe.Kind]subscribe.State) {
	made := func() map[string]any { return subscriptionsPatch(upheld, states) }
	b.shadows.ReportMade(thing(device), made, false, func(_ shadowsync.Document, err error) { b.missed(device, gb28181.ID{}, err) })
}

// subscriptionsPatch is what a device's shadow says of its subscriptions. Positions of the PTZ
// are shown where somebody has asked for them.
func subscriptionsPatch(upheld subscribe.Wanted, states map[subscribe.Kind]subscribe.State) map[string]any {
	seconds, words := make(map[string]any), make(map[string]any)
	for k, state := range states {
		if k == subscribe.PTZPosition && state == subscribe.Off {
			seconds[k.String()], words[k.String()] = nil, nil
			continue
		}
		seconds[k.String()], words[k.String()] = int64(upheld[k]/time.Second), string(state)
	}
	return map[string]any{"subscriptions": seconds, "subscription_state": words}
}

// subscribed waits until a subscription is as it is wanted, or says why it is not.
func (b *Bridge) subscribed(ctx context.Context, device gb28181.ID, kind string) *mapping.Error {
	k, _ := subscribe.ParseKind(kind)
	state, err := b.subscriptions.Await(ctx, device, k)
	switch {
	case err != nil:
		return mapping.Errorf(mapping.CodeTimeout, "device %s has not confirmed its subscription to %s yet", device, kind)
	case state == subscribe.Refused:
		return mapping.Errorf(mapping.CodeNotSupported, "device %s refuses a subscription to %s; it is asked again when it registers anew", device, kind)
	case state == subscribe.Pending:
		return mapping.Errorf(mapping.CodeTimeout, "device %s did not answer the subscription to %s; it is asked again by itself", device, kind)
	}
	return nil
}

// SubscriptionEnded has a subscription that its device ended made anew.
func (b *Bridge) SubscriptionEnded(device gb28181.ID, callID, reason string) {
	b.subscriptions.Ended(device, callID, reason)
}
