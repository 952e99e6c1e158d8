package faults

import (
	"math/rand/v2"
	"sync"
	"time"
)

// dice decides what becomes of each datagram of one direction, the same for the same seed
// and order.
type dice struct {
	mu sync.Mutex // guards r
	r  *rand.Rand
}

func newDice(seed, direction uint64) *dice { return &dice{r: rand.New(rand.NewPCG(seed, direction))} }

// fate is what becomes of one datagram.
type fate struct {
	lost, reordered, twice bool
	late                   [2]time.Duration // of it and, when it comes twice, of its copy
}

// roll takes the same number of throws whatever f is, so that a change of one fault does
// not change the chances of the others.
func (d *dice) roll(f Faults) fate {
	d.mu.Lock()
	loss, twice, back, first, second := d.r.Float64(), d.r.Float64(), d.r.Float64(), d.r.Float64(), d.r.Float64()
	d.mu.Unlock()
	is := fate{lost: loss < f.Loss, reordered: back < f.Reorder, twice: twice < f.Duplicate}
	for i, chance := range [2]float64{first, second} {
		is.late[i] = f.Delay + time.Duration(chance*float64(f.Jitter))
	}
	if is.reordered {
		is.late[0] += heldBack
	}
	return is
}
