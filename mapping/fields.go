package mapping

import (
	"strconv"
	"strings"
	"time"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// Fields renders what a device said by the rule for field names: the standard's tags in
// lower_snake_case, lists in the plural, numbers as numbers, flags as booleans, codes with
// their word beside them, times in Unix ms; what is absent or empty is left out, what is not
// known is kept under its own tag in `extra`. CmdType, SN and DeviceID of the message are not
// among them. Of a message whose CmdType is nobody's, every field has its own tag, beside
// cmd_type and sn.
func Fields(m *gb28181.Message) map[string]any {
	if !m.IsStandard() {
		out := ownTags(m.Tree)
		if m.CmdType != "" {
			out["cmd_type"] = m.CmdType
		}
		if m.SN > 0 {
			out["sn"] = m.SN
		}
		return out
	}
	out := make(map[string]any)
	r := reader{zone: m.Zone}
	for _, c := range m.Tree.Children {
		switch strings.ToLower(c.Name) {
		case "cmdtype", "sn", "deviceid":
		default:
			r.put(out, c)
		}
	}
	nameCodes(out)
	if k, ok := m.Body.(*gb28181.Keepalive); ok {
		delete(out, "device_id")
		if len(k.Faulty) > 0 {
			out["device_ids"] = k.Faulty // the sub-devices that are out of order
		}
	}
	return out
}

// ownTags keeps every field of an element under its own tag; the frame of a message is left
// out.
func ownTags(e *gb28181.Element) map[string]any {
	out := make(map[string]any)
	for _, c := range e.Children {
		switch strings.ToLower(c.Name) {
		case "cmdtype", "sn", "deviceid", "password":
		default:
			add(out, c.Name, plain(c))
		}
	}
	return out
}

// plain is an element that nobody here knows: its text, or its children by their tags.
func plain(e *gb28181.Element) any {
	if len(e.Children) > 0 {
		return ownTags(e)
	}
	if e.Text == "" {
		return nil
	}
	return e.Text
}

// add sets key, or appends to what is there already.
func add(out map[string]any, key string, v any) {
	if v == nil {
		return
	}
	switch old := out[key].(type) {
	case nil:
		out[key] = v
	case []any:
		out[key] = append(old, v)
	default:
		out[key] = []any{old, v}
	}
}

// reader renders known elements.
type reader struct {
	zone *time.Location // of times that name none; nil: UTC+8
}

// put adds one known or unknown element to out.
func (r reader) put(out map[string]any, e *gb28181.Element) {
	tag := strings.ToLower(e.Name)
	if raised[tag] && len(e.Children) > 0 {
		for _, c := range e.Children {
			r.put(out, c)
		}
		return
	}
	if name, isList := lists[tag]; isList {
		if items := r.itemsIn(e); len(items) > 0 {
			out[name] = items
		}
		return
	}
	known, ok := fields[tag]
	if !ok {
		extra, _ := out["extra"].(map[string]any)
		if extra == nil {
			extra = make(map[string]any)
		}
		add(extra, e.Name, plain(e))
		if len(extra) > 0 {
			out["extra"] = extra
		}
		return
	}
	name := known.name
	if name == "" {
		name = tag
	}
	if len(e.Children) > 0 {
		inner := r.objectOf(e)
		if repeated[tag] {
			list, _ := out[name].([]any)
			out[name] = append(list, inner)
		} else if len(inner) > 0 {
			out[name] = inner
		}
		return
	}
	r.putValue(out, name, known.kind, e.Text)
}

// objectOf renders the children of an element.
func (r reader) objectOf(e *gb28181.Element) map[string]any {
	out := make(map[string]any)
	for _, c := range e.Children {
		if strings.EqualFold(c.Name, "Item") {
			list, _ := out["items"].([]any)
			out["items"] = append(list, r.objectOf(c))
			continue
		}
		r.put(out, c)
	}
	nameCodes(out)
	return out
}

// itemsIn renders the elements of a list: objects, or their texts where they have no children.
func (r reader) itemsIn(e *gb28181.Element) []any {
	items := make([]any, 0, len(e.Children))
	for _, c := range e.Children {
		if len(c.Children) > 0 {
			items = append(items, r.objectOf(c))
		} else if c.Text != "" {
			items = append(items, c.Text)
		}
	}
	return items
}

// putValue sets name to text as its kind has it; what is not of its kind is left out.
func (r reader) putValue(out map[string]any, name string, kind fieldKind, s string) {
	if _, there := out[name]; there || s == "" || strings.EqualFold(s, "null") && kind != textual {
		return
	}
	switch kind {
	case textual:
		out[name] = s
	case whole:
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			out[name] = n
		} else {
			out[name+"_text"] = s // a word where a number belongs: kept, not invented
		}
	case real:
		if n, err := strconv.ParseFloat(s, 64); err == nil && n-n == 0 {
			out[name] = n
		}
	case onoff:
		if on, ok := flagOf(s); ok {
			out[name] = on
		} else {
			out[name+"_text"] = s
		}
	case moment:
		if t, ok := gb28181.ParseTimeIn(s, r.zone); ok {
			out[name] = t.UnixMilli()
		} else {
			out[name+"_text"] = s
		}
	case secret:
	}
}

// flagOf reads a flag. Hikvision has 65535 for a Parental that is set.
func flagOf(s string) (on, ok bool) {
	switch strings.ToUpper(s) {
	case "ON", "TRUE", "OK":
		return true, true
	case "OFF", "FALSE":
		return false, true
	}
	n, err := strconv.Atoi(s)
	return n != 0, err == nil
}

// nameCodes sets the word of each code beside it.
func nameCodes(out map[string]any) {
	for name, words := range codeNames {
		if code, there := out[name].(int64); there {
			if word, known := words[int(code)]; known {
				out[name+"_name"] = word
			}
		}
	}
	method, _ := out["alarm_method"].(int64)
	kind, isAlarm := out["alarm_type"].(int64)
	if word, known := alarmTypeNames[int(method)][int(kind)]; isAlarm && known {
		out["alarm_type_name"] = word
	}
	if code, there := out["event_type"].(int64); there {
		if word, known := eventTypeNames[int(code)]; known {
			out["event_type_name"] = word
		}
	}
}
