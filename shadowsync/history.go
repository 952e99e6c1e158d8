package shadowsync

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"time"

	"github.com/gb2mqtt/gb2mqtt/shadowsync/store"
)

// fullEvery is how many changes of a shadow lie between two that are kept whole: a moment is
// rebuilt from at most so many.
const fullEvery = 32

// mark is where the history of a shadow stands; the zero mark: nobody knows, so that the next
// change is kept whole.
type mark struct {
	at   int64 // Unix ms of the newest entry
	full int64 // of the newest whole one
	n    int   // changes since
}

// pastEntry is one change of what was reported, as it is stored: whole, or what changed.
type pastEntry struct {
	Version int64          `json:"v"`
	Full    map[string]any `json:"f,omitempty"`
	Patch   map[string]any `json:"p,omitempty"` // nulls remove [RFC7396]
	Deleted bool           `json:"d,omitempty"`
	// Before is what was reported before a whole entry: the entries that told it may be over.
	Before        map[string]any `json:"b,omitempty"`
	BeforeVersion int64          `json:"bv,omitempty"`

	at int64 // Unix ms
}

// whole tells that nothing older is needed to know what was reported then.
func (e *pastEntry) whole() bool { return e.Patch == nil }

// historyKey orders the entries of a shadow from the newest to the oldest.
func historyKey(k Key, at int64) []byte {
	var inverted [8]byte
	binary.BigEndian.PutUint64(inverted[:], math.MaxUint64-uint64(at))
	return store.Key(store.KindHistory, k.Thing, k.Name, string(inverted[:]))
}

// writeHistory adds to the batch of a change what tells it later. Entries live for twice the
// configured time, and a whole one is written when the last is older than half of it: each
// moment within it can be rebuilt.
func (w *writer) writeHistory(j *job) {
	j.after.mark = j.before.mark
	deleted := j.after.doc == nil
	if w.s.cfg.History == 0 || !j.reportedChanged && !deleted {
		return
	}
	before, beforeVersion := map[string]any(nil), int64(0)
	if j.before.doc != nil {
		before, beforeVersion = j.before.doc.State.Reported, j.before.doc.Version
	}
	if deleted && before == nil {
		return // nothing was reported
	}
	m := j.before.mark
	if m.at == 0 && j.before.version() > 0 { // of a new shadow nothing is there: what is kept of a deletion outlives the clock's leaps
		m.at = w.newestPast(j.key) // changes that came faster than the clock are ahead of it
	}
	e := pastEntry{at: max(j.at.UnixMilli(), m.at+1)} // two changes of one millisecond keep their order
	switch {
	case deleted:
		e.Version, e.Deleted = j.after.last, true
		m.full, m.n = 0, 0
	case m.full == 0 || m.n >= fullEvery || time.Duration(e.at-m.full)*time.Millisecond > w.s.cfg.History/2:
		e.Version, e.Full, e.Before, e.BeforeVersion = j.after.doc.Version, j.after.doc.State.Reported, before, beforeVersion
		if e.Full == nil {
			e.Full = map[string]any{}
		}
		m.full, m.n = e.at, 0
	default:
		e.Version, e.Patch = j.after.doc.Version, difference(before, j.after.doc.State.Reported)
		if len(e.Patch) == 0 {
			return // reported again as it was
		}
		m.n++
	}
	text, err := json.Marshal(e)
	if err != nil { // it was JSON when it came
		w.s.log.Error("history not kept", "thing", j.key.Thing, "shadow", j.key.Name, "err", err)
		return
	}
	m.at = e.at
	j.after.mark = m
	w.open.batch.SetTTL(historyKey(j.key, e.at), text, 2*w.s.cfg.History)
}

// newestPast is the moment of the newest entry that is stored; 0 when there is none.
func (w *writer) newestPast(k Key) (at int64) {
	err := w.s.st.ScanKeys(store.Prefix(store.KindHistory, k.Thing, k.Name), func(key []byte) bool {
		at = momentOf(key)
		return false
	})
	if err != nil {
		w.s.log.Error("history not read", "thing", k.Thing, "shadow", k.Name, "err", err)
	}
	return at
}

