package shadowsync

import (
	"encoding/json"
	"strings"

	"pgregory.net/rapid"
)

func drawStep(t *rapid.T, keys []Key) step {
	s := step{key: rapid.SampledFrom(keys).Draw(t, "key")}
	switch rapid.IntRange(0, 9).Draw(t, "op") {
	case 0:
		s.op = OpDelete
	case 1:
		s.op = OpGet
	case 2, 3, 4:
		s.op, s.report, s.patch = OpUpdate, true, drawObject(t, 3)
	default:
		s.op = OpUpdate
		sections := map[string]any{}
		for _, name := range []string{"desired", "reported"} {
			switch rapid.IntRange(0, 5).Draw(t, name) {
			case 0:
				sections[name] = nil
			case 1, 2, 3:
				sections[name] = drawObject(t, 3)
			}
		}
		s.state = sections
		if rapid.IntRange(0, 19).Draw(t, "null") == 0 {
			s.state = nil
		}
		s.checked = rapid.IntRange(0, 3).Draw(t, "checked") == 0
		if s.checked {
			s.version = int64(rapid.IntRange(0, 2).Draw(t, "ahead"))
		}
	}
	return s
}

func drawObject(t *rapid.T, depth int) map[string]any {
	object := map[string]any{}
	for range rapid.IntRange(0, 3).Draw(t, "keys") {
		// Keys that mean something elsewhere are ordinary here.
		object[rapid.SampledFrom([]string{"a", "b", "timestamp", "漢<"}).Draw(t, "key")] = drawValue(t, depth-1, true)
	}
	return object
}

func drawValue(t *rapid.T, depth int, mayNull bool) any {
	kind := rapid.IntRange(0, 8).Draw(t, "kind")
	switch {
	case kind < 3 && depth > 0:
		if object := drawObject(t, depth); mayNull {
			return object
		} else {
			return withoutNulls(object) // an array may not hold null, at any depth
		}
	case kind == 3 && depth > 0:
		array := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "elements") {
			array = append(array, drawValue(t, depth-1, false))
		}
		return array
	case kind == 4 && mayNull:
		return nil
	case kind == 5:
		return rapid.SampledFrom([]any{"", "x", strings.Repeat("\u0001é", 30), true, false}).Draw(t, "leaf")
	case kind == 6: // a chain that may be too deep
		var v any = json.Number("1")
		for range rapid.IntRange(0, 7).Draw(t, "levels") {
			v = map[string]any{"a": v}
		}
		return v
	}
	return json.Number(rapid.SampledFrom([]string{"0", "1", "1.0", "10e-1", "-1", "9007199254740993", "9007199254740992"}).Draw(t, "number"))
}
