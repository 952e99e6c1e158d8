package camera

import (
	"context"
	"math"
	"slices"
	"strconv"
	"time"
)

// Position tells where the device is, or its channels are: as a NOTIFY in the subscription to
// positions, as a MESSAGE where there is none. Without places it tells Config.Places. It
// returns the code of the answer.
func (d *Device) Position(ctx context.Context, places ...Place) (code int, err error) {
	r, err := d.wait(ctx, func(done func(reply)) { d.position(places, done) })
	return r.code(), err
}

// position tells places; done may be nil.
func (d *Device) position(places []Place, done func(reply)) {
	if len(places) == 0 {
		places = d.places()
	}
	if len(places) == 0 {
		if done != nil {
			done(reply{err: ErrNotSubscribed})
		}
		return
	}
	d.inform("MobilePosition", KindPosition, d.placesBody(strconv.Itoa(d.NextSN()), places), done)
}

// places is where everything of the device is now.
func (d *Device) places() []Place {
	if d.cfg.Places != nil {
		return d.cfg.Places(time.Now())
	}
	return []Place{d.place(d.cfg.ID, time.Now())}
}

// tellPlaces notifies s of where everything is.
func (d *Device) tellPlaces(s *subscription) {
	places := d.places()
	if len(places) == 0 {
		d.push(s, notice{kind: KindNotify})
		return
	}
	d.push(s, notice{kind: KindPosition, body: d.placesBody(strconv.Itoa(d.NextSN()), places)})
}

// placesBody is a MobilePosition: a list where the edition has one or it takes one, else flat
// [GB28181-2022 A.2.5.6].
func (d *Device) placesBody(sn string, places []Place) string {
	places = slices.Clone(places)
	for i := range places {
		orDefault(&places[i].Channel, d.cfg.ID)
		if places[i].Time.IsZero() {
			places[i].Time = time.Now()
		}
	}
	at := tag("Time", clockTime(places[0].Time))
	if d.cfg.GBVersion < "3" && len(places) == 1 {
		return frame("Notify", "MobilePosition", sn, places[0].Channel, append([]string{at}, places[0].fields()...)...)
	}
	items := make([]string, len(places))
	for i, p := range places {
		items[i] = group("Item", append([]string{tag("DeviceID", p.Channel), tag("CaptureTime", clockTime(p.Time))}, p.fields()...)...)
	}
	return frame("Notify", "MobilePosition", sn, d.cfg.ID, append([]string{at}, counted("DeviceList", items)...)...)
}

// ptzInterval is how often a subscriber of PTZ positions is told of those that have changed.
const ptzInterval = time.Second

// tellPTZ notifies s of each camera that looks elsewhere than s was told last.
func (d *Device) tellPTZ(s *subscription) {
	var bodies []string
	d.mu.Lock()
	if s.told == nil {
		s.told = map[string][3]float64{s.subject: {math.NaN()}} // the first is told in any case
		d.state.target(s.subject)
	}
	ids := make([]string, 0, len(d.state.targets))
	for id := range d.state.targets {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		t := d.state.target(id)
		now := [3]float64{t.Pan, t.Tilt, t.Zoom}
		before, known := s.told[id]
		if !known {
			before = [3]float64{0, 0, zoomLeast}
		}
		if now == before {
			continue
		}
		s.told[id] = now
		d.sn++
		bodies = append(bodies, frame("Notify", "PTZPosition", strconv.Itoa(int(d.sn)), id, t.view()...))
	}
	d.mu.Unlock()
	for _, body := range bodies {
		d.push(s, notice{kind: KindNotify, body: body})
	}
}
