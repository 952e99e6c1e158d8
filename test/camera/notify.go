package camera

import (
	"context"
	"strconv"
	"time"
)

// Keepalive sends one keepalive and returns the code of its answer and the time it took.
// No answer is code 0 with ErrTimeout. After 401 or 403 the device registers again by
// itself, unless it is Stubborn.
func (d *Device) Keepalive(ctx context.Context) (code int, rtt time.Duration, err error) {
	r, err := d.wait(ctx, func(done func(reply)) { d.keepalive(done) })
	return r.code(), r.rtt, err
}

// Alarm is what a device reports [GB28181-2022 A.2.5.3].
type Alarm struct {
	Channel     string    // the device itself when empty
	Priority    int       // 1 (worst) … 4; 1 when 0
	Method      int       // 1 phone, 2 device, 3 SMS, 4 GPS, 5 video, 6 fault, 7 other; 5 when 0
	Type        int       // within the method; 0: left out
	Time        time.Time // now when zero; sent as UTC+8
	Description string
	Longitude   float64 // with Latitude; left out when both are 0
	Latitude    float64
}

// Alarm raises an alarm and returns the code of its SIP answer. The platform's Response to
// it arrives among Received.
func (d *Device) Alarm(ctx context.Context, a Alarm) (code int, err error) {
	r, err := d.wait(ctx, func(done func(reply)) { d.alarm(a, done) })
	return r.code(), err
}

// Send sends a body as a MESSAGE, byte for byte, and returns the code of the answer.
func (d *Device) Send(ctx context.Context, body []byte) (code int, err error) {
	r, err := d.wait(ctx, func(done func(reply)) {
		d.begin(outgoing{method: "MESSAGE", kind: KindMessage, body: string(body)}, done)
	})
	return r.code(), err
}

// SendXML sends a MANSCDP body without declaration, in the device's encoding.
func (d *Device) SendXML(ctx context.Context, xml string) (code int, err error) {
	return d.Send(ctx, []byte(encodeBody(xml, d.cfg.Encoding)))
}

// NextSN returns a serial number for a body of one's own.
func (d *Device) NextSN() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sn++
	return int(d.sn)
}

// wait turns a call with a callback into one that blocks. The device goes on when ctx ends.
func (d *Device) wait(ctx context.Context, begin func(done func(reply))) (reply, error) {
	end := make(chan reply, 1)
	begin(func(r reply) { end <- r })
	select {
	case r := <-end:
		return r, r.err
	case <-ctx.Done():
		return reply{}, ctx.Err()
	}
}

// keepalive sends one; done may be nil.
func (d *Device) keepalive(done func(reply)) {
	body := encodeBody(frame("Notify", "Keepalive", strconv.Itoa(d.NextSN()), d.cfg.ID, tag("Status", "OK")), d.cfg.Encoding)
	d.begin(outgoing{method: "MESSAGE", kind: KindKeepalive, body: body}, func(r reply) {
		if code := r.code(); (code == 401 || code == 403) && !d.cfg.Stubborn {
			d.mu.Lock()
			d.registered = false
			d.mu.Unlock()
			d.again()
		}
		if done != nil {
			done(r)
		}
	})
}

// planBeatLocked makes the next appointment for a keepalive.
func (d *Device) planBeatLocked(first bool) {
	d.clock.stop(d.beat)
	d.beat = nil
	if d.beatEvery <= 0 || d.closed {
		return
	}
	wait := d.beatEvery
	if first && d.firstBeat != nil {
		wait = d.firstBeat(wait)
	}
	d.beat = d.clock.after(wait, func() {
		d.mu.Lock()
		live := d.wanted && !d.closed
		if live {
			d.planBeatLocked(false)
		}
		live = live && !d.silentLocked()
		d.mu.Unlock()
		if live {
			d.keepalive(nil)
		}
	})
}

// beijing is the zone of all times in bodies [GB28181-2022 9.10].
var beijing = time.FixedZone("UTC+8", 8*3600)

// alarm sends a; a guarded target is in state ALARM from then on until it is reset.
func (d *Device) alarm(a Alarm, done func(reply)) {
	orDefault(&a.Channel, d.cfg.ID)
	orDefault(&a.Priority, 1)
	orDefault(&a.Method, 5)
	if a.Time.IsZero() {
		a.Time = time.Now()
	}
	var place, kind string
	if a.Longitude != 0 || a.Latitude != 0 {
		place = tag("Longitude", decimal(a.Longitude)) + tag("Latitude", decimal(a.Latitude))
	}
	if a.Type != 0 {
		kind = "<Info>\r\n" + tag("AlarmType", strconv.Itoa(a.Type)) + "</Info>\r\n"
	}
	d.mu.Lock()
	if t := d.state.target(a.Channel); t.Guard {
		t.Alarm = true
	}
	d.mu.Unlock()
	body := frame("Notify", "Alarm", strconv.Itoa(d.NextSN()), a.Channel, tag("AlarmPriority", strconv.Itoa(a.Priority)),
		tag("AlarmMethod", strconv.Itoa(a.Method)), tag("AlarmTime", a.Time.In(beijing).Format("2006-01-02T15:04:05")),
		tag("AlarmDescription", a.Description), place, kind)
	d.begin(outgoing{method: "MESSAGE", kind: KindAlarm, body: encodeBody(body, d.cfg.Encoding)}, func(r reply) {
		if done != nil {
			done(r)
		}
	})
}

// decimal writes a number with as many digits as it has.
func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