// momentOf is the moment of an entry's key.
func momentOf(key []byte) int64 {
	if len(key) < 8 {
		return 0
	}
	return int64(math.MaxUint64 - binary.BigEndian.Uint64(key[len(key)-8:]))
}

// difference is the merge patch that makes of a what b is [RFC7396].
func difference(a, b map[string]any) map[string]any {
	patch := make(map[string]any)
	for key := range a {
		if _, stays := b[key]; !stays {
			patch[key] = nil
		}
	}
	for key, v := range b {
		old, was := a[key]
		x, isObject := old.(map[string]any)
		y, too := v.(map[string]any)
		switch {
		case was && isObject && too:
			if inner := difference(x, y); len(inner) > 0 {
				patch[key] = inner
			}
		case !was || !equal(old, v):
			patch[key] = v
		}
	}
	return patch
}

// patched is target with a merge patch laid over it; target is not changed.
func patched(target, patch map[string]any) map[string]any {
	out := make(map[string]any, len(target)+len(patch))
	for key, v := range target {
		out[key] = v
	}
	for key, v := range patch {
		x, isObject := out[key].(map[string]any)
		y, too := v.(map[string]any)
		switch {
		case v == nil:
			delete(out, key)
		case isObject && too:
			out[key] = patched(x, y)
		default:
			out[key] = v
		}
	}
	return out
}

// Past is what was reported at a moment.
type Past struct {
	At       int64 // Unix ms of the change
	Version  int64
	Reported map[string]any // nil: there was no shadow, or nothing was reported
}

// past reads what was reported: the changes until the moment to, the newest first, at most
// limit of them and none before from. more is the moment to go on from, 0 when there is nothing older.
func (s *Service) past(k Key, from, to int64, limit int) (list []Past, more int64, err error) {
	var entries []pastEntry // the newest first
	wanted, broken := 0, error(nil)
	err = s.st.ScanFrom(store.Prefix(store.KindHistory, k.Thing, k.Name), historyKey(k, to), func(key, value []byte) bool {
		var e pastEntry
		if broken = decodeNumbers(value, &e); broken != nil {
			return false
		}
		e.at = momentOf(key)
		if wanted == limit || e.at < from {
			if wanted == limit && e.at >= from && more == 0 {
				more = e.at
			}
			if len(entries) == 0 || entries[len(entries)-1].whole() {
				return false
			}
		} else {
			wanted++
		}
		entries = append(entries, e)
		return true
	})
	if err == nil {
		err = broken
	}
	if err != nil {
		return nil, 0, err
	}
	list = make([]Past, len(entries))
	var reported map[string]any
	for i := len(entries) - 1; i >= 0; i-- {
		switch e := entries[i]; {
		case e.Deleted:
			reported = nil
		case e.Full != nil || e.Patch == nil:
			reported = e.Full
		default:
			reported = patched(reported, e.Patch)
		}
		list[i] = Past{entries[i].at, entries[i].Version, reported}
	}
	return list[:wanted], more, nil
}

// pastAt is what was reported at one moment; ok is false when there was no shadow then.
func (s *Service) pastAt(k Key, at int64) (p Past, ok bool, err error) {
	list, _, err := s.past(k, 0, at, 1)
	if err != nil {
		return p, false, err
	}
	if len(list) > 0 {
		return list[0], list[0].Reported != nil, nil
	}
	// Nothing that is kept is as old: it was as it was before the oldest change since, or as it
	// is now.
	var oldest *pastEntry
	var broken error
	err = s.st.Scan(store.Prefix(store.KindHistory, k.Thing, k.Name), func(_, value []byte) bool {
		oldest = new(pastEntry)
		broken = decodeNumbers(value, oldest)
		return broken == nil
	})
	switch {
	case err != nil || broken != nil:
		return p, false, errors.Join(err, broken)
	case oldest != nil:
		return Past{at, oldest.BeforeVersion, oldest.Before}, oldest.Before != nil, nil
	}
	doc, err := s.Get(k)
	if errors.Is(err, ErrNotFound) {
		return p, false, nil
	}
	return Past{at, doc.Version, doc.State.Reported}, err == nil && doc.State.Reported != nil, err
}

// decodeNumbers reads JSON with all digits of its numbers.
func decodeNumbers(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d.Decode(v)
}
