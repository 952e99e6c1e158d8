package shadowsync

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// State is the two sections of a document. A section that is empty is nil. Values are
// string, json.Number, bool, []any and map[string]any; they are shared and never changed.
type State struct {
	Desired, Reported map[string]any
}

// Document is one version of a shadow. It is never changed: a new version is a new Document,
// so it may be kept and read by anyone.
type Document struct {
	State    State
	Metadata State // the shape of State; a leaf is the time of its last update
	Version  int64
	// ReportedAt is when a value of the reported state changed last, in Unix ms; 0: not known.
	ReportedAt int64

	text     []byte // `{"state":…,"metadata":…,"version":…}`, as told in documents
	sections [4]span
}

// span is where a section stands in a Document's text; empty: it is absent.
type span struct{ from, to int }

const (
	spanDesired = iota
	spanReported
	spanMetaDesired
	spanMetaReported
)

// Delta returns what differs of desired from reported, or nil.
func (d Document) Delta() map[string]any {
	state, _ := delta(d.State.Desired, d.State.Reported, d.Metadata.Desired)
	return state
}

// Encode returns the document as compact JSON: state, metadata and version. It must not be
// changed.
func (d Document) Encode() []byte { return d.text }

// Size is the bytes that count for the limit: compact JSON of desired plus that of
// reported. [device-shadow 8]
func (d Document) Size() int { return len(d.part(spanDesired)) + len(d.part(spanReported)) }

func (d *Document) part(i int) []byte { return d.text[d.sections[i].from:d.sections[i].to] }

// encode fills in the text of d. Sections that are still those of prev are copied from it.
func (d *Document) encode(prev *Document, desired, reported bool) {
	b := make([]byte, 0, 512)
	if prev != nil {
		b = make([]byte, 0, len(prev.text)+len(prev.text)/8+128)
	}
	pair := func(open string, first int, s State) {
		b = append(b, open...)
		comma := false
		for i, part := range []struct {
			name   string
			object map[string]any
			anew   bool
		}{{`"desired":`, s.Desired, desired}, {`"reported":`, s.Reported, reported}} {
			if part.object == nil {
				continue
			}
			if comma {
				b = append(b, ',')
			}
			comma = true
			b = append(b, part.name...)
			from := len(b)
			if part.anew || prev == nil {
				b = appendObject(b, part.object)
			} else {
				b = append(b, prev.part(first+i)...)
			}
			d.sections[first+i] = span{from, len(b)}
		}
	}
	pair(`{"state":{`, spanDesired, d.State)
	pair(`},"metadata":{`, spanMetaDesired, d.Metadata)
	b = append(b, `},"version":`...)
	b = strconv.AppendInt(b, d.Version, 10)
	d.text = append(b, '}')
}

// stored is d as the store has it: its text and what nobody is told.
func (d *Document) stored() []byte {
	b := make([]byte, 0, len(d.text)+32)
	b = append(b, d.text[:len(d.text)-1]...)
	b = append(b, `,"reported_at":`...)
	b = strconv.AppendInt(b, d.ReportedAt, 10)
	return append(b, '}')
}

// decodeDocument reads what stored made.
func decodeDocument(text []byte) (*Document, error) {
	v, err := parseJSON(text)
	if err != nil {
		return nil, fmt.Errorf("stored document: %w", err)
	}
	root, _ := v.(map[string]any)
	state, _ := root["state"].(map[string]any)
	meta, _ := root["metadata"].(map[string]any)
	version, ok := wholeNumber(root["version"])
	if state == nil || meta == nil || !ok {
		return nil, errors.New("stored document: state, metadata or version is missing")
	}
	d := &Document{Version: version}
	d.ReportedAt, _ = wholeNumber(root["reported_at"])
	d.State.Desired, d.Metadata.Desired = decodeSection(state["desired"], meta["desired"])
	d.State.Reported, d.Metadata.Reported = decodeSection(state["reported"], meta["reported"])
	d.encode(nil, true, true)
	return d, nil
}

func decodeSection(state, meta any) (map[string]any, map[string]any) {
	s, _ := state.(map[string]any)
	if len(s) == 0 {
		return nil, nil
	}
	m, _ := decodeStamps(s, meta).(map[string]any)
	return s, m
}

// decodeStamps reads the metadata of v. The shape comes from v: a user's key may be called
// timestamp.
func decodeStamps(v, meta any) any {
	switch v := v.(type) {
	case map[string]any:
		from, _ := meta.(map[string]any)
		m := make(map[string]any, len(v))
		for key, e := range v {
			m[key] = decodeStamps(e, from[key])
		}
		return m
	case []any:
		from, _ := meta.([]any)
		a := make([]any, len(v))
		for i, e := range v {
			var em any
			if i < len(from) {
				em = from[i]
			}
			a[i] = decodeStamps(e, em)
		}
		return a
	}
	leaf, _ := meta.(map[string]any)
	at, _ := leaf["timestamp"].(json.Number)
	n, _ := strconv.ParseInt(string(at), 10, 64)
	return stamp(n)
}

// update is prev (nil: none) with the sections laid over it, at version. changed tells
// whether any value differs, in desired and in reported.
func update(prev *Document, desired, reported section, version int64, at any) (d *Document, desiredChanged, reportedChanged bool) {
	var old Document
	if prev != nil {
		old = *prev
	}
	d = &Document{State: old.State, Metadata: old.Metadata, Version: version, ReportedAt: old.ReportedAt}
	d.State.Desired, d.Metadata.Desired, desiredChanged = apply(old.State.Desired, old.Metadata.Desired, desired, at)
	d.State.Reported, d.Metadata.Reported, reportedChanged = apply(old.State.Reported, old.Metadata.Reported, reported, at)
	return d, desiredChanged, reportedChanged
}

// apply lays s over one section. A section that loses its last key is no more.
func apply(old, meta map[string]any, s section, at any) (map[string]any, map[string]any, bool) {
	switch {
	case !s.given:
		return old, meta, false
	case s.object == nil:
		return nil, nil, old != nil
	}
	state, metadata, changed := merge(old, meta, s.object, at)
	if len(state) == 0 {
		return nil, nil, changed
	}
	return state, metadata, changed
}
