package main

import (
	"context"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/load/scenario"
)

// driver follows a plan in time: it enters its phases, says how many devices are wanted, and
// issues the requests that are due.
type driver struct {
	plan  *scenario.Plan
	enter func(phase, devices int) error // devices: wanted from the beginning
	want  func(devices int)
	issue func(load scenario.Load, phase, devices int)
	gap   func() float64 // between two requests, in parts of the mean: rand.ExpFloat64, as of many callers that know nothing of each other
}

// beat is how often the driver looks at what is due.
const beat = time.Millisecond

// arrivals are the requests of one load: owed grows at its rate, and one is due whenever it
// has grown by the next gap.
type arrivals struct{ owed, gap float64 }

// stalled is how many seconds of requests are made up for after a stall of this program.
const stalled = 1.0

// due returns how many requests are due after a step of so many seconds at a rate.
func (a *arrivals) due(step, perSecond float64, gap func() float64) int {
	a.owed += min(step, stalled) * perSecond
	n := 0
	for ; a.owed >= a.gap; n++ {
		a.owed -= a.gap
		a.gap = gap()
	}
	return n
}

// Run follows the plan from its beginning to its end.
func (d *driver) Run(ctx context.Context) error {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	var loads [scenario.Loads]arrivals
	for i := range loads {
		loads[i].gap = d.gap()
	}
	began, phase := time.Now(), -1
	for now, last := began, began; ; {
		next, levels := d.plan.At(now.Sub(began))
		if next < 0 {
			return nil
		}
		devices := int(levels[scenario.Devices] + .5)
		if next != phase {
			phase = next
			if err := d.enter(phase, devices); err != nil {
				return err
			}
		}
		d.want(devices)
		for load := scenario.Registrations; load < scenario.Loads; load++ {
			for range loads[load].due(now.Sub(last).Seconds(), levels[load], d.gap) {
				d.issue(load, phase, devices)
			}
		}
		last = now
		select {
		case <-ctx.Done():
			return ctx.Err()
		case now = <-tick.C:
		}
	}
}
