package upstream

import (
	"encoding/json"
	"math/big"
)

// diff returns the patch that makes have into want, nil for what must go; nil when nothing
// differs.
func diff(have, want map[string]any) map[string]any {
	patch := map[string]any{}
	for key, w := range want {
		h, there := have[key]
		wantObject, isObject := w.(map[string]any)
		haveObject, wasObject := h.(map[string]any)
		switch {
		case there && isObject && wasObject:
			if inner := diff(haveObject, wantObject); inner != nil {
				patch[key] = inner
			}
		case !there || !equal(h, w):
			patch[key] = w
		}
	}
	for key := range have {
		if _, wanted := want[key]; !wanted {
			patch[key] = nil
		}
	}
	if len(patch) == 0 {
		return nil
	}
	return patch
}

// equal compares as JSON does: 1 and 1.0 are one number. [device-shadow 5]
func equal(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		o, is := b.(map[string]any)
		return is && len(a) == len(o) && diff(a, o) == nil
	case []any:
		o, is := b.([]any)
		if !is || len(a) != len(o) {
			return false
		}
		for i := range a {
			if !equal(a[i], o[i]) {
				return false
			}
		}
		return true
	case json.Number:
		o, is := b.(json.Number)
		return is && (a == o || sameNumber(a, o))
	}
	return a == b
}

// maxDigits bounds the numbers that are compared by value: an exponent can make a short text
// a very long number.
const maxDigits = 24

func sameNumber(a, b json.Number) bool {
	if len(a) > maxDigits || len(b) > maxDigits {
		return false
	}
	x, okX := new(big.Float).SetPrec(128).SetString(string(a))
	y, okY := new(big.Float).SetPrec(128).SetString(string(b))
	return okX && okY && x.Cmp(y) == 0
}
