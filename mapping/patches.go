package mapping

import (
	"strings"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// CatalogFields is the `catalog` section of a channel's shadow: what its item tells beside
// its ID, its Status and what a notification did to it.
func CatalogFields(item gb28181.CatalogItem) map[string]any {
	if item.Element == nil {
		return nil
	}
	out := reader{}.objectOf(item.Element)
	OnlyCatalog(out)
	return out
}

// OnlyCatalog takes out of an item's fields what is not of that section.
func OnlyCatalog(fields map[string]any) {
	for _, elsewhere := range []string{"device_id", "status", "event"} {
		delete(fields, elsewhere)
	}
}

// InfoPatch is the `info` section of a device's shadow.
func InfoPatch(i *gb28181.DeviceInfo) map[string]any {
	out := make(map[string]any)
	for name, v := range map[string]string{
		"name": i.Name, "manufacturer": i.Manufacturer, "model": i.Model, "firmware": i.Firmware,
	} {
		if v != "" {
			out[name] = v
		}
	}
	if i.Channels >= 0 {
		out["channels"] = i.Channels
	}
	return out
}

// StatusPatch is what a DeviceStatus tells a shadow: the `status` section but for the device's
// clock, which would change it each time, and whether its alarm inputs are guarded.
func StatusPatch(m *gb28181.Message, s *gb28181.DeviceStatus) map[string]any {
	status := Fields(m)
	for _, elsewhere := range []string{"result", "device_time", "device_time_text"} {
		delete(status, elsewhere)
	}
	patch := map[string]any{"status": status}
	if len(s.Duties) > 0 {
		guarded, alarmed := false, false
		for _, d := range s.Duties {
			alarmed = alarmed || d.Status == "ALARM" // guarded, and something happened
			guarded = guarded || d.Status == "ONDUTY" || d.Status == "ALARM"
		}
		patch["guard"], patch["guard_alarm"] = onOff(guarded), alarmed
	}
	return patch
}

// Recording tells whether a DeviceStatus says that a channel records; known is false when it
// does not say.
func Recording(s *gb28181.DeviceStatus) (recording, known bool) {
	switch strings.ToUpper(s.Record) {
	case "ON":
		return true, true
	case "OFF":
		return false, true
	}
	return false, false
}
