package scenario

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// complaint is one thing that is wrong, with its place as a YAML path.
type complaint struct{ path, what string }

var wordPattern = regexp.MustCompile(`^[a-z0-9_-]+$`)

// Bounds of what one process can make, and of what is a slip of the keyboard.
const (
	mostDevices = 1_000_000
	mostRate    = 1_000_000
	longest     = Span(30 * 24 * time.Hour)
)

// complaints are all that is wrong with s beyond its types.
func (s *Scenario) complaints() []complaint {
	var bad []complaint
	complain := func(path, format string, args ...any) {
		bad = append(bad, complaint{path, fmt.Sprintf(format, args...)})
	}
	if !wordPattern.MatchString(s.Name) {
		complain("$.name", "%q is no name; use small letters, digits, - and _", s.Name)
	}
	f := s.Fleet
	if f.Channels < 0 || f.Channels > 10000 {
		complain("$.fleet.channels", "%d; 0 to 10000 are accepted", f.Channels)
	}
	if f.Transport != "udp" && f.Transport != "tcp" {
		complain("$.fleet.transport", "%q; udp and tcp are accepted", f.Transport)
	}
	if f.Keepalive < Span(5*time.Second) || f.Keepalive > Span(time.Hour) {
		complain("$.fleet.keepalive", "%v; 5s to 1h are accepted, as by the bridge", f.Keepalive)
	}
	if f.Clients < 1 || f.Clients > 1000 {
		complain("$.fleet.clients", "%d; 1 to 1000 are accepted", f.Clients)
	}
	if f.Things < 1 || f.Things > 1_000_000 {
		complain("$.fleet.things", "%d; 1 to 1000000 are accepted", f.Things)
	}
	if len(s.Phases) == 0 {
		complain("$.phases", "there are none; a scenario has one or more")
	}
	names := make(map[string]bool)
	for i := range s.Phases {
		p, at := &s.Phases[i], fmt.Sprintf("$.phases[%d]", i)
		if !wordPattern.MatchString(p.Name) || names[p.Name] {
			complain(at+".name", "%q; a name of its own in small letters, digits, - and _ is wanted", p.Name)
		}
		names[p.Name] = true
		p.complaints(at, complain)
	}
	for i, o := range s.Objectives {
		o.complaints(fmt.Sprintf("$.objectives[%d]", i), names, complain)
	}
	return bad
}

func (p *Phase) complaints(at string, complain func(path, format string, args ...any)) {
	if p.For <= 0 || p.For > longest {
		complain(at+".for", "%v; more than 0 and at most %v is accepted", p.For, longest)
	}
	for _, l := range p.levels() {
		most := float64(mostRate)
		if l.load == Devices {
			most = mostDevices
		}
		if level := *l.level; level != nil {
			for _, v := range []*float64{level.From, level.To} {
				if v != nil && !(*v >= 0 && *v <= most) {
					complain(at+"."+l.name, "%v; 0 to %v are accepted", *v, most)
				}
			}
		}
	}
	if p.Keepalive != nil && (*p.Keepalive < 0 || *p.Keepalive > Span(time.Hour)) {
		complain(at+".keepalive", "%v; 0s (none) to 1h are accepted", *p.Keepalive)
	}
	for _, d := range []struct {
		name string
		is   Span
	}{{"faults.delay", p.Faults.Delay}, {"faults.jitter", p.Faults.Jitter}} {
		if d.is < 0 || d.is > Span(time.Minute) {
			complain(at+"."+d.name, "%v; 0s to 1m are accepted", d.is)
		}
	}
	if p.Stop < 0 || p.Stop > p.For {
		complain(at+".stop", "%v; 0s to the length of the phase, %v, are accepted", p.Stop, p.For)
	}
	if p.Disk < 0 || p.Disk > 64 {
		complain(at+".disk_writers", "%d; 0 to 64 are accepted", p.Disk)
	}
}

func (o Objective) complaints(at string, phases map[string]bool, complain func(path, format string, args ...any)) {
	unit, known := UnitOf(o.Of)
	if !known {
		complain(at+".of", "%q is not measured; %s are", o.Of, strings.Join(Measures(), " "))
		return
	}
	if !phases[o.In] {
		complain(at+".in", "no phase is called %q", o.In)
	}
	if o.Most == "" && o.Least == "" {
		complain(at, "neither most nor least is given; use most: %v", unit)
	}
	if o.Beside != "" {
		if !phases[o.Beside] {
			complain(at+".beside", "no phase is called %q", o.Beside)
		}
		if _, err := ParseAmount(strings.TrimSuffix(strings.TrimSpace(o.Most), "x"), Number); err != nil {
			complain(at+".most", "%q is not so many times, as 1.2x", o.Most)
		}
		if o.Least != "" {
			complain(at+".least", "it has no meaning beside another phase; use most")
		}
		if o.Grace != "" {
			if _, err := ParseAmount(o.Grace, unit); err != nil {
				complain(at+".grace", "%v", err)
			}
		}
		return
	}
	if o.Grace != "" {
		complain(at+".grace", "it has a meaning only with beside")
	}
	for name, text := range map[string]string{"most": o.Most, "least": o.Least} {
		if _, err := ParseAmount(text, unit); text != "" && err != nil {
			complain(at+"."+name, "%v", err)
		}
	}
}
