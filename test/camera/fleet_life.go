package camera

import (
	"math/rand/v2"
	"time"
)

// happenings are the paces of what devices do by themselves.
type happenings struct{ alarms, events, positions pace }

// happen has done what is due at now among so many devices.
func (f *Fleet) happen(h *happenings, now time.Time, devices float64) {
	for range h.alarms.due(now, f.cfg.Alarms/60*devices) {
		f.Alarm()
	}
	for range h.events.due(now, f.cfg.Events/60*devices) {
		if d := f.some(); d != nil {
			flicker(d)
		}
	}
	if f.cfg.Position == 0 {
		return
	}
	for range h.positions.due(now, devices/f.cfg.Position.Seconds()) {
		if d := f.some(); d != nil {
			d.position(nil, nil)
		}
	}
}

// alarmTypes counts the types of each method that has some; the 13th of video is of 2022
// [GB28181-2022 A.2.5.3].
var alarmTypes = map[int]int{2: 5, 5: 12, 6: 2}

// raise has one of d's channels, or d, raise some alarm: in the subscription where there is
// one, else by MESSAGE.
func raise(d *Device) {
	a := Alarm{Method: []int{2, 5, 5, 5, 6}[rand.IntN(5)], Priority: 1 + rand.IntN(4), Description: "simulated"}
	a.Type = 1 + rand.IntN(alarmTypes[a.Method])
	if channels := d.channels(); len(channels) > 0 {
		a.Channel = channels[rand.IntN(len(channels))].ID
	}
	if s := d.subscribed("Alarm"); s != nil {
		a.Notify = d.wants(s, a)
	}
	d.alarm(a, nil)
}

// flicker has one of d's channels come on, where it is off, or go off for one of the reasons
// that there are.
func flicker(d *Device) {
	channels := d.channels()
	if len(channels) == 0 {
		return
	}
	c := Change{Event: "ON", Channel: channels[rand.IntN(len(channels))]}
	if c.Channel.Status == "ON" {
		c.Event = []string{"OFF", "VLOST", "DEFECT"}[rand.IntN(3)]
	}
	d.changeCatalog([]Change{c}, func(reply) {}) // unheard where nobody has subscribed: the catalogue tells it
}
