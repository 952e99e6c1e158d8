package camera

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// What begins with a Control and ends later with a Notify is named by a SessionID of so many
// letters, digits and hyphens [GB28181-2022 A.2.3.1.12].
const (
	sessionLeast = 32
	sessionMost  = 128
)

func (e *element) session() error {
	id := e.child("SessionID")
	foreign := strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-")
	if len(id) < sessionLeast || len(id) > sessionMost || foreign != "" {
		return fmt.Errorf("%s SessionID %q: %d to %d letters, digits and hyphens are wanted", e.name, id, sessionLeast, sessionMost)
	}
	return nil
}

func checkSnapshot(e *element) error {
	var err error
	if e.child("UploadURL") == "" {
		err = fmt.Errorf("%s without an UploadURL", e.name)
	}
	return errors.Join(err, e.session(), e.within("SnapNum", 1, 10), e.within("Interval", 1, 3600))
}

// applySnapshot takes pictures: the first at once, each further one after Interval. When the
// last would be uploaded the device tells of them; nothing is really uploaded
// [GB28181-2022 9.14].
func applySnapshot(d *Device, r *Request, e *element, t *Target) error {
	if err := applyConfig(d, r, e, t); err != nil {
		return err
	}
	var pictures, interval int
	if err := errors.Join(e.number("SnapNum", 1, 10, true, &pictures), e.number("Interval", 1, 3600, true, &interval)); err != nil {
		return err
	}
	session, target := e.child("SessionID"), r.DeviceID
	began := time.Now()
	d.clock.after(time.Duration(pictures-1)*time.Duration(interval)*time.Second+uploadTime, func() {
		var files []string
		for i := range pictures {
			at := began.Add(time.Duration(i*interval) * time.Second).In(beijing)
			files = append(files, fmt.Sprintf("%s02%s%03d%02d", target, at.Format("20060102150405"), at.Nanosecond()/1e6, i+1))
		}
		d.tell(nil, "UploadSnapShotFinished", target, snapshots(session, files)...)
	})
	return nil
}

// uploadTime is how long an upload takes.
const uploadTime = 200 * time.Millisecond

// upgrade is a firmware that is being taken over.
type upgrade struct {
	firmware, session, reason string
	over                      bool // the package has come: what is left is to tell
}

// Why an upgrade fails [GB28181-2022 A.2.5.9].
const brokenPackage = "02"

// applyUpgrade begins to take a new firmware over. One of another manufacturer is a broken
// package; nothing is really downloaded [GB28181-2022 9.13].
func applyUpgrade(d *Device, _ *Request, e *element, _ *Target) error {
	err := e.session()
	for _, name := range []string{"Firmware", "FileURL", "Manufacturer"} {
		if e.child(name) == "" {
			err = errors.Join(err, fmt.Errorf("%s without %s", e.name, name))
		}
	}
	if err != nil {
		return err
	}
	d.state.upgrade = &upgrade{firmware: e.child("Firmware"), session: e.child("SessionID")}
	if !strings.EqualFold(e.child("Manufacturer"), d.cfg.Manufacturer) {
		d.state.upgrade.reason = brokenPackage
	}
	return nil
}

// upgrading goes on after the Response, once the package would be there: the device restarts
// with its new firmware, registers again and tells how it went; with a package that is broken
// it tells so and stays.
func (d *Device) upgrading() {
	d.clock.after(downloadTime, func() {
		d.mu.Lock()
		u := d.state.upgrade
		if u != nil {
			u.over = true
			if u.reason == "" {
				d.cfg.Firmware = u.firmware
			}
		}
		d.mu.Unlock()
		switch {
		case u == nil: // a second upgrade overtook it
		case u.reason != "":
			d.upgraded()
		default:
			d.reboot()
		}
	})
}

// downloadTime is how long a package takes to come.
const downloadTime = 500 * time.Millisecond

// upgraded tells how an upgrade went, once, if there was one.
func (d *Device) upgraded() {
	d.mu.Lock()
	u, firmware := d.state.upgrade, d.cfg.Firmware
	if u == nil || !u.over {
		d.mu.Unlock()
		return
	}
	d.state.upgrade = nil
	d.mu.Unlock()
	d.tell(nil, "DeviceUpgradeResult", d.cfg.ID, upgradeResult(u.session, firmware, u.reason)...)
}
