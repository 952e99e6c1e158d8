package mapping

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
)

// A recording plan lies deeper than a shadow may (six levels, arrays too): there each of its
// time segments is a text, start and stop joined by a hyphen. What a device is told and tells
// keeps the standard's six numbers [GB28181-2022 A.2.3.2.5].

// segmentForm is that text.
const segmentForm = "08:00:00-18:00:00"

var segmentText = regexp.MustCompile(`^(\d\d):(\d\d):(\d\d)-(\d\d):(\d\d):(\d\d)$`)

// segmentFields are the six numbers, in the order in which the text has them.
var segmentFields = []string{"start_hour", "start_min", "start_sec", "stop_hour", "stop_min", "stop_sec"}

// briefSegment turns a time segment into its text; what is none stays as it is.
func briefSegment(object map[string]any) any {
	numbers := make([]any, len(segmentFields))
	for i, name := range segmentFields {
		n, is := numberOf(object[name])
		if !is || n != math.Trunc(n) || n < 0 || n > 99 {
			return object
		}
		numbers[i] = int(n)
	}
	return fmt.Sprintf("%02d:%02d:%02d-%02d:%02d:%02d", numbers...)
}

// wholeSegment reads the text of a time segment; other values stay as they are.
func wholeSegment(value any) any {
	text, _ := value.(string)
	parts := segmentText.FindStringSubmatch(text)
	if parts == nil {
		return value
	}
	object := make(map[string]any, len(segmentFields))
	for i, name := range segmentFields {
		object[name], _ = strconv.Atoi(parts[i+1]) // two digits, as the pattern has it
	}
	return object
}

// Brief returns of what a device told, or was told, the form that fits into a shadow.
func (c Configuration) Brief(value any) any { return c.node.briefly(value) }

func (n configNode) briefly(value any) any {
	switch v := value.(type) {
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = n.briefly(item)
		}
		return out
	case map[string]any:
		if n.segment {
			return briefSegment(v)
		}
		out := make(map[string]any, len(v))
		for key, inner := range v {
			out[key] = inner
			for _, child := range n.children {
				if child.name == key {
					out[key] = child.briefly(inner)
				}
			}
		}
		return out
	}
	return value
}
