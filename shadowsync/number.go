package shadowsync

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// equal is JSON's equality: numbers by their value with all digits, objects without order.
// [device-shadow 5]
func equal(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		return ok && (a == b || equalNumbers(string(a), string(b)))
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equal)
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, equal)
	}
	switch b.(type) {
	case []any, map[string]any:
		return false // they can't be compared with ==
	}
	return a == b
}

func equalNumbers(a, b string) bool {
	na, oka := parseNumber(a)
	nb, okb := parseNumber(b)
	return oka && okb && na == nb
}

// number is a decimal in one form only: digits have no zero at either end.
type number struct {
	negative bool
	digits   string // empty: zero
	exponent int64  // of the digit behind the last one
}

// parseNumber reads the text of a JSON number. ok is false for an exponent beyond 60 bits,
// which equals only its own text.
func parseNumber(s string) (n number, ok bool) {
	s, n.negative = strings.CutPrefix(s, "-")
	mantissa, exponent := s, ""
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa, exponent = s[:i], s[i+1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	n.digits = strings.TrimLeft(whole+fraction, "0")
	if n.digits == "" {
		return number{}, true // -0 is 0, 0e9 is 0
	}
	if exponent != "" {
		e, err := strconv.ParseInt(exponent, 10, 64)
		if err != nil || e > math.MaxInt64/8 || e < math.MinInt64/8 {
			return number{}, false
		}
		n.exponent = e
	}
	n.exponent -= int64(len(fraction))
	short := strings.TrimRight(n.digits, "0")
	n.exponent += int64(len(n.digits) - len(short))
	n.digits = short
	return n, true
}

// wholeNumber returns v as a whole number of at least 0; 2.0 is one. What is beyond int64
// becomes the largest int64.
func wholeNumber(v any) (int64, bool) {
	text, is := v.(json.Number)
	if !is {
		return 0, false
	}
	n, ok := parseNumber(string(text))
	switch {
	case !ok || n.exponent < 0 || n.negative:
		return 0, false
	case n.digits == "":
		return 0, true
	case int64(len(n.digits))+n.exponent > 19:
		return math.MaxInt64, true
	}
	i, err := strconv.ParseInt(n.digits+strings.Repeat("0", int(n.exponent)), 10, 64)
	if err != nil {
		return math.MaxInt64, true
	}
	return i, true
}
