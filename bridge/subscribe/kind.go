package subscribe

import (
	"strconv"
	"time"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// Kind is what a device is asked to tell of by itself [GB28181-2022 9.11].
type Kind uint8

// The kinds of subscriptions.
const (
	Catalog Kind = iota
	Alarm
	Position
	PTZPosition // [GB28181-2022 A.2.4.15]
	kinds
)

var kindNames = [kinds]string{"catalog", "alarm", "position", "ptz_position"}

// String returns the name that MQTT shows.
func (k Kind) String() string { return kindNames[k] }

// ParseKind reads a name of String.
func ParseKind(name string) (Kind, bool) {
	for k, n := range kindNames {
		if n == name {
			return Kind(k), true
		}
	}
	return 0, false
}

// positionExpires is how long a subscription to positions lasts before it is refreshed: what
// is configured of it is the reporting interval.
const positionExpires = time.Hour

// expires is how long a subscription that is wanted for d is asked for.
func (k Kind) expires(d time.Duration) time.Duration {
	if k == Position {
		return positionExpires
	}
	return d
}

// events are the Event values that devices know, the likeliest first: the standard names that
// of the catalogue alone [GB28181-2022 N.4.2]. A device that answers 489 is asked with the next.
func (k Kind) events(id uint64) []string {
	switch k {
	case Catalog:
		return []string{"Catalog;id=" + strconv.FormatUint(id, 10), "presence"}
	case Alarm:
		return []string{"presence", "Alarm"}
	case Position:
		return []string{"presence", "MobilePosition"}
	}
	return []string{"presence", "PTZPosition"}
}

// query is the body of a SUBSCRIBE: what is to be told.
func (k Kind) query(device string, wanted time.Duration) gb28181.Query {
	q := gb28181.Query{DeviceID: device}
	switch k {
	case Catalog:
		q.CmdType = "Catalog"
	case Alarm: // every priority and method [GB28181-2022 A.2.4.8]
		q.CmdType = "Alarm"
		q.Fields = []gb28181.Field{{Name: "StartAlarmPriority", Value: "0"}, {Name: "EndAlarmPriority", Value: "0"}, {Name: "AlarmMethod", Value: "0"}}
	case Position:
		q.CmdType = "MobilePosition"
		q.Fields = []gb28181.Field{{Name: "Interval", Value: strconv.Itoa(int(max(1, wanted/time.Second)))}}
	case PTZPosition:
		q.CmdType = "PTZPosition"
	}
	return q
}
