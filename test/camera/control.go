package camera

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// control carries out one element of a Control.
type control struct {
	apply    func(d *Device, r *Request, e *element, t *Target) error // under the device's mutex
	after    func(d *Device)                                          // with no lock, once it is applied
	responds bool                                                     // the standard wants a Response [GB28181-2022 9.3.1 e]
}

// deviceControls returns the elements of DeviceControl that the device knows.
func deviceControls() map[string]control {
	return map[string]control{
		"PTZCmd":         {apply: applyPTZ},
		"PTZPreciseCtrl": {apply: applyPrecise},
		"GuardCmd":       {apply: applyGuard, responds: true},
		"RecordCmd":      {apply: applyRecord, responds: true},
		"AlarmCmd":       {apply: applyAlarmReset, responds: true},
		"HomePosition":   {apply: applyHome, responds: true},
		"IFameCmd":       {apply: applyIFrame}, // 2016 spells it so
		"IFrameCmd":      {apply: applyIFrame},
		"TeleBoot":       {apply: applyBoot, after: (*Device).reboot},
		"DragZoomIn":     {apply: func(*Device, *Request, *element, *Target) error { return nil }},
		"DragZoomOut":    {apply: func(*Device, *Request, *element, *Target) error { return nil }},
	}
}

// deviceConfigs returns those of DeviceConfig.
func deviceConfigs() map[string]control {
	return map[string]control{"BasicParam": {apply: applyBasic, after: (*Device).rebeat, responds: true}}
}

// controls returns what carries out a Control, nil when nothing in it is known.
func (d *Device) controls(r *Request) func() {
	var table map[string]control
	switch r.CmdType {
	case "DeviceControl":
		table = deviceControls()
	case "DeviceConfig":
		table = deviceConfigs()
	}
	known := slices.ContainsFunc(r.tree.children, func(e *element) bool { _, ok := table[e.name]; return ok })
	if !known {
		return nil
	}
	return func() { d.carryOut(r, table) }
}

// carryOut applies the elements of a Control in their order; the first that fails or is
// refused ends it: with Result ERROR where the standard wants a Response, else the device
// only notes it [GB28181-2022 9.3.1 d].
func (d *Device) carryOut(r *Request, table map[string]control) {
	responds := false
	var failed error
	var after []func(*Device)
	for _, e := range r.tree.children {
		c, ok := table[e.name]
		if !ok {
			continue
		}
		responds = responds || c.responds
		if d.refuses(e.name) || d.refuses(r.CmdType) {
			failed = fmt.Errorf("%s is refused", e.name)
			break
		}
		d.mu.Lock()
		failed = c.apply(d, r, e, d.state.target(r.DeviceID))
		d.mu.Unlock()
		if failed != nil {
			break
		}
		if d.cfg.OnCommand != nil {
			d.cfg.OnCommand(e.name, r.DeviceID)
		}
		if c.after != nil {
			after = append(after, c.after)
		}
	}
	if failed != nil {
		d.note(failed)
	}
	switch {
	case failed != nil && responds:
		d.respond(r, tag("Result", "ERROR"))
	case responds:
		d.respond(r, tag("Result", "OK"))
	}
	for _, f := range after {
		f(d)
	}
}

// failuresMost bounds what State.Failures tells, the newest.
const failuresMost = 16

// note keeps why a Control was not carried out.
func (d *Device) note(failed error) {
	d.cfg.Log.Debug("control", "device", d.cfg.ID, "err", failed)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.state.failures) == failuresMost {
		d.state.failures = slices.Delete(d.state.failures, 0, 1)
	}
	d.state.failures = append(d.state.failures, failed.Error())
}

// oneOf returns the place of e's text among words.
func oneOf(e *element, words ...string) (int, error) {
	if i := slices.Index(words, e.text); i >= 0 {
		return i, nil
	}
	return 0, fmt.Errorf("%s %q: one of %q is wanted", e.name, e.text, words)
}

func applyGuard(_ *Device, _ *Request, e *element, t *Target) error {
	i, err := oneOf(e, "SetGuard", "ResetGuard")
	if err == nil {
		t.Guard, t.Alarm = i == 0, false
	}
	return err
}

func applyRecord(_ *Device, _ *Request, e *element, t *Target) error {
	i, err := oneOf(e, "Record", "StopRecord")
	if err == nil {
		t.Recording = i == 0
	}
	return err
}

func applyAlarmReset(_ *Device, _ *Request, e *element, t *Target) error {
	_, err := oneOf(e, "ResetAlarm")
	if err == nil {
		t.Alarm = false
	}
	return err
}

