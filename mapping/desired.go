package mapping

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Where tells in whose shadow a desired key stands.
type Where uint8

// The places of desired keys; they add up.
const (
	OnDevice Where = 1 << iota
	OnChannel
)

// Row says of a desired key where it stands, what it takes and how it is made so.
type Row struct {
	Key   string // dotted path in state.desired
	Where Where
	parse func(value any) (want any, accepted string) // accepted: what would be, where value is not
	build func(want any) func(*Command)               // what the wish asks of a device; nil for a configuration
	name  string                                      // of the command, for logs and metrics
	// whole: the command needs all of an object. What a wish leaves out is taken from what
	// is reported; without these keys it can't be.
	whole []string
	// joint: wishes of one parent that are made so together, by one command with all of them.
	joint bool
	// config: it is written by DeviceConfig and read back by ConfigDownload.
	config string
	// subscription: it is upheld by SUBSCRIBE.
	subscription string
}

// Wish is one desired value that reported does not match yet.
type Wish struct {
	Path  string // dotted path of the key
	Value any    // as desired
	Row   *Row   // how it is made so; nil where Err is not
	Err   *Error // why it can't be
	want  any
	joint map[string]any // of a joint row: what is wanted of it and its neighbours, by their last word
}

// Command returns what brings the wish about, where one command does; reported is what is
// reported of its key now. Once the device has obeyed, the Command's Reported is to be
// reported: it has the shape, the names and the types of what was desired. It is nil for a
// wish with an Err and for a configuration.
func (w Wish) Command(reported any) (*Command, *Error) {
	if w.Row == nil || w.Row.build == nil {
		return nil, w.Err
	}
	want := w.want
	if w.Row.joint {
		parent, _, _ := strings.Cut(w.Path, ".")
		c := &Command{Name: w.Row.name, Timeout: defaultTimeout, Reported: nested(parent, w.joint)}
		w.Row.build(w.joint)(c)
		return c, nil
	}
	if w.Row.whole != nil {
		want = Overlay(reported, want)
		for _, key := range w.Row.whole {
			if object, _ := want.(map[string]any); object[key] == nil {
				return nil, Errorf(CodeBadRequest, "%s.%s is missing, and what the device has is not known; give it too", w.Path, key)
			}
		}
	}
	c := &Command{Name: w.Row.name, Timeout: defaultTimeout}
	w.Row.build(want)(c)
	c.Reported = nested(w.Path, w.want)
	if w.Path == "guard" && w.want == "off" {
		c.Reported["guard_alarm"] = false // what is not guarded has no alarm of that kind
	}
	return c, nil
}

// Configuration returns the configuration that is wished for, and the value: what differs of
// an object alone. ok is false for other wishes.
func (w Wish) Configuration() (c Configuration, want any, ok bool) {
	if w.Row == nil || w.Row.config == "" {
		return Configuration{}, nil, false
	}
	c, ok = FindConfiguration(w.Row.config)
	return c, w.want, ok
}

// Subscription returns the kind of subscription that is wished for. ok is false for other
// wishes.
func (w Wish) Subscription() (kind string, ok bool) {
	if w.Row == nil {
		return "", false
	}
	return w.Row.subscription, w.Row.subscription != ""
}

// Reported is what is reported once a wish has come true: its shape, names and types.
func (w Wish) Reported() map[string]any { return nested(w.Path, w.want) }

