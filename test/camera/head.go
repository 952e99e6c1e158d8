package camera

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// What a camera sees at zoom 1, in degrees, and how far, in metres [GB28181-2022 A.2.6.15].
const (
	horizontalView = 58.2
	verticalView   = 34.1
	viewDistance   = 200.0
)

// applyPTZ moves the camera, or keeps what it is told about presets, cruises and scans.
func applyPTZ(_ *Device, r *Request, e *element, t *Target) error {
	c, err := decodePTZ(e.text)
	if err != nil {
		return err
	}
	switch c.Group {
	case "move":
		t.pan, t.tilt, t.zoom = c.Pan, c.Tilt, c.Zoom
		t.Moving = c.Pan != 0 || c.Tilt != 0 || c.Zoom != 0
		t.Cruise, t.Scan = -1, -1 // a movement, and a stop, end both [GB28181-2022 A.3]
	case "focus":
		t.Focus, t.Iris = c.Focus, c.Iris
	case "preset":
		return t.preset(c, r.Element("PTZCmdParams", "PresetName"))
	case "cruise":
		return t.cruise(c, r.Element("PTZCmdParams", "CruiseTrackName"))
	case "scan":
		return t.scan(c)
	case "aux":
		if t.Aux == nil {
			t.Aux = make(map[int]bool)
		}
		t.Aux[c.Number] = c.Action == "on"
	}
	return nil
}

// preset sets, calls or deletes one. Calling one that is not set fails.
func (t *Target) preset(c ptzCommand, name string) error {
	p, set := t.Presets[c.Number]
	switch {
	case c.Number == 0:
		return fmt.Errorf("preset 0 is reserved; 1…255 are wanted")
	case c.Action == "set":
		if t.Presets == nil {
			t.Presets = make(map[int]Preset)
		}
		orDefault(&name, "Preset "+strconv.Itoa(c.Number))
		t.Presets[c.Number] = Preset{name, t.Pan, t.Tilt, t.Zoom}
	case c.Action == "delete":
		delete(t.Presets, c.Number)
	case !set:
		return fmt.Errorf("preset %d is not set", c.Number)
	default:
		t.Moving, t.Preset = false, c.Number
		t.Pan, t.Tilt, t.Zoom = p.Pan, p.Tilt, p.Zoom
	}
	return nil
}

// pointsMost bounds the points of a cruise.
const pointsMost = 255

// A cruise that was told neither stays so long at a preset and goes so fast to the next.
const (
	usualStay  = 10 // seconds
	usualSpeed = 5
)

// cruise keeps the points of a group, how long it stays at them and how fast it goes, and
// which group runs.
func (t *Target) cruise(c ptzCommand, name string) error {
	g, there := t.Cruises[c.Number]
	if t.Cruises == nil {
		t.Cruises = make(map[int]Cruise)
	}
	if !there {
		g = Cruise{Stay: usualStay, Speed: usualSpeed}
	}
	if name != "" {
		g.Name = name
	}
	orDefault(&g.Name, "Track "+strconv.Itoa(c.Number))
	switch c.Action {
	case "add":
		if c.Value == 0 || len(g.Presets) == pointsMost {
			return fmt.Errorf("cruise %d: preset %d after %d points; presets 1…255 and at most %d points are wanted", c.Number, c.Value, len(g.Presets), pointsMost)
		}
		g.Presets = append(slices.Clone(g.Presets), c.Value)
	case "delete":
		left := slices.DeleteFunc(slices.Clone(g.Presets), func(p int) bool { return p == c.Value })
		if c.Value == 0 || len(left) == 0 {
			delete(t.Cruises, c.Number)
			return nil
		}
		g.Presets = left
	case "speed":
		g.Speed = c.Value
	case "dwell":
		g.Stay = c.Value
	case "start":
		if len(g.Presets) == 0 {
			return fmt.Errorf("cruise %d has no points", c.Number)
		}
		t.Cruise, t.Scan = c.Number, -1
	}
	t.Cruises[c.Number] = g
	return nil
}

// scan keeps the limits and the speed of a group, and which group runs.
func (t *Target) scan(c ptzCommand) error {
	if t.Scans == nil {
		t.Scans = make(map[int]Scan)
	}
	s := t.Scans[c.Number]
	switch c.Action {
	case "left":
		s.Left = t.Pan
	case "right":
		s.Right = t.Pan
	case "speed":
		s.Speed = c.Value
	case "start":
		t.Scan, t.Cruise = c.Number, -1
	}
	t.Scans[c.Number] = s
	return nil
}

func applyHome(d *Device, _ *Request, e *element, t *Target) error {
	h := t.Home
	enabled := 0
	err := errors.Join(e.number("Enabled", 0, 1, true, &enabled),
		e.number("ResetTime", 0, 86400, false, &h.ResetTime), e.number("PresetIndex", 0, 255, false, &h.PresetIndex))
	if err != nil {
		return err
	}
	if d.cfg.has(HomeCmdType) {
		return nil
	}
	h.Enabled = enabled == 1
	t.Home = h
	return nil
}

func applyPrecise(d *Device, _ *Request, e *element, t *Target) error {
	pan, tilt, zoom := t.Pan, t.Tilt, t.Zoom
	for name, to := range map[string]*float64{"Pan": &pan, "Tilt": &tilt, "Zoom": &zoom} {
		if text := e.child(name); text != "" {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return fmt.Errorf("PTZPreciseCtrl %s %q is no number", name, text)
			}
			*to = v
		}
	}
	if pan < 0 || pan > 360 {
		return fmt.Errorf("PTZPreciseCtrl Pan %v: 0…360 is wanted", pan)
	}
	if !d.cfg.has(PTZUnknown) {
		t.look(pan, tilt, zoom)
	}
	return nil
}

