package camera

import (
	"context"
	"slices"
	"time"
)

// Keepalive sends one keepalive and returns the code of its answer and the time it took.
// No answer is code 0 with ErrTimeout. After 401 or 403 the device registers again by
// itself, unless it is Stubborn.
func (d *Device) Keepalive(ctx context.Context) (code int, rtt time.Duration, err error) {
	r, err := d.wait(ctx, func(done func(reply)) { d.keepalive(done) })
	return r.code(), r.rtt, err
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
	return d.Send(ctx, []byte(d.encode(xml)))
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

// SetFaulty has keepalives name these channels as out of order, none ends that
// [GB28181-2022 A.2.5.2].
func (d *Device) SetFaulty(channels ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faulty = slices.Clone(channels)
}

// keepalive sends one; done may be nil.
func (d *Device) keepalive(done func(reply)) {
	d.mu.Lock()
	faulty := d.faulty
	d.mu.Unlock()
	var info string
	if len(faulty) > 0 {
		ids := make([]string, len(faulty))
		for i, id := range faulty {
			ids[i] = tag("DeviceID", id)
		}
		info = group("Info", ids...)
	}
	d.makeNoise()
	d.begin(outgoing{method: "MESSAGE", kind: KindKeepalive, body: d.keepaliveBody(info)}, func(r reply) {
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

// planBeatLocked makes the next appointment for a keepalive, unless that is the wheel's
// matter.
func (d *Device) planBeatLocked() {
	d.clock.stop(d.beat)
	d.beat = nil
	d.onWheel = d.wheel != nil && d.wheel.interval() == d.beatEvery
	if d.onWheel || d.beatEvery <= 0 || d.closed {
		return
	}
	d.beat = d.clock.after(d.beatEvery, func() {
		d.mu.Lock()
		live := d.wanted && !d.closed
		if live {
			d.planBeatLocked()
		}
		live = live && !d.silentLocked()
		d.mu.Unlock()
		if live {
			d.keepalive(nil)
		}
	})
}
