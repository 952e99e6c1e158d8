package command

import (
	"sync"
	"testing"
	"time"
)

// Old cameras manage one request at a time; how many each takes can't be seen from here.
func TestADeviceThatTakesOneCommandAtATimeGetsOne(t *testing.T) {
	for inflight, want := range map[int]int{0: 4, 1: 1, 2: 2} {
		story(t, Default(), func(t *testing.T, d *device) {
			d.peer.Inflight, d.rtt = inflight, time.Second
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					if _, why := d.do(cam, "reboot", ""); why != nil {
						t.Error(why)
					}
				})
			}
			all.Wait()
			if d.most != want {
				t.Errorf("inflight %d: %d went at once, want %d", inflight, d.most, want)
			}
		})
	}
}