// look turns the camera there, or to where its mechanics end.
func (t *Target) look(pan, tilt, zoom float64) {
	t.Moving = false
	t.Pan, t.Tilt, t.Zoom = wrap(pan), min(max(tilt, tiltLeast), tiltMost), min(max(zoom, zoomLeast), zoomMost)
}

// pixelsMost bounds what a rectangle on a picture may name.
const pixelsMost = 65535

// area reads a rectangle on a picture; all of it is mandatory [GB28181-2022 A.2.3.1.8].
func (e *element) area() (Area, error) {
	var a Area
	err := errors.Join(e.number("Length", 1, pixelsMost, true, &a.Length), e.number("Width", 1, pixelsMost, true, &a.Width),
		e.number("MidPointX", 0, pixelsMost, true, &a.MidPointX), e.number("MidPointY", 0, pixelsMost, true, &a.MidPointY),
		e.number("LengthX", 1, pixelsMost, true, &a.LengthX), e.number("LengthY", 1, pixelsMost, true, &a.LengthY))
	return a, err
}

// applyDrag centres the picture on a rectangle and zooms so that it fills the picture, or
// so that the picture shrinks into it.
func applyDrag(_ *Device, _ *Request, e *element, t *Target) error {
	a, err := e.area()
	if err != nil {
		return err
	}
	times := min(float64(a.Length)/float64(a.LengthX), float64(a.Width)/float64(a.LengthY))
	if e.name == "DragZoomOut" {
		times = 1 / times
	}
	pan := t.Pan + (float64(a.MidPointX)/float64(a.Length)-0.5)*horizontalView/t.Zoom
	tilt := t.Tilt + (float64(a.MidPointY)/float64(a.Width)-0.5)*verticalView/t.Zoom
	t.look(pan, tilt, t.Zoom*times)
	return nil
}

// applyTrack follows something by itself: what moves, what is in an area, or nothing any
// more [GB28181-2022 A.2.3.1.14].
func applyTrack(_ *Device, r *Request, e *element, t *Target) error {
	if _, err := oneOf(e, "Auto", "Manual", "Stop"); err != nil {
		return err
	}
	track := Tracking{Mode: e.text, DeviceID2: r.Element("DeviceID2")}
	if area := r.tree.find("TargetArea"); area != nil {
		a, err := area.area()
		if err != nil {
			return err
		}
		track.Area = a
	} else if e.text == "Manual" {
		return errors.New("TargetTrack Manual: a TargetArea is wanted")
	}
	t.Track = track
	return nil
}

func (d *Device) answerPresets(r *Request) {
	presets := d.Channel(r.DeviceID).Presets
	var items []string
	for _, id := range slices.Sorted(maps.Keys(presets)) {
		items = append(items, group("Item", tag("PresetID", strconv.Itoa(id)), tag("PresetName", presets[id].Name)))
	}
	d.respond(r, counted("PresetList", items)...)
}

func (d *Device) answerHome(r *Request) {
	if d.cfg.has(PTZUnknown) {
		d.respond(r, tag("Result", "ERROR"), tag("Reason", "Cann't get home position"))
		return
	}
	h := d.Channel(r.DeviceID).Home
	d.respond(r, group("HomePosition", tag("Enabled", digit(h.Enabled)), tag("ResetTime", strconv.Itoa(h.ResetTime)),
		tag("PresetIndex", strconv.Itoa(h.PresetIndex))))
}

func (d *Device) answerPosition(r *Request) {
	if d.cfg.has(PTZUnknown) {
		d.respond(r, tag("Result", "ERROR"), tag("Reason", "Cann't get ptz position"))
		return
	}
	d.respond(r, d.Channel(r.DeviceID).view()...)
}

// view writes where a camera looks.
func (t Target) view() []string {
	two := func(v float64) string { return fixed(v, 2) }
	return []string{tag("Pan", two(t.Pan)), tag("Tilt", two(t.Tilt)), tag("Zoom", two(t.Zoom)),
		tag("HorizontalFieldAngle", two(horizontalView/t.Zoom)), tag("VerticalFieldAngle", two(verticalView/t.Zoom)),
		tag("MaxViewDistance", decimal(viewDistance))}
}

func (d *Device) answerTracks(r *Request) {
	cruises := d.Channel(r.DeviceID).Cruises
	var items []string
	for _, n := range slices.Sorted(maps.Keys(cruises)) {
		items = append(items, group("CruiseTrack", tag("Number", strconv.Itoa(n)), tag("Name", cruises[n].Name)))
	}
	d.respond(r, counted("CruiseTrackList", items)...)
}

func (d *Device) answerTrack(r *Request) {
	n, err := strconv.Atoi(r.Element("Number"))
	c, there := d.Channel(r.DeviceID).Cruises[n]
	if err != nil || !there {
		d.respond(r, tag("Number", r.Element("Number")), tag("Result", "ERROR"))
		return
	}
	var items []string
	for _, p := range c.Presets {
		items = append(items, group("CruisePoint", tag("PresetIndex", strconv.Itoa(p)), tag("StayTime", strconv.Itoa(c.Stay)),
			tag("Speed", strconv.Itoa(c.Speed))))
	}
	d.respond(r, append([]string{tag("Number", strconv.Itoa(n)), tag("Name", c.Name)}, counted("CruisePointList", items)...)...)
}
