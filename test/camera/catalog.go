package camera

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Change is what a notification about the catalogue tells of one channel
// [GB28181-2022 N.2]. ADD and UPDATE carry the whole channel, the others its ID alone.
type Change struct {
	Event   string // ON, OFF, VLOST, DEFECT, ADD, DEL or UPDATE
	Channel Channel
}

// Channels returns the catalogue as it is now.
func (d *Device) Channels() []Channel { return slices.Clone(d.channels()) }

// channels returns the catalogue, which is replaced as a whole and never written to.
func (d *Device) channels() []Channel {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cfg.Channels
}

// knows reports whether id is the device or something of its catalogue, now or before.
func (d *Device) knows(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state.known[id]
}

// ids returns all that knows knows.
func (d *Device) ids() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Keys(d.state.known))
}

// SetChannels replaces the catalogue without telling anybody: what a platform that missed a
// notification does not know.
func (d *Device) SetChannels(channels ...Channel) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cfg.Channels = slices.Clone(channels)
	for i := range d.cfg.Channels {
		orDefault(&d.cfg.Channels[i].Status, "ON")
	}
	d.learnLocked(d.cfg.Channels...)
}

// learnLocked has requests for channels answered.
func (d *Device) learnLocked(channels ...Channel) {
	for _, c := range channels {
		if !d.state.known[c.ID] {
			d.state.known[c.ID] = true
			if d.hub != nil && d.link != nil {
				d.hub.learn(d.link, c.ID, d)
			}
		}
	}
}

// ChangeCatalog changes the catalogue and notifies who has subscribed to it, in as many
// NOTIFYs as CatalogPerPacket makes necessary. It returns the first code that is not 200;
// ErrNotSubscribed says that the catalogue has changed and nobody was told.
func (d *Device) ChangeCatalog(ctx context.Context, changes ...Change) (code int, err error) {
	r, err := d.wait(ctx, func(done func(reply)) { d.changeCatalog(changes, done) })
	return r.code(), err
}

func (d *Device) changeCatalog(changes []Change, done func(reply)) {
	if err := d.applyChanges(changes); err != nil {
		done(reply{err: err})
		return
	}
	s := d.subscribed("Catalog")
	if s == nil {
		done(reply{err: ErrNotSubscribed})
		return
	}
	d.pushChanges(s, changes, done)
}

// pushChanges notifies s of changes; done is told the first failure, or the last success.
func (d *Device) pushChanges(s *subscription, changes []Change, done func(reply)) {
	pages := slices.Collect(slices.Chunk(changes, d.cfg.CatalogPerPacket))
	failed := false // one NOTIFY at a time is on its way
	for i, page := range pages {
		items := make([]string, len(page))
		for n, c := range page {
			items[n] = d.changed(c)
		}
		body := frame("Notify", "Catalog", strconv.Itoa(d.NextSN()), s.subject, counted("DeviceList", items)...) // SumNum is of this packet
		d.push(s, notice{kind: KindCatalog, body: body, done: func(r reply) {
			switch {
			case failed:
			case r.code() != 200:
				failed = true
				done(r)
			case i == len(pages)-1:
				done(r)
			}
		}})
	}
}

// changed is one item of a notification.
func (d *Device) changed(c Change) string {
	event := tag("Event", c.Event)
	if c.Event != "ADD" && c.Event != "UPDATE" {
		return group("Item", tag("DeviceID", c.Channel.ID)+event)
	}
	return strings.TrimSuffix(d.item(c.Channel), "</Item>\r\n") + event + "</Item>\r\n"
}

// applyChanges brings the catalogue in line with what is told of it.
func (d *Device) applyChanges(changes []Change) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	channels := slices.Clone(d.cfg.Channels)
	for i := range changes {
		c := &changes[i].Channel
		at := slices.IndexFunc(channels, func(have Channel) bool { return have.ID == c.ID })
		event := changes[i].Event
		switch {
		case event == "ADD" || event == "UPDATE":
			orDefault(&c.Status, "ON")
			if at < 0 {
				channels = append(channels, *c)
			} else {
				channels[at] = *c
			}
			d.learnLocked(*c)
		case at < 0: // of a channel that the catalogue does not have: said all the same
		case event == "DEL":
			channels = slices.Delete(channels, at, at+1)
		case slices.Contains([]string{"ON", "OFF", "VLOST", "DEFECT"}, event):
			channels[at].Status = event
		default:
			return fmt.Errorf("camera %s: catalogue event %q; ON, OFF, VLOST, DEFECT, ADD, DEL and UPDATE are known", d.cfg.ID, event)
		}
	}
	d.cfg.Channels = channels
	return nil
}

// tellFaults notifies s of the channels whose status is not ON; false: there is none.
func (d *Device) tellFaults(s *subscription) bool {
	var faults []Change
	for _, c := range d.channels() {
		if c.Status != "ON" && c.camera() {
			faults = append(faults, Change{Event: c.Status, Channel: c})
		}
	}
	if len(faults) == 0 {
		return false
	}
	d.pushChanges(s, faults, func(reply) {})
	return true
}
