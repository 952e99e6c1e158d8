package faults

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestChanceKeepsItsShares(t *testing.T) {
	f := Faults{Loss: .1, Duplicate: .2, Reorder: .3, Delay: 10 * time.Millisecond, Jitter: 20 * time.Millisecond}
	const rolls = 20000
	var lost, twice, back float64
	var sum time.Duration
	d := newDice(7, 1)
	for range rolls {
		is := d.roll(f)
		if is.lost {
			lost++
		}
		if is.twice {
			twice++
		}
		least := f.Delay
		if is.reordered {
			back++
			least += heldBack
		}
		if is.late[0] < least || is.late[0] > least+f.Jitter || is.late[1] < f.Delay || is.late[1] > f.Delay+f.Jitter {
			t.Fatalf("late by %v, want %v to %v", is.late, least, least+f.Jitter)
		}
		sum += is.late[1]
	}
	for name, pair := range map[string][2]float64{"lost": {lost, .1}, "twice": {twice, .2}, "reordered": {back, .3}} {
		if got := pair[0] / rolls; math.Abs(got-pair[1]) > .01 {
			t.Errorf("%s: a share of %.3f, want %v", name, got, pair[1])
		}
	}
	if mean := sum / rolls; mean < 19*time.Millisecond || mean > 21*time.Millisecond {
		t.Errorf("late by %v in the mean, want 20ms", mean)
	}
}

func TestSameSeedIsTheSameNetwork(t *testing.T) {
	f := Faults{Loss: .5, Duplicate: .5, Reorder: .5, Jitter: time.Second}
	one, same, other := newDice(3, 1), newDice(3, 1), newDice(4, 1)
	differs := false
	for i := range 100 {
		a, b, c := one.roll(f), same.roll(f), other.roll(f)
		if a != b {
			t.Fatalf("roll %d: %+v and %+v of the same seed", i, a, b)
		}
		differs = differs || a != c
	}
	if !differs {
		t.Error("another seed is no other chance")
	}
}

func TestFaultsOutOfRangeAreNamed(t *testing.T) {
	err := Faults{Loss: 2, Duplicate: -1, Reorder: math.NaN(), Delay: -1, Jitter: time.Hour}.Validate()
	if err == nil {
		t.Fatal("nothing was complained about")
	}
	for _, want := range []string{"loss 2", "duplicate -1", "reorder NaN", "delay -1ns", "jitter 1h0m0s"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
	if err := (Faults{Loss: 1, Cut: true, Delay: time.Second}).Validate(); err != nil {
		t.Errorf("sane faults: %v", err)
	}
}
