package main

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/load/scenario"
)

// planned lays out a scenario that is given as YAML.
func planned(t *testing.T, text string) *scenario.Plan {
	t.Helper()
	s, err := scenario.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return scenario.NewPlan(s)
}

func TestDriverRampsHoldsAndDropsInTime(t *testing.T) {
	plan := planned(t, `
name: steps
phases:
  - {name: ramp, for: 10s, devices: {to: 100}, commands: {to: 100}}
  - {name: hold, for: 10s, alarms: 2}
  - {name: drop, for: 10s, devices: 5, commands: 0, alarms: 0, shadow_gets: 1}
`)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		issued := make(map[scenario.Load]map[int]int) // by load and by second
		var entered []time.Duration
		wanted := make(map[int]int) // by second, the last
		d := driver{plan: plan, gap: func() float64 { return 1 },
			enter: func(int, int) error { entered = append(entered, time.Since(began)); return nil },
			want:  func(devices int) { wanted[int(time.Since(began).Seconds())] = devices },
			issue: func(load scenario.Load, _, _ int) {
				if issued[load] == nil {
					issued[load] = make(map[int]int)
				}
				issued[load][int(time.Since(began).Seconds())]++
			},
		}
		if err := d.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("took %v, want 30s", took)
		}
		if want := []time.Duration{0, 10 * time.Second, 20 * time.Second}; !slices.Equal(entered, want) {
			t.Errorf("phases entered at %v, want %v", entered, want)
		}
		for second, want := range map[int]int{0: 10, 4: 50, 9: 100, 15: 100, 20: 5, 29: 5} {
			if wanted[second] != want {
				t.Errorf("%d devices wanted in second %d, want %d", wanted[second], second, want)
			}
		}
		for _, c := range []struct {
			load           scenario.Load
			second, lo, hi int
		}{
			{scenario.Commands, 0, 4, 6}, {scenario.Commands, 4, 43, 47}, {scenario.Commands, 9, 93, 97}, {scenario.Commands, 15, 99, 101},
			{scenario.Commands, 25, 0, 0}, {scenario.Alarms, 5, 0, 0}, {scenario.Alarms, 15, 1, 3}, {scenario.ShadowGets, 25, 1, 1}, {scenario.HotGets, 25, 0, 0},
		} {
			if n := issued[c.load][c.second]; n < c.lo || n > c.hi {
				t.Errorf("load %d: %d requests in second %d, want %d to %d", c.load, n, c.second, c.lo, c.hi)
			}
		}
	})
}

func TestDriverEndsWithAPhaseThatCannotBegin(t *testing.T) {
	fault := errors.New("no such fault here")
	d := driver{plan: planned(t, "name: x\nphases: [{name: a, for: 1h}]"), enter: func(int, int) error { return fault }, gap: rand.ExpFloat64}
	if err := d.Run(t.Context()); !errors.Is(err, fault) {
		t.Errorf("got %v", err)
	}
}

func TestArrivalsKeepTheirRateAndComeByChance(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	a := arrivals{gap: r.ExpFloat64()}
	const seconds, rate, step = 100, 50, .001
	var seen, empty int
	for range int(seconds / step / 20) { // in pieces of 20 ms, in which one is due in the mean
		n := 0
		for range 20 {
			n += a.due(step, rate, r.ExpFloat64)
		}
		if seen += n; n == 0 {
			empty++
		}
	}
	if math.Abs(float64(seen)/(seconds*rate)-1) > .05 {
		t.Errorf("%d came in %d s at %d/s", seen, seconds, rate)
	}
	if share := float64(empty) / (seconds * rate); math.Abs(share-1/math.E) > .03 {
		t.Errorf("a share of %.3f of the pieces had none, want 1/e as by chance", share)
	}
	if n := a.due(3600, rate, func() float64 { return 1 }); n > rate+5 {
		t.Errorf("%d were due after a stall of an hour, want a second's worth", n)
	}
}
