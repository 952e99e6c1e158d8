package bridge

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestWishesOfReturnedDevicesTakeTheirPlacesInTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(500)
		took := func(thing string, times int) time.Duration {
			begun := time.Now()
			for range times {
				if err := p.WaitFor(t.Context(), thing); err != nil {
					t.Fatal(err)
				}
			}
			return time.Since(begun)
		}
		if got := took("there", 1000); got != 0 {
			t.Errorf("1000 wishes of a device that was there all the time waited %v", got)
		}
		p.Return("back")
		if got := took("back", 1000); got < 1990*time.Millisecond || got > 2010*time.Millisecond {
			t.Errorf("1000 requests to returned devices took %v at 500 a second", got)
		}
		p.Settle("back")
		if got := took("back", 1000); got != 0 || len(p.returned) != 0 {
			t.Errorf("after its desired state was compared they waited %v, %d things are remembered", got, len(p.returned))
		}
	})
}
