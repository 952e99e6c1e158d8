package camera

import (
	"context"
	"sync/atomic"
	"time"
)

// wheel sends the keepalives of a fleet whose devices have one interval: each has its place
// on it, evenly spread, and the wheel turns once in the interval. A device costs it nothing;
// one whose interval has become another makes appointments of its own.
type wheel struct {
	every   atomic.Int64 // nanoseconds of a turn; 0: it stands still
	devices []*Device
}

// interval is what a device keeps that has its place on the wheel.
func (w *wheel) interval() time.Duration { return time.Duration(w.every.Load()) }

// wheelTick is how often the wheel moves on.
const wheelTick = 20 * time.Millisecond

// run turns the wheel until ctx ends.
func (w *wheel) run(ctx context.Context) {
	tick := time.NewTicker(wheelTick)
	defer tick.Stop()
	var turns pace
	next := 0
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			var perSecond float64
			if every := w.interval(); every > 0 {
				perSecond = float64(len(w.devices)) / every.Seconds()
			}
			for range turns.due(now, perSecond) {
				w.devices[next].turn()
				next = (next + 1) % len(w.devices)
			}
		}
	}
}

// turn is the moment at which the wheel has come to d's place.
func (d *Device) turn() {
	d.mu.Lock()
	live := d.onWheel && d.wanted && !d.closed && !d.silentLocked()
	d.mu.Unlock()
	if live {
		d.keepalive(nil)
	}
}