func applyIFrame(_ *Device, _ *Request, e *element, t *Target) error {
	_, err := oneOf(e, "Send")
	if err == nil {
		t.IFrames++
	}
	return err
}

func applyHome(_ *Device, _ *Request, e *element, t *Target) error {
	enabled, err := strconv.Atoi(e.child("Enabled"))
	if err != nil || enabled != 0 && enabled != 1 {
		return fmt.Errorf("HomePosition Enabled %q: 0 or 1 is wanted", e.child("Enabled"))
	}
	h := HomePosition{Enabled: enabled == 1, ResetTime: t.Home.ResetTime, PresetIndex: t.Home.PresetIndex}
	for name, to := range map[string]*int{"ResetTime": &h.ResetTime, "PresetIndex": &h.PresetIndex} {
		if text := e.child(name); text != "" {
			if *to, err = strconv.Atoi(text); err != nil {
				return fmt.Errorf("HomePosition %s %q is no number", name, text)
			}
		}
	}
	t.Home = h
	return nil
}

func applyPrecise(_ *Device, _ *Request, e *element, t *Target) error {
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
	t.Pan, t.Tilt, t.Zoom = wrap(pan), min(max(tilt, tiltLeast), tiltMost), min(max(zoom, zoomLeast), zoomMost)
	return nil
}

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
		t.cruise(c)
	case "scan":
		if c.Action == "start" {
			t.Scan = c.Number
		}
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

// cruise keeps the points of a group, and which group runs.
func (t *Target) cruise(c ptzCommand) {
	if t.Cruises == nil {
		t.Cruises = make(map[int][]int)
	}
	switch {
	case c.Action == "add":
		t.Cruises[c.Number] = append(t.Cruises[c.Number], c.Value)
	case c.Action == "delete" && c.Value == 0:
		delete(t.Cruises, c.Number)
	case c.Action == "delete":
		t.Cruises[c.Number] = slices.DeleteFunc(t.Cruises[c.Number], func(p int) bool { return p == c.Value })
	case c.Action == "start":
		t.Cruise = c.Number
	}
}

// applyBasic takes over BasicParam: the name, Expires, the heartbeat [GB28181-2022 A.2.3.2.2].
func applyBasic(d *Device, _ *Request, e *element, _ *Target) error {
	number := func(name string, is int) (int, error) {
		text := e.child(name)
		if text == "" {
			return is, nil
		}
		n, err := strconv.Atoi(text)
		if err != nil || n <= 0 {
			return 0, fmt.Errorf("BasicParam %s %q: a number above 0 is wanted", name, text)
		}
		return n, nil
	}
	beat, err := number("HeartBeatInterval", int(d.beatEvery/time.Second))
	if err != nil {
		return err
	}
	misses, err := number("HeartBeatCount", d.misses)
	if err != nil {
		return err
	}
	expires, err := number("Expiration", int(d.cfg.Expires/time.Second))
	if err != nil {
		return err
	}
	if name := e.child("Name"); name != "" {
		d.cfg.Name = name
	}
	if e.child("HeartBeatInterval") != "" {
		d.beatEvery = time.Duration(beat) * time.Second
	}
	if e.child("Expiration") != "" {
		d.cfg.Expires = time.Duration(expires) * time.Second
	}
	d.misses = misses
	return nil
}

// rebeat lets a changed heartbeat begin.
func (d *Device) rebeat() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.registered {
		d.planBeatLocked(false)
	}
}

func applyBoot(d *Device, _ *Request, e *element, _ *Target) error {
	_, err := oneOf(e, "Boot")
	if err == nil {
		d.state.reboots++
	}
	return err
}

// reboot unregisters, is away for Config.Reboot, forgets its credentials and its Call-ID,
// and registers again; over TCP on a new connection.
func (d *Device) reboot() {
	d.register(0, func(error) { // whatever the platform says to it
		d.mu.Lock()
		if d.closed {
			d.mu.Unlock()
			return
		}
		d.rebooting, d.wanted = true, true
		l := d.link
		d.mu.Unlock()
		if l != nil && l.stream {
			l.close()
		}
		d.clock.after(d.cfg.Reboot, func() { d.wake(l) })
	})
}

// wake ends a reboot.
func (d *Device) wake(l *link) {
	d.mu.Lock()
	d.rebooting, d.challenge, d.recent = false, nil, nil
	d.regCall, d.regTag, d.regSeq = token()+"@"+d.cfg.Domain, token(), 0
	closed := d.closed
	d.mu.Unlock()
	switch {
	case closed:
	case l != nil && l.stream:
		d.spawn(func() { d.comeBack(l) })
	default:
		d.register(d.expires(), nil)
	}
}
