package main

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"github.com/gb2mqtt/gb2mqtt/test/load/measure"
)

// puppet is a device whose signs of life a test makes.
type puppet struct {
	last   time.Time
	silent bool
}

func (p *puppet) LastSign() time.Time   { return p.last }
func (p *puppet) SetSilent(silent bool) { p.silent = silent }

func TestPresenceIsMeasuredAgainstTheMomentTheRuleNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatcher(10 * time.Second)
		dumb, lively, unborn := &puppet{last: time.Now()}, &puppet{last: time.Now()}, &puppet{}
		w.add("1", dumb)
		w.add("2", lively)
		w.add("3", unborn)
		w.now.Store(new(measure.Recorder))
		w.setSilent("1", true)
		w.setSilent("3", true)
		if !dumb.silent || lively.silent {
			t.Fatal("the wrong device is silent")
		}
		tell := func(id, presence string, retained bool) {
			w.received(&paho.Publish{Topic: "gb28181/" + id + "/presence", Payload: []byte(presence), Retain: retained})
		}
		tell("1", "unknown", true) // of before
		time.Sleep(15*time.Second + 40*time.Millisecond)
		for _, id := range []string{"1", "2", "3", "4"} {
			tell(id, "unknown", false)
		}
		tell("1", "online", false)
		if k := w.total.Look().Over(time.Second); k.Answered != 1 || k.Max < .040 || k.Max > .042 {
			t.Errorf("unknown 40ms late: %+v", k)
		}
		time.Sleep(15*time.Second - 140*time.Millisecond)
		tell("1", "offline", false)
		if k := w.now.Load().Look().Over(time.Second); k.Answered != 2 || k.Max < .100 || k.Max > .104 {
			t.Errorf("offline 100ms early: %+v", k)
		}
	})
}
