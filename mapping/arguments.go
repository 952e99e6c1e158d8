package mapping

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// arguments reads the JSON object that a command came with. The first complaint stays; what
// is read after it is zero.
type arguments struct {
	values map[string]any
	asked  []string // the names read so far: those that the command accepts
	err    *Error
}

// parseArguments reads data; nothing at all is the same as {}.
func parseArguments(data []byte) *arguments {
	a := &arguments{values: map[string]any{}}
	if len(bytes.TrimSpace(data)) == 0 {
		return a
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the object")
		}
	}
	values, object := v.(map[string]any)
	switch {
	case err != nil:
		a.fail("the arguments are not JSON: %v; send an object such as {}", err)
	case !object:
		a.fail("the arguments are %s; send a JSON object such as {}", kindOf(v))
	default:
		a.values = values
	}
	return a
}

func (a *arguments) fail(format string, args ...any) {
	if a.err == nil {
		a.err = Errorf(CodeBadRequest, format, args...)
	}
}

// value returns the argument of that name; null is the same as absent.
func (a *arguments) value(name string) (any, bool) {
	a.asked = append(a.asked, name)
	v := a.values[name]
	return v, v != nil
}

// integer reads a whole number in low…high, and tells whether it is there.
func (a *arguments) integer(name string, low, high int) (int, bool) {
	v, there := a.value(name)
	if !there {
		return 0, false
	}
	n, whole := wholeNumber(v)
	if !whole || n < low || n > high {
		a.fail("%s: %s is not accepted; use a whole number from %d to %d", name, show(v), low, high)
		return 0, true
	}
	return n, true
}

// needInteger is integer for an argument that must be there.
func (a *arguments) needInteger(name string, low, high int) int {
	n, there := a.integer(name, low, high)
	if !there {
		a.fail("%s is missing; give a whole number from %d to %d", name, low, high)
	}
	return n
}

// number reads a number in low…high, and tells whether it is there.
func (a *arguments) number(name string, low, high float64) (float64, bool) {
	v, there := a.value(name)
	if !there {
		return 0, false
	}
	n, ok := numberOf(v)
	if !ok || n < low || n > high {
		a.fail("%s: %s is not accepted; use a number from %v to %v", name, show(v), low, high)
		return 0, true
	}
	return n, true
}

// needBool reads true or false.
func (a *arguments) needBool(name string) bool {
	v, there := a.value(name)
	b, ok := v.(bool)
	switch {
	case !there:
		a.fail("%s is missing; give true or false", name)
	case !ok:
		a.fail("%s: %s is not accepted; use true or false", name, show(v))
	}
	return b
}

// is reads true or false; what is not there is false.
func (a *arguments) is(name string) bool {
	v, there := a.value(name)
	b, ok := v.(bool)
	if there && !ok {
		a.fail("%s: %s is not accepted; use true or false", name, show(v))
	}
	return b
}

// text reads a string of at most longest bytes.
func (a *arguments) text(name string, longest int) (string, bool) {
	v, there := a.value(name)
	if !there {
		return "", false
	}
	s, ok := v.(string)
	switch {
	case !ok:
		a.fail("%s: %s is not accepted; use a text", name, show(v))
	case len(s) > longest:
		a.fail("%s has %d bytes; at most %d are accepted", name, len(s), longest)
	}
	return s, true
}

// needWord reads one of words.
func (a *arguments) needWord(name string, words ...string) string {
	v, there := a.value(name)
	s, _ := v.(string)
	switch {
	case !there:
		a.fail("%s is missing; give one of %s", name, strings.Join(words, ", "))
	case !slices.Contains(words, s):
		a.fail("%s: %s is not accepted; use one of %s", name, show(v), strings.Join(words, ", "))
	}
	return s
}

// nothingElse complains about arguments that nobody asked for.
func (a *arguments) nothingElse() {
	for _, name := range slices.Sorted(maps.Keys(a.values)) {
		if !slices.Contains(a.asked, name) {
			a.fail("unknown argument %q; accepted are %s", clip(name), strings.Join(a.asked, ", "))
		}
	}
}

// wholeNumber reads what JSON or Go has for a number, when it is whole.
func wholeNumber(v any) (int, bool) {
	switch n := v.(type) {
	case json.Number:
		if i, err := strconv.ParseInt(n.String(), 10, 32); err == nil {
			return int(i), true
		}
		f, err := n.Float64()
		if err != nil {
			return 0, false
		}
		return wholeNumber(f)
	case float64:
		if n != math.Trunc(n) || math.Abs(n) > math.MaxInt32 {
			return 0, false
		}
		return int(n), true
	case int:
		return n, true
	case int64:
		return int(n), math.MinInt32 <= n && n <= math.MaxInt32
	}
	return 0, false
}

// show renders a foreign value for a message.
func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return kindOf(v)
	}
	return clip(string(b))
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a text"
	case []any:
		return "an array"
	case map[string]any:
		return "an object"
	}
	return "a number"
}

// clip shortens foreign text for a message.
func clip(s string) string {
	const longest = 60
	if len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest], "") + "…"
}
