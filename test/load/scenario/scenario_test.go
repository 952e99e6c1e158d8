package scenario

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const whole = `
name: steps
about: what it shows
config: {limits: {inflight_per_device: 2}}
fleet: {channels: 2, mute: 10%, keepalive: 5s}
phases:
  - {name: ramp, for: 10s, devices: {to: 100}, commands: 5}
  - {name: hold, for: 20s, keepalive: 2s, faults: {loss: 0.1, delay: 5ms, cut: true}}
  - {name: drop, for: 10s, devices: {from: 50, to: 0}, commands: 0, stretch: true, stop: 1s}
objectives:
  - {of: keepalive.p99, in: hold, most: 50ms}
  - {of: keepalive.p99, in: drop, beside: hold, most: 1.2x, grace: 1ms}
  - {of: registered, in: hold, least: 99%, why: nobody is left out}
  - {of: "gb2mqtt_fleet_transitions_total{reason=\"keepalive_lost\"}", in: hold, most: 0}
`

func parse(t *testing.T, text string) *Scenario {
	t.Helper()
	s, err := Parse("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestScenarioIsReadWithItsDefaults(t *testing.T) {
	s := parse(t, whole)
	if s.Fleet != (Fleet{Channels: 2, Transport: "udp", Keepalive: Span(5 * time.Second), Mute: .1, Clients: 8, Things: 1000}) {
		t.Errorf("fleet %+v", s.Fleet)
	}
	hold := s.Phases[1]
	if hold.Faults != (Faults{Loss: .1, Delay: Span(5 * time.Millisecond), Cut: true}) || *hold.Keepalive != Span(2*time.Second) || hold.Devices != nil {
		t.Errorf("hold %+v", hold)
	}
	if !s.Faulty() || !s.Stretches() || s.Phases[2].Stop != Span(time.Second) || s.Objectives[3].Most != "0" {
		t.Errorf("%+v", s)
	}
}

func TestMistakesAreNamedWithTheirLine(t *testing.T) {
	phase := "name: x\nphases: [{name: a, for: 1s}]\n"
	for _, c := range []struct{ text, want string }{
		{phase + "phasez: []\n", `x.yaml:3: unknown field "phasez"`},
		{"name: x\nphases:\n  - name: a\n    fro: 1s\n", `x.yaml:4: unknown field "fro"`},
		{"name: x\nphases:\n  - name: a\n    for: soon\n", `x.yaml:4:`},
		{"name: x\nphases:\n  - name: a\n    for: 1s\n    devices: many\n", "x.yaml:5: many is no level"},
		{"name: x\nphases:\n  - name: a\n    for: 1s\n    devices: {too: 5}\n", "x.yaml:5: unknown field"},
		{"name: x\nphases:\n  - name: a\n    for: 1s\n    devices: -1\n", "x.yaml:5: phases[0].devices: -1; 0 to 1e+06 are accepted"},
		{"name: x\nphases:\n  - name: a\n    for: 1s\n    silent: 110%\n", "x.yaml:5: 110% is no share"},
		{"name: x\nphases:\n  - name: a\n    for: 1s\n    stop: 2s\n", "x.yaml:5: phases[0].stop: 2s"},
		{"name: x\nphases:\n  - {name: a, for: 1s}\n  - {name: a, for: 1s}\n", "x.yaml:4: phases[1].name"},
		{"name: X Y\nphases: []\n", "x.yaml:1: name: \"X Y\" is no name"},
		{"name: x\nphases: []\n", "x.yaml:2: phases: there are none"},
		{phase + "fleet: {keepalive: 1s}\n", "x.yaml:3: fleet.keepalive: 1s; 5s to 1h"},
		{phase + "objectives:\n  - {of: keepalive.p77, in: a, most: 1ms}\n", "x.yaml:4: objectives[0].of: \"keepalive.p77\" is not measured; alarm.count"},
		{phase + "objectives:\n  - {of: rss, in: b, most: 1ms}\n", "objectives[0].in: no phase is called \"b\""},
		{phase + "objectives:\n  - {of: rss, in: b, most: 1ms}\n", "objectives[0].most: \"1ms\" is not bytes, as 64MiB"},
		{phase + "objectives:\n  - {of: rss, in: a}\n", "neither most nor least"},
		{phase + "objectives:\n  - {of: get.p99, in: a, beside: a, most: 5ms}\n", "not so many times, as 1.2x"},
		{phase + "objectives:\n  - {of: get.p99, in: a, most: 5ms, grace: 1ms}\n", "only with beside"},
		{"name: x\nphases: {}: {", "x.yaml:2:"},
	} {
		_, err := Parse("x.yaml", []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\ngot  %v\nwant %s", c.text, err, c.want)
		}
	}
}

func TestScenariosInTheFolderAreWell(t *testing.T) {
	files, err := filepath.Glob("../scenarios/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		s, err := Read(file)
		if err != nil {
			t.Error(err)
			continue
		}
		if s.Name+".yaml" != filepath.Base(file) || s.About == "" || len(s.Objectives) == 0 {
			t.Errorf("%s: its name, what it is about, or its objectives are missing", file)
		}
	}
}

func TestReadOfNoFileSaysSo(t *testing.T) {
	if _, err := Read(filepath.Join(t.TempDir(), "none.yaml")); !os.IsNotExist(err) && err == nil {
		t.Error("read a file that is not there")
	}
}

func TestPlanRampsHoldsAndDrops(t *testing.T) {
	p := NewPlan(parse(t, whole))
	if p.Length() != 40*time.Second || p.Most(Devices) != 100 || p.Most(HotGets) != 0 {
		t.Errorf("length %v, most devices %v", p.Length(), p.Most(Devices))
	}
	for _, c := range []struct {
		at                time.Duration
		phase             int
		devices, commands float64
	}{
		{0, 0, 0, 5}, {5 * time.Second, 0, 50, 5}, {10 * time.Second, 1, 100, 5}, {29 * time.Second, 1, 100, 5},
		{30 * time.Second, 2, 50, 0}, {35 * time.Second, 2, 25, 0}, {40 * time.Second, -1, 0, 0}, {-time.Second, 0, 0, 5},
	} {
		phase, now := p.At(c.at)
		if phase != c.phase || now[Devices] != c.devices || now[Commands] != c.commands {
			t.Errorf("at %v: phase %d, %v devices, %v commands/s; want %+v", c.at, phase, now[Devices], now[Commands], c)
		}
	}
}

func TestScaleAndStretchChangeThePlan(t *testing.T) {
	s := parse(t, whole)
	s.Scale(.1)
	s.Stretch(time.Minute)
	p := NewPlan(s)
	if p.Length() != 90*time.Second || p.Most(Devices) != 10 || p.Most(Commands) != .5 {
		t.Errorf("length %v, %v devices, %v commands/s", p.Length(), p.Most(Devices), p.Most(Commands))
	}
}

func TestObjectivesJudgeWhatWasMeasured(t *testing.T) {
	values := map[string]float64{"a/get.p99": .010, "b/get.p99": .0125, "a/registered": .99, "a/rss": 100 << 20, "a/get.errors": 0}
	value := func(phase, measure string) (float64, bool) {
		v, ok := values[phase+"/"+measure]
		return v, ok
	}
	for _, c := range []struct {
		o        Objective
		passed   bool
		measured string
	}{
		{Objective{Of: "get.p99", In: "a", Most: "10ms"}, true, "10ms"},
		{Objective{Of: "get.p99", In: "b", Most: "10ms"}, false, "12.5ms"},
		{Objective{Of: "get.p99", In: "b", Beside: "a", Most: "1.2x"}, false, "12.5ms"},
		{Objective{Of: "get.p99", In: "b", Beside: "a", Most: "1.3 x"}, true, "12.5ms"},
		{Objective{Of: "get.p99", In: "b", Beside: "a", Most: "1.2x", Grace: "1ms"}, true, "12.5ms"},
		{Objective{Of: "get.p99", In: "b", Beside: "c", Most: "1.2x"}, false, "12.5ms"},
		{Objective{Of: "registered", In: "a", Least: "100%"}, false, "99%"},
		{Objective{Of: "registered", In: "a", Least: "0.9", Most: "99.5%"}, true, "99%"},
		{Objective{Of: "rss", In: "a", Most: "64MiB"}, false, "100.0MiB"},
		{Objective{Of: "get.errors", In: "a", Most: "0"}, true, "0%"},
		{Objective{Of: "command.p50", In: "a", Most: "1h"}, false, "nothing"},
	} {
		if v := c.o.Judge(value); v.Passed != c.passed || v.Measured != c.measured {
			t.Errorf("%+v\n%+v, want %v with %s", c.o, v, c.passed, c.measured)
		}
	}
	v := Objective{Of: "get.p99", In: "b", Beside: "a", Most: "1.2x", Grace: "1ms"}.Judge(value)
	if v.Wanted != "≤ 1.2 x a + 1ms" || v.Ratio != "1.25 x" {
		t.Errorf("it reads %q, %q", v.Wanted, v.Ratio)
	}
}
