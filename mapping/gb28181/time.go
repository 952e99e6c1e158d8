package gb28181

import (
	"strings"
	"time"
)

// Zone is the time that devices speak of without naming it [GB28181-2022 9.10.3].
var Zone = time.FixedZone("UTC+8", 8*60*60)

// The forms in which devices write times; a fraction of a second may follow in each.
var timeForms = []struct {
	form  string
	zoned bool
}{
	{"2006-01-02T15:04:05", false}, {"2006-01-02 15:04:05", false},
	{"2006-01-02T15:04:05Z07:00", true}, {"2006-01-02 15:04:05Z07:00", true},
	{"2006-01-02T15:04", false}, {"2006-01-02", false},
}

// ParseTime reads a device's time: UTC+8 unless it names a zone. ok is false for what is none,
// and for the zeros that stand for no time.
func ParseTime(s string) (t time.Time, ok bool) { return ParseTimeIn(s, nil) }

// ParseTimeIn is ParseTime for a device whose clock is of zone; nil is UTC+8.
func ParseTimeIn(s string, zone *time.Location) (t time.Time, ok bool) {
	s = strings.TrimSpace(s)
	if s == "" || strings.HasPrefix(s, "0000-") {
		return time.Time{}, false
	}
	for _, f := range timeForms {
		in := orZone(zone)
		if f.zoned {
			in = time.UTC
		}
		if t, err := time.ParseInLocation(f.form, s, in); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// FormatTime writes t as bodies have it: local time without zone. The zone is the device's;
// nil is UTC+8.
func FormatTime(t time.Time, zone *time.Location) string {
	return t.In(orZone(zone)).Format("2006-01-02T15:04:05")
}

func orZone(zone *time.Location) *time.Location {
	if zone == nil {
		return Zone
	}
	return zone
}
