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
func ParseTime(s string) (t time.Time, ok bool) {
	s = strings.TrimSpace(s)
	if s == "" || strings.HasPrefix(s, "0000-") {
		return time.Time{}, false
	}
	for _, f := range timeForms {
		zone := Zone
		if f.zoned {
			zone = time.UTC
		}
		if t, err := time.ParseInLocation(f.form, s, zone); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// FormatTime writes t as bodies have it: local time without zone.
func FormatTime(t time.Time) string { return t.In(Zone).Format("2006-01-02T15:04:05") }
