package gb28181

import (
	"testing"
	"time"
)

func TestTimesAreTheDevicesUnlessTheyNameAZone(t *testing.T) {
	const want = 1790122150 // 2026-09-23 08:09:10 at UTC+8
	for text, ms := range map[string]int64{
		"2026-09-23T08:09:10":       want * 1000,
		"2026-09-23 08:09:10":       want * 1000,
		" 2026-09-23T08:09:10 ":     want * 1000,
		"2026-09-23T08:09:10.250":   want*1000 + 250,
		"2026-09-23T00:09:10Z":      want * 1000,
		"2026-09-23T08:09:10+08:00": want * 1000,
		"2026-09-23T08:09":          (want - 10) * 1000,
	} {
		if got, ok := ParseTime(text); !ok || got.UnixMilli() != ms {
			t.Errorf("%q is %v, %v; want %d", text, got, ok, ms)
		}
	}
	for _, text := range []string{"", "0000-00-00T00:00:00", "null", "yesterday", "2026-13-01T00:00:00", "1695412800"} {
		if got, ok := ParseTime(text); ok {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
	if got := FormatTime(time.Unix(want, 0).UTC(), nil); got != "2026-09-23T08:09:10" {
		t.Errorf("written as %s", got)
	}
}

func TestADeviceWithAClockOfItsOwnIsReadAndWrittenByIt(t *testing.T) {
	at := time.Unix(1790122150, 0)
	if got, ok := ParseTimeIn("2026-09-23T00:09:10", time.UTC); !ok || !got.Equal(at) {
		t.Errorf("read as %v, %v", got, ok)
	}
	if got, ok := ParseTimeIn("2026-09-23T08:09:10+08:00", time.UTC); !ok || !got.Equal(at) {
		t.Errorf("with a zone of its own it is %v, %v", got, ok)
	}
	if got := FormatTime(at, time.UTC); got != "2026-09-23T00:09:10" {
		t.Errorf("written as %s", got)
	}
}

// FuzzParseTime holds that a time that was read is the same written and read again, to the second.
func FuzzParseTime(f *testing.F) {
	for _, text := range []string{"2026-09-23T08:09:10", "2026-09-23 08:09:10.250", "2026-09-23T08:09:10+08:00", "2026-09-23T00:09:10Z", "2026-09-23", "0000-00-00T00:00:00"} {
		f.Add(text, 8*60)
	}
	f.Fuzz(func(t *testing.T, text string, minutes int) {
		zone := time.FixedZone("", minutes%(14*60)*60)
		at, ok := ParseTimeIn(text, zone)
		if !ok || at.Year() < 1 || at.Year() > 9998 {
			return
		}
		if again, ok := ParseTimeIn(FormatTime(at, zone), zone); !ok || !again.Equal(at.Truncate(time.Second)) {
			t.Errorf("%q is %v; written as %s it is %v, %v", text, at, FormatTime(at, zone), again, ok)
		}
	})
}
