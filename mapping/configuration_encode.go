package mapping

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// Encode renders value, in the names and types of the shadow, as the element of a
// DeviceConfig. The error names the key by its dotted path and what is accepted. Fields that
// are missing are left out, and a list that is missing is empty: Missing tells which the
// standard wants.
func (c Configuration) Encode(value any) (gb28181.Field, *Error) {
	if !c.write {
		return gb28181.Field{}, Errorf(CodeBadRequest, "%s can only be read; what can be written: %s", c.Name, strings.Join(configurationNames(true), ", "))
	}
	field := gb28181.Field{Name: c.Tag}
	if c.node.list {
		items, count, why := c.node.encodeList(c.Name, value)
		field.Children, field.Num = items, count
		return field, why
	}
	field, why := c.node.encode(c.Name, value)
	field.Name = c.Tag
	return field, why
}

// encode renders one element; path names it in errors.
func (n configNode) encode(path string, value any) (gb28181.Field, *Error) {
	field := gb28181.Field{Name: n.tag}
	if n.children == nil {
		text, accepted := n.text(value)
		if accepted != "" {
			return field, Errorf(CodeBadRequest, "%s: %s is not accepted; use %s", path, show(value), accepted)
		}
		field.Value = text
		return field, nil
	}
	object, ok := value.(map[string]any)
	if text, isText := value.(string); isText && n.segment {
		return field, Errorf(CodeBadRequest, "%s: %s is not accepted; use a text such as %s", path, show(text), segmentForm)
	}
	if !ok || len(object) == 0 {
		return field, Errorf(CodeBadRequest, "%s: %s is not accepted; use an object with %s", path, show(value), strings.Join(n.names(), ", "))
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if !slices.Contains(n.names(), key) && !n.counts(key) {
			return field, Errorf(CodeBadRequest, "%s.%s is unknown; %s has %s", path, clip(key), path, strings.Join(n.names(), ", "))
		}
	}
	for _, child := range n.children {
		v, there := object[child.name]
		if !there || v == nil {
			if child.count != "" { // the standard wants the count of nothing too
				field.Children = append(field.Children, element(child.count, "0"))
			}
			continue
		}
		if !child.list {
			f, why := child.encode(path+"."+child.name, v)
			if why != nil {
				return field, why
			}
			field.Children = append(field.Children, f)
			continue
		}
		items, count, why := child.encodeList(path+"."+child.name, v)
		if why != nil {
			return field, why
		}
		if child.count != "" {
			field.Children = append(field.Children, element(child.count, strconv.Itoa(count)))
		}
		if child.wrap != "" {
			items = []gb28181.Field{{Name: child.wrap, Num: count, Children: items}}
		}
		field.Children = append(field.Children, items...)
	}
	return field, nil
}

// encodeList renders each element of an array.
func (n configNode) encodeList(path string, value any) (items []gb28181.Field, count int, why *Error) {
	list, ok := value.([]any)
	if !ok || len(list) > int(n.high) {
		return nil, 0, Errorf(CodeBadRequest, "%s: %s is not accepted; use an array of at most %d objects with %s",
			path, show(value), int(n.high), strings.Join(n.names(), ", "))
	}
	item := n
	item.list = false
	for i, v := range list {
		if n.segment {
			v = wholeSegment(v)
		}
		f, why := item.encode(fmt.Sprintf("%s[%d]", path, i), v)
		if why != nil {
			return nil, 0, why
		}
		for _, child := range n.children {
			if object, _ := v.(map[string]any); child.must && object[child.name] == nil {
				return nil, 0, Errorf(CodeBadRequest, "%s[%d].%s is missing; an array is written whole", path, i, child.name)
			}
		}
		items = append(items, f)
	}
	return items, len(list), nil
}

// text renders a value that has no children; accepted tells what would be, where it is not.
func (n configNode) text(value any) (text, accepted string) {
	switch n.kind {
	case whole:
		v, ok := numberOf(value)
		if !ok || v != math.Trunc(v) || v < n.low || v > n.high {
			return "", fmt.Sprintf("a whole number from %.0f to %.0f", n.low, n.high)
		}
		return strconv.FormatFloat(v, 'f', 0, 64), ""
	case onoff:
		on, ok := value.(bool)
		if !ok {
			return "", "true or false"
		}
		if on {
			return "1", ""
		}
		return "0", ""
	}
	s, ok := value.(string)
	if !ok || len(s) > int(n.high) || s == "" {
		return "", fmt.Sprintf("a text of at most %.0f bytes", n.high)
	}
	return s, ""
}

// names are those of n's children in JSON.
func (n configNode) names() []string {
	names := make([]string, 0, len(n.children))
	for _, c := range n.children {
		names = append(names, c.name)
	}
	return names
}

// counts tells whether key is a list's count as ConfigDownload tells it: what was read may be
// written back as it is.
func (n configNode) counts(key string) bool {
	return slices.ContainsFunc(n.children, func(c configNode) bool {
		known, ok := fields[strings.ToLower(c.count)]
		return c.count != "" && ok && known.name == key
	})
}

// numberOf reads what JSON or Go has for a number.
func numberOf(v any) (float64, bool) {
	switch n := v.(type) {
	case json.Number:
		f, err := n.Float64()
		return f, err == nil
	case float64:
		return n, true
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	}
	return 0, false
}
