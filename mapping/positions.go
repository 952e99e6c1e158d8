package mapping

import (
	"maps"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// Position is where a device or a channel is.
type Position struct {
	DeviceID string         // whose it is; "": the sender's
	Fields   map[string]any // longitude, latitude (WGS-84) and what else was told
}

// Positions reads a MobilePosition: one position flat (2016), or a list of them (2022), which
// devices of either edition send. One without a fix is left out.
func Positions(m *gb28181.Message) []Position {
	fields := Fields(m)
	list := itemsOf(fields["channels"])
	if list == nil {
		if !hasFix(fields) {
			return nil
		}
		delete(fields, "sum_num")
		return []Position{{DeviceID: m.DeviceID, Fields: fields}}
	}
	var positions []Position
	for _, item := range list {
		if !hasFix(item) {
			continue
		}
		p := Position{Fields: maps.Clone(item)}
		p.DeviceID, _ = item["device_id"].(string)
		delete(p.Fields, "device_id")
		if at, told := fields["time"]; told && p.Fields["time"] == nil {
			p.Fields["time"] = at
		}
		positions = append(positions, p)
	}
	return positions
}

// PositionOf is what a MobilePosition tells of one subject, in the shape of a position told
// flat: of a list the subject's own item, else its only one. nil: it tells none, or of others.
func PositionOf(m *gb28181.Message, subject string) map[string]any {
	positions := Positions(m)
	for _, p := range positions {
		if p.DeviceID == subject || len(positions) == 1 {
			return p.Fields
		}
	}
	return nil
}

func hasFix(fields map[string]any) bool {
	return fields["longitude"] != nil && fields["latitude"] != nil
}

// PTZPatch is the `ptz` section that a PTZPosition tells, nil when it tells none.
func PTZPatch(m *gb28181.Message) map[string]any {
	fields := Fields(m)
	ptz := make(map[string]any)
	for _, axis := range []string{"pan", "tilt", "zoom"} {
		if v, told := fields[axis]; told {
			ptz[axis] = v
		}
	}
	if len(ptz) == 0 {
		return nil
	}
	return map[string]any{"ptz": ptz}
}
