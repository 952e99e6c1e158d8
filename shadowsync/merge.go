package shadowsync

import "maps"

// section is desired or reported as an update wants it.
type section struct {
	given  bool
	object map[string]any // nil with given: the section is to go
}

// merge lays patch over old, the section of a document with its metadata, and returns both
// anew; what is not touched is shared, what there was stays as it is. changed tells whether
// any value differs then; a leaf that is named gets the time at in any case.
// [device-shadow 4]
func merge(old, meta, patch map[string]any, at any) (state, metadata map[string]any, changed bool) {
	if len(patch) == 0 {
		return old, meta, false
	}
	state, metadata = clone(old, len(patch)), clone(meta, len(patch))
	for key, v := range patch {
		was, there := old[key]
		switch v := v.(type) {
		case nil:
			delete(state, key)
			delete(metadata, key)
			changed = changed || there
			continue
		case map[string]any:
			if inner, is := was.(map[string]any); is {
				innerMeta, _ := meta[key].(map[string]any)
				s, m, c := merge(inner, innerMeta, v, at)
				state[key], metadata[key] = s, m
				changed = changed || c
				continue
			}
			fresh, m, kept := newObject(v, at)
			if !kept {
				delete(state, key)
				delete(metadata, key)
				changed = changed || there
				continue
			}
			state[key], metadata[key] = fresh, m
			changed = true
			continue
		}
		state[key], metadata[key] = v, stamped(v, at)
		changed = changed || !there || !equal(was, v)
	}
	return state, metadata, changed
}

func clone(m map[string]any, more int) map[string]any {
	if m == nil {
		return make(map[string]any, more)
	}
	return maps.Clone(m)
}

// newObject is v without its nulls. kept is false when there was nothing but nulls in it.
func newObject(v map[string]any, at any) (state, metadata map[string]any, kept bool) {
	state, metadata = make(map[string]any, len(v)), make(map[string]any, len(v))
	for key, e := range v {
		switch e := e.(type) {
		case nil:
		case map[string]any:
			if s, m, kept := newObject(e, at); kept {
				state[key], metadata[key] = s, m
			}
		default:
			state[key], metadata[key] = e, stamped(e, at)
		}
	}
	return state, metadata, len(state) > 0 || len(v) == 0
}

// stamped is the metadata of v: its shape, with at for each scalar. null counts as one.
func stamped(v any, at any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for key, e := range v {
			m[key] = stamped(e, at)
		}
		return m
	case []any:
		a := make([]any, len(v))
		for i, e := range v {
			a[i] = stamped(e, at)
		}
		return a
	}
	return at
}

// delta is what differs of desired from reported, with the metadata of the same leaves, or
// nil. It shares what it can with desired. [device-shadow 5]
func delta(desired, reported, meta map[string]any) (state, metadata map[string]any) {
	for key, want := range desired {
		stamps := meta[key]
		if have, there := reported[key]; there {
			wantObject, is := want.(map[string]any)
			haveObject, too := have.(map[string]any)
			if is && too {
				inner, _ := stamps.(map[string]any)
				s, m := delta(wantObject, haveObject, inner)
				if s == nil {
					continue
				}
				want, stamps = s, m
			} else if equal(want, have) {
				continue
			}
		}
		if state == nil {
			state, metadata = make(map[string]any), make(map[string]any)
		}
		state[key], metadata[key] = want, stamps
	}
	return state, metadata
}

// differs tells whether there is a delta.
func differs(desired, reported map[string]any) bool {
	for key, want := range desired {
		have, there := reported[key]
		wantObject, is := want.(map[string]any)
		haveObject, too := have.(map[string]any)
		switch {
		case !there:
			return true
		case is && too:
			if differs(wantObject, haveObject) {
				return true
			}
		case !equal(want, have):
			return true
		}
	}
	return false
}

// overlay is patch b upon patch a as one, nulls included: what to tell of updates that were
// made as one.
func overlay(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	for key, v := range b {
		under, is := out[key].(map[string]any)
		over, too := v.(map[string]any)
		if is && too {
			v = overlay(under, over)
		}
		out[key] = v
	}
	return out
}
