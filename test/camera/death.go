package camera

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Death says which share of a fleet falls silent for good, and when. As text it is 0.1, for
// each at a moment of its own, or 0.1@30s, for all of them so long after their start.
type Death struct {
	Share float64       // 0…1
	At    time.Duration // 0: each at some moment of the fleet's Duration, or of 5 minutes
}

// String is what Set reads.
func (d Death) String() string {
	share := strconv.FormatFloat(d.Share, 'f', -1, 64)
	if d.At == 0 {
		return share
	}
	return share + "@" + d.At.String()
}

// Type names it in a program's help.
func (Death) Type() string { return "share[@time]" }

// Set reads SHARE or SHARE@TIME.
func (d *Death) Set(text string) error {
	share, at, timed := strings.Cut(text, "@")
	v, err := strconv.ParseFloat(share, 64)
	var after time.Duration
	if err == nil && timed {
		after, err = time.ParseDuration(at)
	}
	if err != nil || v < 0 || v > 1 || after < 0 || timed && after == 0 {
		return fmt.Errorf("use a share between 0 and 1, such as 0.1, or with a time, such as 0.1@30s")
	}
	*d = Death{v, after}
	return nil
}

// dyingTime spreads deaths when the fleet has no Duration.
const dyingTime = 5 * time.Minute

// planDeath makes an appointment for d's death when it is one of those that die.
func (f *Fleet) planDeath(d *Device) {
	if rand.Float64() >= f.cfg.Die.Share {
		return
	}
	after := f.cfg.Die.At
	if after == 0 {
		within := f.cfg.Duration
		orDefault(&within, dyingTime)
		after = time.Duration(rand.Float64() * float64(within))
	}
	d.clock.after(after, func() { f.die(d) })
}

// die silences d unless it is silent already.
func (f *Fleet) die(d *Device) bool {
	if !d.silence.CompareAndSwap(false, true) {
		return false
	}
	f.dead.Add(1)
	return true
}

// Die silences a share of the living devices at once, at least one of them, and returns how
// many died.
func (f *Fleet) Die(share float64) int {
	var living []*Device
	for _, d := range f.devices {
		if !d.silence.Load() {
			living = append(living, d)
		}
	}
	rand.Shuffle(len(living), func(i, j int) { living[i], living[j] = living[j], living[i] })
	died := 0
	for _, d := range living[:min(len(living), max(1, int(share*float64(len(living)))))] {
		if f.die(d) {
			died++
		}
	}
	return died
}

// Revive lets all dead devices speak and hear again, and returns how many there were. They
// believe that they are registered, until they are told otherwise.
func (f *Fleet) Revive() int {
	revived := 0
	for _, d := range f.devices {
		if d.silence.CompareAndSwap(true, false) {
			f.dead.Add(-1)
			revived++
		}
	}
	return revived
}
