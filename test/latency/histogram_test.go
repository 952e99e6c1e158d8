package latency

import (
	"math"
	"testing"
	"time"
)

func TestQuantilesAreWithinAThirtySecond(t *testing.T) {
	var h Histogram
	for us := 1; us <= 100000; us++ {
		h.Add(time.Duration(us) * time.Microsecond)
	}
	c := h.Counts()
	for q, want := range map[float64]float64{.5: 50000, .95: 95000, .99: 99000, 1: 100000} {
		if got := float64(c.Quantile(q).Microseconds()); math.Abs(got-want)/want > 1.0/32 {
			t.Errorf("quantile %v: %v µs, want %v", q, got, want)
		}
	}
	if c.Total() != 100000 || c.Max() != 100*time.Millisecond {
		t.Errorf("%d counted, at most %v", c.Total(), c.Max())
	}
	for i := range slots - 1 {
		if slot(top(i)) != i || slot(top(i)+1) != i+1 {
			t.Fatalf("slot %d does not end at %d", i, top(i))
		}
	}
}

func TestStretchBetweenTwoLooksStandsAlone(t *testing.T) {
	var h Histogram
	h.Add(time.Hour)
	earlier := h.Counts()
	for range 10 {
		h.Add(10 * time.Millisecond)
	}
	gained := h.Counts().Since(earlier)
	if got := gained.Max(); gained.Total() != 10 || got < 10*time.Millisecond || got > 10*time.Millisecond*33/32 {
		t.Errorf("%d counted, at most %v; want the ten of 10ms alone", gained.Total(), got)
	}
	gained.Add(earlier)
	if gained.Total() != 11 || gained.Max() != time.Hour || gained.Quantile(.5) > 11*time.Millisecond {
		t.Errorf("together %d, at most %v, half below %v", gained.Total(), gained.Max(), gained.Quantile(.5))
	}
	if none := new(Counts); none.Quantile(.99) != 0 || none.Max() != 0 {
		t.Error("nothing counted is not 0")
	}
}
