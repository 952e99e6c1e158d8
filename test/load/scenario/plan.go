package scenario

import "time"

// Load is one sort of load that has a level.
type Load int

// The loads, in the order of a Levels.
const (
	Devices Load = iota
	Registrations
	Alarms
	Commands
	MuteCommands
	ShadowUpdates
	ShadowGets
	HotUpdates
	HotGets
	Loads // how many there are
)

// Levels is how much of each load there is at one moment: devices, and rates per second.
type Levels [Loads]float64

// leveled is one level of a phase, with its name in YAML.
type leveled struct {
	name  string
	load  Load
	level **Level
}

func (p *Phase) levels() []leveled {
	return []leveled{
		{"devices", Devices, &p.Devices}, {"registrations", Registrations, &p.Registrations}, {"alarms", Alarms, &p.Alarms},
		{"commands", Commands, &p.Commands}, {"mute_commands", MuteCommands, &p.MuteCommands},
		{"shadow_updates", ShadowUpdates, &p.ShadowUpdates}, {"shadow_gets", ShadowGets, &p.ShadowGets},
		{"hot_updates", HotUpdates, &p.HotUpdates}, {"hot_gets", HotGets, &p.HotGets},
	}
}

// Plan is a scenario laid out in time.
type Plan struct {
	stretches []stretch
}

// stretch is one phase with its place and what it begins and ends with.
type stretch struct {
	begin, end time.Duration
	from, to   Levels
}

// NewPlan lays out the phases, one after the other.
func NewPlan(s *Scenario) *Plan {
	p := new(Plan)
	var at time.Duration
	var now Levels
	for i := range s.Phases {
		phase := &s.Phases[i]
		next := stretch{begin: at, end: at + time.Duration(phase.For), from: now, to: now}
		for _, l := range phase.levels() {
			level := *l.level
			if level == nil {
				continue
			}
			if level.From != nil {
				next.from[l.load], next.to[l.load] = *level.From, *level.From
			}
			if level.To != nil {
				next.to[l.load] = *level.To
			}
		}
		p.stretches = append(p.stretches, next)
		at, now = next.end, next.to
	}
	return p
}

// Length is how long the whole plan takes.
func (p *Plan) Length() time.Duration { return p.stretches[len(p.stretches)-1].end }

// At returns the phase of a moment after the beginning and its levels; phase -1: the plan
// is over.
func (p *Plan) At(t time.Duration) (phase int, now Levels) {
	for i, s := range p.stretches {
		if t >= s.end {
			continue
		}
		done := max(float64(t-s.begin)/float64(s.end-s.begin), 0)
		for l := range now {
			now[l] = s.from[l] + (s.to[l]-s.from[l])*done
		}
		return i, now
	}
	return -1, now
}

// End returns the levels that a phase ends with.
func (p *Plan) End(phase int) Levels { return p.stretches[phase].to }

// Most returns the highest level that a load ever has.
func (p *Plan) Most(l Load) float64 {
	var most float64
	for _, s := range p.stretches {
		most = max(most, s.from[l], s.to[l])
	}
	return most
}
