package camera

import (
	"fmt"
	"maps"
	"slices"
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
		"DragZoomIn":     {apply: applyDrag},
		"DragZoomOut":    {apply: applyDrag},
		"TargetTrack":    {apply: applyTrack},
		"FormatSDCard":   {apply: applyFormat},
		"DeviceUpgrade":  {apply: applyUpgrade, after: (*Device).upgrading, responds: true},
	}
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
	maps.DeleteFunc(table, func(name string, _ control) bool { return !d.cfg.understands(name) })
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
		responds = responds || c.responds && !d.leaves(r, e) || d.cfg.has(AnswersAll)
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
	if failed == nil && r.CmdType == "DeviceConfig" && d.cfg.has(RestartsOnConfig) {
		after = append(after, (*Device).reboot)
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
	if d.cfg.has(OnlyKeepalives) { // it takes no leave either
		d.mu.Lock()
		d.rebooting = true
		d.mu.Unlock()
		d.clock.after(d.cfg.Reboot, d.wakeUnregistered)
		return
	}
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
	d.forgetLocked()
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
