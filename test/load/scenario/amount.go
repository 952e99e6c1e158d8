package scenario

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Unit is what an Amount is counted in.
type Unit int

// The units of what is measured.
const (
	Number  Unit = iota
	Seconds      // a duration
	Part         // of a whole, 0 to 1
	Bytes
)

// String names the unit with an example, for a complaint.
func (u Unit) String() string {
	return [...]string{"a number, as 12", "a duration, as 50ms", "a share, as 1%", "bytes, as 64MiB"}[u]
}

var byteUnits = []struct {
	name string
	is   float64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// ParseAmount reads a number in a unit: 12, 50ms, 1% or 0.01, 64MiB.
func ParseAmount(text string, u Unit) (float64, error) {
	text = strings.TrimSpace(text)
	plain, err := strconv.ParseFloat(text, 64)
	bare := err == nil
	switch u {
	case Seconds:
		if d, err := time.ParseDuration(text); err == nil {
			return d.Seconds(), nil
		}
	case Part:
		if number, ok := strings.CutSuffix(text, "%"); ok {
			if v, err := strconv.ParseFloat(strings.TrimSpace(number), 64); err == nil {
				return v / 100, nil
			}
		}
		if bare {
			return plain, nil
		}
	case Bytes:
		for _, unit := range byteUnits {
			if number, ok := strings.CutSuffix(text, unit.name); ok {
				if v, err := strconv.ParseFloat(strings.TrimSpace(number), 64); err == nil {
					return v * unit.is, nil
				}
			}
		}
	case Number:
		if bare {
			return plain, nil
		}
	}
	return 0, fmt.Errorf("%q is not %v", text, u)
}

// FormatAmount writes v as a person reads it.
func FormatAmount(v float64, u Unit) string {
	switch u {
	case Seconds:
		d := time.Duration(v * float64(time.Second))
		switch {
		case d >= time.Second || d <= -time.Second:
			d = d.Round(10 * time.Millisecond)
		case d >= time.Millisecond || d <= -time.Millisecond:
			d = d.Round(10 * time.Microsecond)
		default:
			d = d.Round(100 * time.Nanosecond)
		}
		return d.String()
	case Part:
		return strconv.FormatFloat(v*100, 'g', 3, 64) + "%"
	case Bytes:
		for _, unit := range byteUnits {
			if v >= unit.is && v > 0 {
				return strconv.FormatFloat(v/unit.is, 'f', 1, 64) + unit.name
			}
		}
		return "0B"
	}
	if v == float64(int64(v)) {
		return strconv.FormatInt(int64(v), 10)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
