package measure

import (
	"slices"
	"strings"

	"github.com/gb2mqtt/gb2mqtt/test/load/scenario"
)

// Sample is one look at everything, about a second after the one before.
type Sample struct {
	At         float64            `json:"at_s"` // since the beginning
	Phase      int                `json:"phase"`
	Wanted     float64            `json:"wanted"` // devices
	Registered float64            `json:"registered"`
	Presence   map[string]float64 `json:"presence"`
	Kinds      map[string]Kind    `json:"kinds"` // since the sample before
	Cores      float64            `json:"cores"` // CPU seconds in a second
	RSS        float64            `json:"rss_bytes"`
	Heap       float64            `json:"heap_bytes"`
	Goroutines float64            `json:"goroutines"`
	Files      float64            `json:"files"`
	Exchanges  float64            `json:"exchanges"` // SIP requests with their answers, both ways, in a second
	Requests   float64            `json:"requests"`  // of the platform, in a second

	Process *Process `json:"-"`
}

// Phase is what a phase came to.
type Phase struct {
	Name    string             `json:"name"`
	Seconds float64            `json:"seconds"`
	Kinds   map[string]Kind    `json:"kinds"`
	Values  map[string]float64 `json:"values"` // by the names that objectives use
}

// Value returns a measure by the name that objectives use; false: it was not measured.
func (p *Phase) Value(measure string) (float64, bool) {
	if v, ok := p.Values[measure]; ok {
		return v, true
	}
	kind, name, _ := strings.Cut(measure, ".")
	return p.Kinds[kind].value(name)
}

// Result is what a load test came to.
type Result struct {
	Phases  []Phase  `json:"phases"`
	Samples []Sample `json:"samples"`
}

// Value returns a measure of a phase, for scenario.Objective.Judge.
func (r *Result) Value(phase, measure string) (float64, bool) {
	for i := range r.Phases {
		if r.Phases[i].Name == phase {
			return r.Phases[i].Value(measure)
		}
	}
	return 0, false
}

// Judge holds every objective beside what was measured.
func (r *Result) Judge(objectives []scenario.Objective) (all []scenario.Verdict, passed bool) {
	passed = true
	for _, o := range objectives {
		v := o.Judge(r.Value)
		all, passed = append(all, v), passed && v.Passed
	}
	return all, passed
}

// Take fills in what the bridge's metrics show, and what they have gained since the sample
// before, which may be nil.
func (s *Sample) Take(p *Process, before *Sample) {
	s.Process, s.RSS, s.Heap, s.Goroutines, s.Files, s.Presence = p, p.RSS, p.Heap, p.Goroutines, p.Files, p.Presence
	if before != nil && before.Process != nil && p.At > before.Process.At {
		over := p.At - before.Process.At
		s.Cores, s.Exchanges = (p.CPU-before.Process.CPU)/over, (p.Exchanges-before.Process.Exchanges)/over
	}
}

// Bounds are a phase's two ends, in seconds since the beginning, and what was counted
// between them.
type Bounds struct {
	Name            string
	Begin, End      float64
	Kinds           map[string]Kind
	Devices         float64 // that it shall end with
	RegisteredAfter float64 // seconds until all that it ends with were registered; -1: never
}

// NewPhase sums a phase up from its bounds and the samples of the whole test; also names
// metrics of the bridge.
func NewPhase(b Bounds, samples []Sample, also []string) Phase {
	p := Phase{Name: b.Name, Seconds: b.End - b.Begin, Kinds: b.Kinds, Values: make(map[string]float64)}
	set := func(name string, v float64) { p.Values[name] = v }
	if b.RegisteredAfter >= 0 {
		set("registered.within", b.RegisteredAfter)
	}
	samples = slices.DeleteFunc(slices.Clone(samples), func(s Sample) bool {
		return s.At < b.Begin || s.At > b.End || s.Process == nil
	})
	if len(samples) == 0 {
		return p
	}
	first, last := samples[0].Process, samples[len(samples)-1].Process
	p.fleet(samples, b, set)
	p.bridge(samples, set)
	p.between(first, last, set)
	for _, name := range also {
		if v, ok := metric(name, samples); ok {
			set(name, v)
		}
	}
	return p
}

// fleet sets what became of the devices.
func (p *Phase) fleet(samples []Sample, b Bounds, set func(string, float64)) {
	last := samples[len(samples)-1]
	if b.Devices == 0 {
		return
	}
	set("registered", last.Registered/b.Devices)
	set("online", last.Presence["online"]/b.Devices)
	settled(samples, b.Begin, "online.within", func(s Sample) bool { return s.Presence["online"] >= b.Devices }, set)
	settled(samples, b.Begin, "recovered.within", func(s Sample) bool {
		return s.Registered >= b.Devices && s.Presence["online"] >= b.Devices && s.Process.Recovering == 0
	}, set)
}

// bridge sets the highest of what the bridge takes, and how it grows.
func (p *Phase) bridge(samples []Sample, set func(string, float64)) {
	for name, of := range map[string]func(Sample) float64{
		"rss": func(s Sample) float64 { return s.RSS }, "heap": func(s Sample) float64 { return s.Heap },
		"goroutines": func(s Sample) float64 { return s.Goroutines }, "files": func(s Sample) float64 { return s.Files },
		"requests.peak": func(s Sample) float64 { return s.Requests },
	} {
		var values []float64
		for _, s := range samples {
			values = append(values, of(s))
		}
		set(name, slices.Max(values))
		if v, ok := growth(values); ok && name != "requests.peak" {
			set(name+".growth", v)
		}
	}
}

// between sets what is the difference of two looks.
func (p *Phase) between(first, last *Process, set func(string, float64)) {
	if last.At <= first.At {
		return
	}
	cpu, exchanges, over := last.CPU-first.CPU, last.Exchanges-first.Exchanges, last.At-first.At
	set("cpu", cpu)
	set("cpu.cores", cpu/over)
	set("exchanges.rate", exchanges/over)
	if exchanges > 0 {
		set("cpu.exchange", cpu/exchanges)
	}
}

// settled sets name to the moment from which is held to the end of the samples.
func settled(samples []Sample, begin float64, name string, is func(Sample) bool, set func(string, float64)) {
	for i := len(samples) - 1; i >= 0 && is(samples[i]); i-- {
		set(name, max(samples[i].At-begin, 0))
	}
}

// metric is a counter's gain over the samples, or a gauge's highest value.
func metric(name string, samples []Sample) (v float64, found bool) {
	bare, _, _ := strings.Cut(name, "{")
	if strings.HasSuffix(bare, "_total") || strings.HasSuffix(bare, "_seconds") {
		last, ok := samples[len(samples)-1].Process.Metrics[name]
		return last - samples[0].Process.Metrics[name], ok
	}
	for _, s := range samples {
		if is, ok := s.Process.Metrics[name]; ok {
			v, found = max(v, is), true
		}
	}
	return v, found
}
