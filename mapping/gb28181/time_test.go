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
