package command

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping"
)

// stops returns how many of the requests are the stop of name, and when the first came.
func (d *device) stops(name string) (n int, first time.Time) {
	stop := d.parse(channel, name, map[string]string{"ptz": `{"pan":0}`, "focus": `{"speed":0}`}[name])
	for _, s := range d.requests() {
		if s.body == string(stop.Encode(s.sn, channel, mapping.Peer{})) {
			if n++; n == 1 {
				first = s.at
			}
		}
	}
	return n, first
}

func TestTheBridgeStopsAMovementAfterItsDuration(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		begun := time.Now()
		if _, why := d.do(channel, "ptz", `{"pan":100,"duration_ms":1500}`); why != nil {
			t.Fatal(why)
		}
		time.Sleep(10 * time.Second)
		n, first := d.stops("ptz")
		if n != 2 || first.Sub(begun) != 1500*time.Millisecond {
			t.Errorf("%d stops, the first after %v; want 2 after 1.5s", n, first.Sub(begun))
		}
	})
}

func TestAMovementThatNobodyStopsEndsAtTheBackstop(t *testing.T) {
	for _, c := range []struct{ name, args string }{{"ptz", `{"zoom":3}`}, {"focus", `{"speed":9}`}} {
		story(t, Default(), func(t *testing.T, d *device) {
			d.do(channel, c.name, c.args)
			time.Sleep(20 * time.Second)
			again := time.Now()
			d.do(channel, c.name, c.args) // the backstop begins anew
			time.Sleep(time.Minute)
			n, first := d.stops(c.name)
			if n != 2 || first.Sub(again) != 30*time.Second {
				t.Errorf("%s: %d stops, the first after %v; want 2 after 30s", c.name, n, first.Sub(again))
			}
		})
	}
}

func TestAStopIsSentTwice(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		d.do(channel, "ptz", `{"tilt":5}`)
		d.do(channel, "ptz", `{"tilt":0}`)
		time.Sleep(time.Minute)
		if n, _ := d.stops("ptz"); n != 2 || len(d.requests()) != 3 {
			t.Errorf("%d stops among %d requests, want 2 of 3", n, len(d.requests()))
		}
	})
}

func TestTheSecondStopDoesNotHaltANewMovement(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		d.do(channel, "ptz", `{"pan":0}`)
		d.do(channel, "ptz", `{"pan":7}`)
		time.Sleep(20 * time.Second)
		if n, _ := d.stops("ptz"); n != 1 {
			t.Errorf("%d stops before the backstop, want the user's alone", n)
		}
	})
}

func TestALostMovementIsStoppedARefusedOneNot(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		d.set(func(d *device) { d.err, d.rtt = sip.ErrTimeout, 4*time.Second })
		d.do(channel, "ptz", `{"pan":7,"duration_ms":6000}`)
		d.set(func(d *device) { d.err, d.rtt = nil, 10*time.Millisecond })
		time.Sleep(time.Minute)
		if n, _ := d.stops("ptz"); n != 2 {
			t.Errorf("%d stops after a movement of which nobody knows, want 2", n)
		}
		d.set(func(d *device) { d.code = 404 })
		d.do(channel, "ptz", `{"pan":7,"duration_ms":6000}`)
		time.Sleep(time.Minute)
		if n, _ := d.stops("ptz"); n != 2 {
			t.Errorf("%d stops in all after a movement that the camera refused, want 2", n)
		}
	})
}

func TestTheEndStopsEveryCameraThatMoves(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		d.do(channel, "ptz", `{"pan":7}`)
		d.do(channel, "focus", `{"speed":7}`)
		d.stop()
		<-d.ended
		synctest.Wait()
		ptz, _ := d.stops("ptz")
		focus, _ := d.stops("focus")
		if ptz != 2 || focus != 2 {
			t.Errorf("%d and %d stops, want 2 of each", ptz, focus)
		}
	})
}

func TestTheEndDoesNotWaitForADeadCamera(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		d.do(channel, "ptz", `{"pan":7}`)
		d.set(func(d *device) { d.err, d.rtt = sip.ErrTimeout, 4*time.Second })
		begun := time.Now()
		d.stop()
		<-d.ended
		if took := time.Since(begun); took > stopTimeout {
			t.Errorf("took %v", took)
		}
	})
}
