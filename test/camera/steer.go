package camera

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Want says how many devices live from now on: the first n of them, all when n is more.
// Those to come begin at the ramp's pace, those beyond take their leave, and may come again.
func (f *Fleet) Want(n int) { f.wanted.Store(int64(min(max(n, 0), len(f.devices)))) }

// SetKeepalive gives every device this interval, and spreads their next keepalives over it;
// 0 ends keepalives.
func (f *Fleet) SetKeepalive(every time.Duration) {
	f.wheel.every.Store(int64(every))
	for _, d := range f.devices {
		d.mu.Lock()
		d.beatEvery = every
		if d.registered {
			d.planBeatLocked()
		}
		d.mu.Unlock()
	}
}

// Refresh has some registered device register again, as before its expiry, and reports
// whether it found one.
func (f *Fleet) Refresh() bool {
	d := f.some()
	if d != nil {
		d.again()
	}
	return d != nil
}

// Alarm has some registered device raise an alarm of one of its channels, and reports
// whether it found one.
func (f *Fleet) Alarm() bool {
	d := f.some()
	if d == nil {
		return false
	}
	raise(d)
	return true
}

// some returns one of the wanted devices by chance; nil when those that it looks at are not
// registered or are silent.
func (f *Fleet) some() *Device {
	n := int(f.wanted.Load())
	for range min(n, 8) {
		if d := f.devices[rand.IntN(n)]; d.Registered() && !d.silent() {
			return d
		}
	}
	return nil
}

const (
	steering = 10 * time.Millisecond // between two looks at what is wanted and due
	dialers  = 64                    // devices that connect at once
)

// live keeps as many devices alive as are wanted, and has happen to them what is to happen,
// until ctx ends.
// It fails when all have tried to begin and none could.
func (f *Fleet) live(ctx context.Context) error {
	var starts sync.WaitGroup
	defer starts.Wait()
	slots := make(chan struct{}, dialers)
	tick := time.NewTicker(steering)
	defer tick.Stop()
	var starting pace
	var happenings happenings
	starting.owed = 1
	living, begun, now := 0, 0, time.Now() // begun: have lived, and may again
	for {
		wanted, may := int(f.wanted.Load()), len(f.devices)
		switch {
		case living >= wanted:
			starting = pace{owed: 1} // the next one begins at once
		case f.cfg.Ramp > 0:
			may = starting.due(now, f.cfg.Ramp)
		}
		for ; living < wanted && may > 0; living, may = living+1, may-1 {
			if living < begun {
				f.devices[living].register(f.devices[living].expires(), nil)
				continue
			}
			begun++
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			d := f.devices[living]
			starts.Go(func() {
				defer func() { <-slots }()
				f.start(ctx, d)
			})
		}
		for ; living > wanted; living-- {
			f.devices[living-1].register(0, func(error) {})
		}
		if first := f.firstFailure.Load(); first != nil && int(f.failed.Load()) == len(f.devices) {
			return fmt.Errorf("none of %d devices could begin: %w", len(f.devices), *first)
		}
		f.happen(&happenings, now, float64(wanted))
		select {
		case <-ctx.Done():
			return nil
		case now = <-tick.C:
		}
	}
}

// pace turns a rate into how many are due at each look. The zero value begins with the
// first look.
type pace struct {
	last time.Time
	owed float64
}

// due returns how many are due at now, at a rate that may differ from one look to the next.
// What a stall left undone is made up for, a second's worth at most.
func (p *pace) due(now time.Time, perSecond float64) int {
	if !p.last.IsZero() {
		p.owed += perSecond * now.Sub(p.last).Seconds()
	}
	p.last = now
	p.owed = min(p.owed, max(perSecond, 1))
	n := int(p.owed)
	p.owed -= float64(n)
	return n
}
