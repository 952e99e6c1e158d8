package shadowsync

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// normalize copies a patch of the program's own into the values that documents are made of.
func normalize(patch map[string]any) (map[string]any, error) {
	v, err := normalValue(patch)
	if err != nil {
		return nil, err
	}
	m, _ := v.(map[string]any)
	deep, null := inspect(m, 1)
	switch {
	case deep:
		return nil, errNesting
	case null:
		return nil, errors.New("shadow report: an array may not hold null")
	}
	return m, nil
}

func normalValue(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool:
		return v, nil
	case string:
		if !utf8.ValidString(v) {
			return nil, fmt.Errorf("shadow report: %q is not UTF-8", v)
		}
		return v, nil
	case int:
		return json.Number(strconv.Itoa(v)), nil
	case int64:
		return json.Number(strconv.FormatInt(v, 10)), nil
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return json.Number(strconv.FormatInt(int64(v), 10)), nil
		}
	case map[string]any:
		m := make(map[string]any, len(v))
		for key, e := range v {
			n, err := normalValue(e)
			if err != nil {
				return nil, err
			}
			if !utf8.ValidString(key) {
				return nil, fmt.Errorf("shadow report: key %q is not UTF-8", key)
			}
			m[key] = n
		}
		return m, nil
	case []any:
		a := make([]any, len(v))
		for i, e := range v {
			n, err := normalValue(e)
			if err != nil {
				return nil, err
			}
			a[i] = n
		}
		return a, nil
	}
	text, err := json.Marshal(v) // every other Go type, by its own rules
	if err != nil {
		return nil, fmt.Errorf("shadow report: %w", err)
	}
	return parseJSON(text)
}
