package scenario

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Objective is one row of the table of what must come of a scenario.
type Objective struct {
	Of     string `yaml:"of"`     // what is measured, as keepalive.p99
	In     string `yaml:"in"`     // in which phase
	Beside string `yaml:"beside"` // Most is so many times what it was in that phase
	Most   string `yaml:"most"`   // with its unit
	Least  string `yaml:"least"`
	Grace  string `yaml:"grace"` // with Beside: so much more is no matter, in the unit of the measure
	Why    string `yaml:"why"`   // for the reader of the report
}

// Kinds are the sorts of request whose latencies are measured.
var Kinds = []string{"register", "unregister", "keepalive", "alarm", "response", "command", "mute_command", "update", "get", "hot_update", "hot_get", "presence"}

// ofKind are the measures of each kind; ofBridge those of bridge and fleet.
var (
	ofKind = map[string]Unit{
		"p50": Seconds, "p95": Seconds, "p99": Seconds, "max": Seconds,
		"count": Number, "rate": Number, // answered
		"errors": Part, // neither answered in time nor answered well
		"lost":   Part, // not answered in time
	}
	ofBridge = map[string]Unit{
		"registered": Part, "online": Part, // of the devices wanted, at the end of the phase
		"registered.within": Seconds, "online.within": Seconds, "recovered.within": Seconds, // all of them, from its beginning
		"exchanges.rate": Number, "requests.peak": Number, // SIP requests with their answers, both ways together; of the platform in the worst second
		"cpu": Seconds, "cpu.cores": Number, "cpu.exchange": Seconds,
		"rss": Bytes, "heap": Bytes, "goroutines": Number, "files": Number, // the highest of the phase
		"rss.growth": Part, "heap.growth": Part, "goroutines.growth": Part, "files.growth": Part,
	}
)

// Measures lists everything that an objective may be of.
func Measures() []string {
	var all []string
	for name := range ofBridge {
		all = append(all, name)
	}
	for _, kind := range Kinds {
		for name := range ofKind {
			all = append(all, kind+"."+name)
		}
	}
	slices.Sort(all)
	return all
}

// UnitOf returns the unit of a measure, and whether there is one of that name. A name that
// begins with gb2mqtt_ is a metric of the bridge, with labels or without: a counter's gain
// over the phase, a gauge's highest value.
func UnitOf(measure string) (Unit, bool) {
	if strings.HasPrefix(measure, "gb2mqtt_") {
		return Number, true
	}
	if u, ok := ofBridge[measure]; ok {
		return u, true
	}
	kind, name, _ := strings.Cut(measure, ".")
	u, ok := ofKind[name]
	return u, ok && slices.Contains(Kinds, kind)
}

// Verdict is an objective beside what was measured.
type Verdict struct {
	Of       string `json:"of"`
	In       string `json:"in"`
	Wanted   string `json:"wanted"`
	Measured string `json:"measured"`
	Ratio    string `json:"ratio,omitempty"` // to the phase beside
	Passed   bool   `json:"passed"`
	Why      string `json:"why,omitempty"`
}

// Judge compares o with what value tells of a measure in a phase; value's second result is
// false where nothing was measured, which passes nothing.
func (o Objective) Judge(value func(phase, measure string) (float64, bool)) Verdict {
	unit, _ := UnitOf(o.Of)
	v := Verdict{Of: o.Of, In: o.In, Wanted: o.wanted(), Measured: "nothing", Why: o.Why}
	got, measured := value(o.In, o.Of)
	if !measured {
		return v
	}
	v.Measured, v.Passed = FormatAmount(got, unit), true
	if o.Beside != "" {
		base, measured := value(o.Beside, o.Of)
		if !measured {
			v.Ratio, v.Passed = "nothing in "+o.Beside, false
			return v
		}
		v.Ratio = FormatAmount(got/max(base, 1e-9), Number) + " x"
		factor, _ := ParseAmount(strings.TrimSuffix(strings.TrimSpace(o.Most), "x"), Number) // Validate has read it
		grace, _ := ParseAmount(cmp.Or(o.Grace, zero(unit)), unit)
		v.Passed = got <= base*factor+grace
		return v
	}
	if o.Most != "" {
		most, err := ParseAmount(o.Most, unit)
		v.Passed = err == nil && got <= most
	}
	if o.Least != "" {
		least, err := ParseAmount(o.Least, unit)
		v.Passed = v.Passed && err == nil && got >= least
	}
	return v
}

// zero is nothing in a unit that needs to be written.
func zero(u Unit) string { return [...]string{"0", "0s", "0", "0B"}[u] }

// wanted says what o asks for.
func (o Objective) wanted() string {
	var all []string
	if o.Least != "" {
		all = append(all, "≥ "+o.Least)
	}
	if o.Beside != "" {
		text := fmt.Sprintf("≤ %s x %s", strings.TrimSpace(strings.TrimSuffix(o.Most, "x")), o.Beside)
		if o.Grace != "" {
			text += " + " + o.Grace
		}
		all = append(all, text)
	} else if o.Most != "" {
		all = append(all, "≤ "+o.Most)
	}
	return strings.Join(all, ", ")
}