// desiredRows is the table of what can be desired.
var desiredRows = []Row{
	{
		Key: "guard", Where: OnDevice | OnChannel, name: "guard",
		parse: func(v any) (any, string) {
			if v == "on" || v == "off" {
				return v, ""
			}
			return nil, `use "on" or "off"`
		},
		build: func(want any) func(*Command) { return guardCommand(want == "on") },
	},
	{
		Key: "recording", Where: OnChannel, name: "record",
		parse: func(v any) (any, string) {
			if _, ok := v.(bool); ok {
				return v, ""
			}
			return nil, "use true or false"
		},
		build: func(want any) func(*Command) { return recordCommand(want == true) },
	},
	{
		Key: "ptz.preset", Where: OnChannel, name: "preset",
		parse: func(v any) (any, string) {
			if n, whole := wholeNumber(v); whole && 1 <= n && n <= 255 {
				return n, ""
			}
			return nil, "use a whole number from 1 to 255"
		},
		build: func(want any) func(*Command) { return presetCommand("call", want.(int)) },
	},
	axisRow("pan"), axisRow("tilt"), axisRow("zoom"),
	{
		Key: "home_position", Where: OnChannel, name: "home_position", whole: []string{"enabled"},
		parse: parseHomePosition,
		build: func(want any) func(*Command) { return homePosition(want.(map[string]any)) },
	},
	configRow("basic", OnDevice|OnChannel), configRow("video", OnDevice|OnChannel),
	configRow("record_plan", OnDevice|OnChannel), configRow("alarm_record", OnDevice|OnChannel),
	configRow("picture_mask", OnDevice|OnChannel), configRow("mirror", OnDevice|OnChannel),
	configRow("alarm_report", OnDevice|OnChannel), configRow("osd", OnDevice|OnChannel),
	subscriptionRow("catalog"), subscriptionRow("alarm"), subscriptionRow("position"),
}

// axisRow is one of ptz.{pan,tilt,zoom}. The device acknowledges and says no more: what is
// reported is what was asked of it.
func axisRow(name string) Row {
	axis := preciseAxes[name]
	return Row{
		Key: "ptz." + name, Where: OnChannel, name: "ptz_precise", joint: true,
		parse: func(v any) (any, string) {
			if n, ok := numberOf(v); ok && axis.low <= n && n <= axis.high {
				return v, ""
			}
			return nil, fmt.Sprintf("use a number from %v to %v", axis.low, axis.high)
		},
		build: func(want any) func(*Command) {
			axes := make(map[string]float64)
			for axis, v := range want.(map[string]any) {
				axes[axis], _ = numberOf(v)
			}
			return ptzPrecise(axes)
		},
	}
}

func parseHomePosition(v any) (any, string) {
	const accepted = "use an object with enabled (true or false), reset_time (0 to 86400 seconds), preset_index (0 to 255)"
	object, ok := v.(map[string]any)
	if !ok || len(object) == 0 {
		return nil, accepted
	}
	for key, value := range object {
		n, whole := wholeNumber(value)
		_, flag := value.(bool)
		switch {
		case key == "enabled" && flag,
			key == "reset_time" && whole && 0 <= n && n <= 86_400,
			key == "preset_index" && whole && 0 <= n && n <= 255:
		default:
			return nil, accepted
		}
	}
	return v, ""
}

// configRow is a configuration that is written and read back.
func configRow(name string, where Where) Row {
	return Row{
		Key: "config." + name, Where: where, name: "config_set", config: name,
		parse: func(v any) (any, string) {
			c, _ := FindConfiguration(name)
			if _, why := c.Encode(v); why != nil {
				return nil, why.Message
			}
			return v, ""
		},
	}
}

// laterRows are keys that users know and this version does not act on.
var laterRows = []string{"stream"}

// DesiredRows returns the table of what can be desired.
func DesiredRows() []Row { return slices.Clone(desiredRows) }

// Wishes cuts a delta into wishes, ordered by their paths. What is unknown, ill-typed or in
// the wrong place is a wish with an Err and harms nothing else.
func Wishes(delta map[string]any, onChannel bool) []Wish {
	var wishes []Wish
	walk(delta, "", onChannel, &wishes)
	join(wishes)
	slices.SortFunc(wishes, func(a, b Wish) int { return strings.Compare(a.Path, b.Path) })
	return wishes
}

// join gives each wish of a joint row what is wanted of its neighbours.
func join(wishes []Wish) {
	joints := make(map[string]map[string]any) // by parent
	for i, w := range wishes {
		if w.Row == nil || !w.Row.joint {
			continue
		}
		parent, last, _ := strings.Cut(w.Path, ".")
		if joints[parent] == nil {
			joints[parent] = make(map[string]any)
		}
		joints[parent][last] = w.want
		wishes[i].joint = joints[parent]
	}
}

