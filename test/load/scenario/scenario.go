// Package scenario is what a load test shall do and what must come of it: phases that ramp,
// hold and drop, faults, and objectives. It reads them from YAML and does nothing itself.
//
//	YAML ──▶ Read ──▶ Scenario ─▶ Plan.At(time) ──▶ Levels: how much of each load, now
//	                     └──────▶ Objective.Judge(values of a phase) ──▶ Verdict
package scenario

import (
	"time"
)

// Scenario is one load test.
type Scenario struct {
	Name       string         `yaml:"name"`
	About      string         `yaml:"about"`  // what it shows, in a sentence
	Config     map[string]any `yaml:"config"` // of the bridge that is started: any of its keys, beside those of the load test itself
	Fleet      Fleet          `yaml:"fleet"`
	Phases     []Phase        `yaml:"phases"`
	Objectives []Objective    `yaml:"objectives"`
}

// Fleet is what does not change from phase to phase.
type Fleet struct {
	Channels  int    `yaml:"channels"`  // of each device
	Transport string `yaml:"transport"` // udp or tcp
	Keepalive Span   `yaml:"keepalive"` // the interval K that the platform counts on; devices keep it unless a phase says otherwise
	Mute      Share  `yaml:"mute"`      // of the devices: they register and keep alive, and answer no request
	Clients   int    `yaml:"clients"`   // MQTT connections that each sort of request is spread over
	Things    int    `yaml:"things"`    // plain things whose shadows are read and written
}

// Phase is a stretch of time. A load that it leaves out goes on as it was at the end of
// the phase before; faults end with their phase.
type Phase struct {
	Name    string `yaml:"name"`
	For     Span   `yaml:"for"`
	Stretch bool   `yaml:"stretch"` // --for says how long it is

	Devices       *Level `yaml:"devices"`        // that are registered
	Registrations *Level `yaml:"registrations"`  // a second, again, of devices that are
	Alarms        *Level `yaml:"alarms"`         // a second
	Commands      *Level `yaml:"commands"`       // a second, to devices that answer
	MuteCommands  *Level `yaml:"mute_commands"`  // a second, to those that don't
	ShadowUpdates *Level `yaml:"shadow_updates"` // a second, over all things
	ShadowGets    *Level `yaml:"shadow_gets"`    // a second, over all things
	HotUpdates    *Level `yaml:"hot_updates"`    // a second, of one thing
	HotGets       *Level `yaml:"hot_gets"`       // a second, of one thing

	Keepalive *Span `yaml:"keepalive"` // interval of every device from here on

	Faults Faults `yaml:"faults"`          // between devices and bridge
	Silent Share  `yaml:"silent"`          // of the devices: neither send nor hear
	Stop   Span   `yaml:"stop"`            // the bridge's process stands still for so long, from the phase's beginning
	Slow   bool   `yaml:"slow_subscriber"` // an MQTT client subscribes to everything and stops reading
	Disk   int    `yaml:"disk_writers"`    // neighbours that write and sync without pause where the bridge's store is
}

// Faults is a bad network, each way.
type Faults struct {
	Loss      Share `yaml:"loss"`
	Delay     Span  `yaml:"delay"`
	Jitter    Span  `yaml:"jitter"`
	Duplicate Share `yaml:"duplicate"`
	Reorder   Share `yaml:"reorder"`
	Cut       bool  `yaml:"cut"`
}

// Level is how much of a load there is through a phase.
type Level struct {
	From *float64 `yaml:"from"` // nil: as at the end of the phase before
	To   *float64 `yaml:"to"`   // nil: From all through
}

// Span is a duration, as 500ms, 60s or 24h.
type Span time.Duration

// String writes it as it is read.
func (s Span) String() string { return time.Duration(s).String() }

// Share is a part of a whole, 0 to 1; 10% and 0.1 are the same.
type Share float64

// defaults are what a scenario has before its file is read.
func defaults() Scenario {
	return Scenario{Fleet: Fleet{Channels: 1, Transport: "udp", Keepalive: Span(60 * time.Second), Clients: 8, Things: 1000}}
}

// Scale makes every number of devices and every rate so many times as large.
func (s *Scenario) Scale(by float64) {
	for i := range s.Phases {
		for _, l := range s.Phases[i].levels() {
			if *l.level == nil {
				continue
			}
			scaled := **l.level
			for _, v := range []**float64{&scaled.From, &scaled.To} {
				if *v != nil {
					larger := **v * by
					*v = &larger
				}
			}
			*l.level = &scaled
		}
	}
}

// Stretch makes the phases that stretch as long as they are to be together.
func (s *Scenario) Stretch(to time.Duration) {
	n := 0
	for _, p := range s.Phases {
		if p.Stretch {
			n++
		}
	}
	for i := range s.Phases {
		if s.Phases[i].Stretch {
			s.Phases[i].For = Span(to) / Span(n)
		}
	}
}

// Stretches reports whether a phase does.
func (s *Scenario) Stretches() bool {
	for _, p := range s.Phases {
		if p.Stretch {
			return true
		}
	}
	return false
}

// Faulty reports whether any phase has a bad network.
func (s *Scenario) Faulty() bool {
	for _, p := range s.Phases {
		if p.Faults != (Faults{}) {
			return true
		}
	}
	return false
}
