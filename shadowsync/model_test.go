package shadowsync

import (
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strings"
)

// model is what device-shadow.md says, written down as plainly as it goes and with nothing of
// the service's own: whole copies, no sharing, no spans. A leaf of its metadata is the number
// of the step that named it, for a model has no clock.
type model map[Key]*plain

type plain struct {
	exists                        bool
	version                       int64 // of the document, or of its deletion
	desired, reported             map[string]any
	desiredStamps, reportedStamps map[string]any
	held                          []map[string]any // reported, but not stored yet
}

// step is one operation on the model and on the service.
type step struct {
	n       int
	key     Key
	op      Op
	report  bool           // of the bridge itself, to reported
	sealed  bool           // with a version of its own
	state   any            // of an update: a map of sections, or nil for null
	patch   map[string]any // of a report
	version int64
	checked bool // version counts
}

// outcome is what the model says of a step.
type outcome struct {
	code           int // 200, or that of the refusal
	version        int64
	written        bool // there is a new version, or none any more
	before, after  *plain
	delta, stamps  map[string]any // nil: no delta message
	asked, askedAt any            // the state of accepted and its metadata
}

func (m model) clone() model {
	out := model{}
	for k, p := range m {
		out[k] = p.clone()
	}
	return out
}

// restarted forgets what was in memory only.
func (m model) restarted() {
	for _, p := range m {
		p.held = nil
	}
}

func (m model) at(k Key) *plain {
	if m[k] == nil {
		m[k] = none(0)
	}
	return m[k]
}

// none is a shadow that is not there, and was deleted at version.
func none(version int64) *plain { return (&plain{version: version}).clone() }

func (p *plain) clone() *plain {
	return &plain{p.exists, p.version, copyMap(p.desired), copyMap(p.reported), copyMap(p.desiredStamps), copyMap(p.reportedStamps), slices.Clone(p.held)}
}

func copyMap(m map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		out[k] = copyAny(v)
	}
	return out
}

func copyAny(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return copyMap(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = copyAny(e)
		}
		return out
	}
	return v
}

// do carries s out and returns what must be told of it.
func (m model) do(s step, most int) outcome {
	p := m.at(s.key)
	o := outcome{code: 200, before: p.clone(), version: p.version}
	switch {
	case s.report:
		p.doReport(s, &o)
	case s.op == OpUpdate:
		p.doUpdate(s, &o, most)
	case !p.exists:
		o.code = 404
	case s.op == OpDelete:
		held := p.held
		*p = *none(p.version + 1)
		p.held = held
		o.written = true
	}
	o.after = p.clone()
	if o.written && s.op == OpUpdate {
		o.version = p.version
		if o.delta, o.stamps = plainDelta(p.desired, p.reported, p.desiredStamps); len(o.delta) == 0 {
			o.delta = nil
		}
	}
	return o
}

func (p *plain) doReport(s step, o *outcome) {
	if tooDeep(s.patch, 1) {
		o.code = 400
		return
	}
	patches := append(p.held, s.patch)
	p.held = nil
	was, all := p.clone(), map[string]any{}
	for _, patch := range patches {
		lay(p.reported, p.reportedStamps, patch, s.n)
		all = over(all, patch)
	}
	if canon(was.reported) == canon(p.reported) {
		*p = *was
		return
	}
	p.exists, p.version, o.written = true, p.version+1, true
	o.asked, o.askedAt = map[string]any{"reported": all}, map[string]any{"reported": shape(all, s.n)}
}

func (p *plain) doUpdate(s step, o *outcome, most int) {
	if tooDeep(s.state, 0) {
		o.code = 400
		return
	}
	if s.checked && s.version != p.current() {
		o.code = 409
		return
	}
	was := p.clone()
	sections, _ := s.state.(map[string]any)
	if s.state == nil {
		sections = map[string]any{"desired": nil, "reported": nil}
		o.asked, o.askedAt = nil, s.n
	} else {
		o.asked, o.askedAt = s.state, shape(s.state, s.n)
	}
	for name, section := range map[string]struct{ state, stamps *map[string]any }{
		"desired": {&p.desired, &p.desiredStamps}, "reported": {&p.reported, &p.reportedStamps},
	} {
		patch, given := sections[name]
		if given && patch == nil {
			*section.state, *section.stamps = map[string]any{}, map[string]any{}
		} else if given {
			lay(*section.state, *section.stamps, patch.(map[string]any), s.n)
		}
	}
	if n := p.size(); n > most && (!was.exists || n > was.size()) {
		*p, o.code = *was, 413
		return
	}
	p.exists, p.version, o.written = true, p.version+1, true
}