func walk(delta map[string]any, prefix string, onChannel bool, wishes *[]Wish) {
	for key, value := range delta {
		path := prefix + key
		sub, object := value.(map[string]any)
		switch {
		case strings.Contains(key, "."): // would pass for a path
			*wishes = append(*wishes, Wish{Path: path, Value: value, Err: unknownKey(path, onChannel)})
		case object && isParent(path):
			walk(sub, path+".", onChannel, wishes)
		default:
			*wishes = append(*wishes, wish(path, value, onChannel))
		}
	}
}

// wish looks one key up and reads its value.
func wish(path string, value any, onChannel bool) Wish {
	w := Wish{Path: path, Value: value}
	here := OnDevice
	if onChannel {
		here = OnChannel
	}
	i := slices.IndexFunc(desiredRows, func(r Row) bool { return r.Key == path })
	switch {
	case i < 0 && slices.Contains(laterRows, path):
		w.Err = Errorf(CodeNotSupported, "%s is not available in this version", path)
	case i < 0 && isParent(path):
		w.Err = Errorf(CodeBadRequest, "%s: %s is not accepted; use an object with the keys %s", path, show(value), strings.Join(childrenOf(path), ", "))
	case i < 0:
		w.Err = unknownKey(path, onChannel)
	case desiredRows[i].Where&here == 0:
		w.Err = Errorf(CodeBadRequest, "%s is not known here; it belongs to the shadow of a channel", path)
	default:
		row := &desiredRows[i]
		want, complaint := row.parse(value)
		if complaint != "" {
			w.Err = Errorf(CodeBadRequest, "%s: %s is not accepted; %s", path, show(value), complaint)
			return w
		}
		w.Row, w.want = row, want
	}
	return w
}

func unknownKey(path string, onChannel bool) *Error {
	here, place := OnDevice, "a device"
	if onChannel {
		here, place = OnChannel, "a channel"
	}
	var known []string
	for _, r := range desiredRows {
		if r.Where&here != 0 {
			known = append(known, r.Key)
		}
	}
	return Errorf(CodeBadRequest, "%s is unknown; what can be desired of %s: %s", clip(path), place, strings.Join(known, ", "))
}

// isParent reports whether keys of the table stand below path.
func isParent(path string) bool { return len(childrenOf(path)) > 0 }

func childrenOf(path string) []string {
	children := map[string]bool{}
	for _, r := range desiredRows {
		if child, below := strings.CutPrefix(r.Key, path+"."); below {
			children[child] = true
		}
	}
	for _, key := range laterRows {
		if child, below := strings.CutPrefix(key, path+"."); below {
			children[child] = true
		}
	}
	return slices.Sorted(maps.Keys(children))
}

// nested makes of a dotted path the document that has value there.
func nested(path string, value any) map[string]any {
	keys := strings.Split(path, ".")
	for i := len(keys) - 1; i > 0; i-- {
		value = map[string]any{keys[i]: value}
	}
	return map[string]any{keys[0]: value}
}

// SubscriptionKinds are what a device can be asked to tell of by itself, with the least
// seconds that are accepted: how long a subscription lasts, of position how often it reports.
var SubscriptionKinds = map[string]int{"catalog": 30, "alarm": 30, "position": 1, "ptz_position": 30}

// subscriptionRow is a subscription that is upheld.
func subscriptionRow(kind string) Row {
	least := SubscriptionKinds[kind]
	return Row{
		Key: "subscriptions." + kind, Where: OnDevice, name: "subscribe", subscription: kind,
		parse: func(v any) (any, string) {
			if n, whole := wholeNumber(v); whole && (n == 0 || least <= n && n <= 86_400) {
				return v, ""
			}
			return nil, fmt.Sprintf("use %d to 86400 seconds, or 0 to end it", least)
		},
	}
}

// DesiredSubscriptions reads what a device's desired state wants of subscriptions, in seconds
// by kind; what it does not name, or names wrongly, is not there.
func DesiredSubscriptions(desired map[string]any) map[string]int {
	wanted := make(map[string]int)
	section, _ := desired["subscriptions"].(map[string]any)
	for kind, v := range section {
		w := wish("subscriptions."+kind, v, false)
		if n, whole := wholeNumber(v); w.Err == nil && whole {
			wanted[kind] = n
		}
	}
	return wanted
}
