package main

import (
	"context"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
	"github.com/gb2mqtt/gb2mqtt/test/load/scenario"
)

// driver follows a plan in time: it enters its phases, says how many devices are wanted, and
// issues the requests that are due.
type driver struct {
	plan  *scenario.Plan
	enter func(phase, devices int) error // devices: wanted from the beginning
	want  func(devices int)
	issue func(load scenario.Load, phase, devices int)
}

// beat is how often the driver looks at what is due.
const beat = 5 * time.Millisecond

// Run follows the plan from its beginning to its end.
func (d *driver) Run(ctx context.Context) error {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	var paces [scenario.Loads]camera.Pace
	began, phase := time.Now(), -1
	for now := began; ; {
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
			for range paces[load].Due(now, levels[load]) {
				d.issue(load, phase, devices)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case now = <-tick.C:
		}
	}
}