// current is the version that a request must name: 0 where there is no document.
func (p *plain) current() int64 {
	if !p.exists {
		return 0
	}
	return p.version
}

// size counts the sections that are there.
func (p *plain) size() int {
	n := 0
	for _, section := range []map[string]any{p.desired, p.reported} {
		if len(section) > 0 {
			n += len(compact(section))
		}
	}
	return n
}

// lay lays patch over state in place.
func lay(state, stamps, patch map[string]any, n int) {
	for key, v := range patch {
		object, isObject := v.(map[string]any)
		there, hasObject := state[key].(map[string]any)
		switch {
		case v == nil:
			delete(state, key)
			delete(stamps, key)
		case isObject && hasObject:
			lay(there, stamps[key].(map[string]any), object, n)
		case isObject:
			bare := withoutNulls(object)
			if len(bare) == 0 && len(object) > 0 {
				delete(state, key)
				delete(stamps, key)
				continue
			}
			state[key], stamps[key] = bare, shape(bare, n)
		default:
			state[key], stamps[key] = copyAny(v), shape(v, n)
		}
	}
}

// over is patch b laid over patch a: both as one.
func over(a, b map[string]any) map[string]any {
	out := copyMap(a)
	for key, v := range b {
		under, is := out[key].(map[string]any)
		object, too := v.(map[string]any)
		if is && too {
			out[key] = over(under, object)
		} else {
			out[key] = copyAny(v)
		}
	}
	return out
}

// withoutNulls is a copy of object without what held nothing but nulls.
func withoutNulls(object map[string]any) map[string]any {
	out := map[string]any{}
	for key, v := range object {
		inner, is := v.(map[string]any)
		switch {
		case v == nil:
		case is:
			if bare := withoutNulls(inner); len(bare) > 0 || len(inner) == 0 {
				out[key] = bare
			}
		default:
			out[key] = copyAny(v)
		}
	}
	return out
}

// shape is v with n for each leaf.
func shape(v any, n int) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, e := range v {
			out[key] = shape(e, n)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = shape(e, n)
		}
		return out
	}
	return n
}

func plainDelta(desired, reported, stamps map[string]any) (state, at map[string]any) {
	state, at = map[string]any{}, map[string]any{}
	for key, want := range desired {
		have, there := reported[key]
		wantObject, is := want.(map[string]any)
		haveObject, too := have.(map[string]any)
		if there && is && too {
			if s, a := plainDelta(wantObject, haveObject, stamps[key].(map[string]any)); len(s) > 0 {
				state[key], at[key] = s, a
			}
		} else if !there || canon(want) != canon(have) {
			state[key], at[key] = want, stamps[key]
		}
	}
	return state, at
}

// tooDeep tells whether a container with something in it lies at level 7 or deeper, the
// section being level 1.
func tooDeep(v any, level int) bool {
	var inner []any
	switch v := v.(type) {
	case map[string]any:
		for e := range maps.Values(v) {
			inner = append(inner, e)
		}
	case []any:
		inner = v
	}
	if len(inner) > 0 && level > 6 {
		return true
	}
	for _, e := range inner {
		if tooDeep(e, level+1) {
			return true
		}
	}
	return false
}

// canon is a text that two values share when JSON holds them for equal.
func canon(v any) string {
	switch v := v.(type) {
	case json.Number:
		r, ok := new(big.Rat).SetString(string(v))
		if !ok {
			panic("no number: " + string(v))
		}
		return r.RatString()
	case map[string]any:
		out := map[string]string{}
		for key, e := range v {
			out[key] = canon(e)
		}
		return compact(out)
	case []any:
		out := make([]string, len(v))
		for i, e := range v {
			out[i] = canon(e)
		}
		return compact(out)
	}
	return compact(v)
}

// compact is v as the standard library writes it, with nothing escaped that needs not be.
func compact(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
