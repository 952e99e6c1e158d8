package camera

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"
)

// What some quirks take.
const (
	lateAfter = 11 * time.Second // LateList
	slowBy    = 2 * time.Second  // SlowList
	wrongSN   = 1_000_000        // WrongSN: beyond what platforms count to
)

// ErrNotGuarded says that an alarm was not raised: AlarmOnlyGuarded.
var ErrNotGuarded = errors.New("neither the device nor the channel is guarded")

// connectOther opens the link that Responses go through with OtherPort. What comes there is
// heard too.
func (d *Device) connectOther(ctx context.Context) error {
	if !d.cfg.has(OtherPort) || d.cfg.Transport != "udp" {
		return nil
	}
	l, err := openLink(ctx, "udp", d.Local().Addr().String(), d.cfg.Server)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.other = l
	d.mu.Unlock()
	d.spawn(func() { d.readLink(l) })
	return nil
}

// leaves tells whether a quirk leaves a Control without its Response.
func (d *Device) leaves(r *Request, e *element) bool {
	return e.name == "HomePosition" && d.cfg.has(HomeCmdType) || r.CmdType == "DeviceConfig" && d.cfg.has(RestartsOnConfig)
}

// lists begins to answer a RecordInfo; false: with OneRecordInfo another is under way.
func (d *Device) lists() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.listing && d.cfg.has(OneRecordInfo) {
		return false
	}
	d.listing = true
	return true
}

func (d *Device) listed() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listing = false
}

// wakeUnregistered ends the reboot of OnlyKeepalives: keepalives go on, nothing else does.
func (d *Device) wakeUnregistered() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rebooting = false
	d.forgetLocked()
	d.clock.stop(d.refresh)
	d.planBeatLocked()
}

// keepaliveBody is a keepalive that names what is faulty in info.
func (d *Device) keepaliveBody(info string) string {
	status, subject := tag("Status", "OK"), d.cfg.ID
	if d.cfg.has(KeepaliveNoBody) {
		return ""
	}
	if d.cfg.has(KeepaliveInfoStatus) {
		status, info = "", group("Info", status)
	}
	if channels := d.channels(); d.cfg.has(KeepaliveOfChannel) && len(channels) > 0 {
		subject = channels[0].ID
	}
	return d.encode(frame("Notify", "Keepalive", strconv.Itoa(d.NextSN()), subject, status, info))
}

// noise is what keeps the bindings of NATs alive, and is not SIP.
var noise = []string{"\r\n\r\n", "\x00", "jaK"}

// makeNoise sends it with NATNoise, over UDP.
func (d *Device) makeNoise() {
	d.mu.Lock()
	l := d.link
	d.mu.Unlock()
	if !d.cfg.has(NATNoise) || l == nil || l.stream {
		return
	}
	for n := range slices.Values(noise) {
		d.transmit(l, []byte(n))
	}
}

// errSilent says that nothing is notified: SilentSubscription.
var errSilent = errors.New("the device notifies nothing")

// misdirect changes the way that a NOTIFY goes.
func (c *Config) misdirect(o outgoing) outgoing {
	switch {
	case c.has(NotifyAsMessage):
		return outgoing{method: "MESSAGE", kind: o.kind, body: o.body}
	case c.has(NotifyOutside):
		return outgoing{method: "NOTIFY", kind: o.kind, headers: o.headers, body: o.body}
	case c.has(NotifyBare):
		o.headers = nil
	}
	return o
}

// An alarm is repeated so often, after so long each time: RepeatsAlarm.
const (
	alarmRepeats = 4
	alarmWait    = 2 * time.Second
)

// repeatAlarm sends an alarm again, so many times at most, while the platform's Response to
// its SN is missing.
func (d *Device) repeatAlarm(sn, body string, left int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.confirmed == nil {
		d.confirmed = make(map[string]bool)
	}
	d.confirmed[sn] = false
	d.clock.after(alarmWait, func() { d.repeatAlarmNow(sn, body, left) })
}

func (d *Device) repeatAlarmNow(sn, body string, left int) {
	d.mu.Lock()
	over := d.confirmed[sn] || left == 0
	if over {
		delete(d.confirmed, sn)
	}
	d.mu.Unlock()
	if over {
		return
	}
	d.begin(outgoing{method: "MESSAGE", kind: KindAlarm, body: body}, func(reply) {})
	d.clock.after(alarmWait, func() { d.repeatAlarmNow(sn, body, left-1) })
}

// confirm takes the platform's Response to an alarm.
func (d *Device) confirm(sn string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, waits := d.confirmed[sn]; waits {
		d.confirmed[sn] = true
	}
}
