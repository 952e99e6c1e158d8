package mapping

import (
	"maps"
	"strconv"
	"strings"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// listNames are the lists of multi-packet answers by the rule for field names, with the
// fields that tell their items apart.
var listNames = []struct {
	list  string
	keys  []string
	twice bool // the same item may stand in one packet more than once
}{
	{list: "channels", keys: []string{"device_id"}},
	{list: "presets", keys: []string{"preset_id"}},
	{list: "records", keys: []string{"start_time", "end_time", "file_path"}},
	{list: "cruise_tracks", keys: []string{"number"}},
	{list: "cruise_points", keys: []string{"preset_index", "stay_time", "speed"}, twice: true}, // a track may pass a preset again
	{list: "cards", keys: []string{"id"}},
}

// List gathers the packets of one answer: in any order, repeated as UDP has them, with a
// SumNum that may be wrong [GB28181-2022 Annex M].
type List struct {
	most    int
	name    string
	items   []map[string]any
	places  map[string]int // of an item's key in items
	fields  map[string]any // beside the list, of the newest packet
	sum     int
	hasSum  bool
	refused int
	slim    bool // of a catalogue: Listed are enough
	listed  []Listed
	subject string // whose list it is
}

// Listed is an item of a catalogue as a slim list keeps it.
type Listed struct {
	ID, Status string
	Itself     map[string]any // the fields of the item that is the device's own; nil for the others
}

// NewList returns an empty list that takes at most this many items.
func NewList(most int) *List {
	return &List{most: most, places: make(map[string]int), fields: make(map[string]any)}
}

// Slim has a list of a catalogue keep no more of its items than Listed: who asks for 100,000
// may want to know that they are there and no more.
func (l *List) Slim() { l.slim = true }

// Listed returns who is in a list of a catalogue.
func (l *List) Listed() []Listed {
	if l.slim || l.name != "channels" {
		return l.listed
	}
	listed := make([]Listed, len(l.items))
	for i, item := range l.items {
		listed[i].ID, _ = item["device_id"].(string)
		listed[i].Status, _ = item["status"].(string)
		if listed[i].ID == l.subject {
			listed[i].Itself = item
		}
	}
	return listed
}

// size is how many items are there.
func (l *List) size() int { return max(len(l.items), len(l.listed)) }

// Add takes one packet.
func (l *List) Add(m *gb28181.Message) {
	l.subject = m.DeviceID
	if page, is := m.Body.(*gb28181.Catalog); is && l.slim {
		l.addPage(m, page)
		return
	}
	fields := Fields(m)
	if sum, err := strconv.Atoi(m.Tree.Value("SumNum")); err == nil && sum >= 0 {
		l.sum, l.hasSum = sum, true
	}
	for _, known := range listNames {
		list, there := fields[known.list]
		if !there {
			continue
		}
		delete(fields, known.list)
		l.name = known.list
		times := make(map[string]int)
		for _, item := range itemsOf(list) {
			key := keyOf(item, known.keys)
			if known.twice {
				times[key]++
				key += strconv.Itoa(times[key])
			}
			l.addItem(key, item)
		}
	}
	maps.Copy(l.fields, fields)
}

// addPage takes one packet of a slim list.
func (l *List) addPage(m *gb28181.Message, page *gb28181.Catalog) {
	if page.SumNum >= 0 {
		l.sum, l.hasSum = page.SumNum, true
	}
	for _, i := range page.Items {
		item := Listed{ID: strings.Clone(i.DeviceID), Status: strings.Clone(i.Status)} // not a piece of the packet
		if i.DeviceID == m.DeviceID {
			item.Itself = reader{zone: m.Zone}.objectOf(i.Element)
		}
		if at, known := l.places[item.ID]; known {
			l.listed[at] = item
			continue
		}
		if l.size() >= l.most {
			l.refused++
			continue
		}
		l.places[item.ID] = l.size()
		l.listed = append(l.listed, item)
	}
}

// keyOf is what tells an item from the others.
func keyOf(item map[string]any, keys []string) string {
	var b strings.Builder
	for _, k := range keys {
		b.WriteString(show(item[k]))
		b.WriteByte(0)
	}
	return b.String()
}

func (l *List) addItem(key string, item map[string]any) {
	if at, known := l.places[key]; known {
		l.items[at] = item // sent again, or corrected
		return
	}
	if len(l.items) >= l.most {
		l.refused++
		return
	}
	l.places[key] = len(l.items)
	l.items = append(l.items, item)
}

// Complete reports whether every item has come. Where SumNum is missing, or smaller than
// what came, nobody can tell: only silence ends such a list.
func (l *List) Complete() bool {
	return l.hasSum && l.refused == 0 && l.size() == l.sum
}

// Partial reports whether items are known to be missing.
func (l *List) Partial() bool {
	return l.refused > 0 || l.hasSum && l.size() < l.sum
}

// Fields returns what stands beside the items; of a partial list also how much is there.
func (l *List) Fields() map[string]any {
	f := maps.Clone(l.fields)
	if l.Partial() {
		f["partial"], f["got"] = true, l.size()
		if l.hasSum {
			f["sum_num"] = l.sum
		}
	}
	if l.refused > 0 {
		f["refused"] = l.refused
	}
	return f
}

// Items returns the name of the list and what is in it.
func (l *List) Items() (name string, items []map[string]any) { return l.name, l.items }

func itemsOf(list any) []map[string]any {
	switch items := list.(type) {
	case []map[string]any:
		return items
	case []any:
		var out []map[string]any
		for _, v := range items {
			if item, ok := v.(map[string]any); ok {
				out = append(out, item)
			}
		}
		return out
	}
	return nil
}
