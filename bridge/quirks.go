package bridge

import (
	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// identified takes over what a device says that it is: its model may have quirks.
func (b *Bridge) identified(device gb28181.ID, info *gb28181.DeviceInfo) {
	if !b.quirks.Identify(device, info.Manufacturer, info.Model) {
		return
	}
	before, _ := b.fleet.Device(device)
	b.fleet.Reconsider(device)
	if now, _ := b.fleet.Device(device); now.Heartbeat != before.Heartbeat {
		b.shadows.Report(thing(device), map[string]any{"keepalive": keepaliveOf(now)}, nil)
	}
	b.subscriptions.Reconsider(device)
}

// restoreModels tells the quirks, before anything else is restored, what devices said that they
// are in an earlier run.
func (b *Bridge) restoreModels(records []fleet.Record) {
	if !b.quirks.Models() {
		return
	}
	for _, r := range records {
		k := thing(r.Device)
		manufacturer, _ := b.reportedAt(k, "info.manufacturer").(string)
		model, _ := b.reportedAt(k, "info.model").(string)
		b.quirks.Identify(r.Device, manufacturer, model)
	}
}
