package camera

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Register registers and waits for the end of the exchange: nil, a *StatusError, ErrTimeout,
// ErrClosed or the context's error. Keepalives and refreshes follow by themselves.
func (d *Device) Register(ctx context.Context) error { return d.await(ctx, d.expires()) }

// Refresh registers again with the stored credentials, as before an expiry.
func (d *Device) Refresh(ctx context.Context) error { return d.await(ctx, d.expires()) }

// Unregister ends the registration (Expires 0) and with it keepalives and refreshes.
func (d *Device) Unregister(ctx context.Context) error { return d.await(ctx, 0) }

// Registered reports whether the device believes that it is registered.
func (d *Device) Registered() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.registered
}

// await runs a registration to its end.
func (d *Device) await(ctx context.Context, expires time.Duration) error {
	end := make(chan error, 1)
	d.register(expires, func(err error) { end <- err })
	select {
	case err := <-end:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// register begins a registration; done, which may be nil, is told its end.
func (d *Device) register(expires time.Duration, done func(error)) {
	d.mu.Lock()
	d.wanted, d.registering = expires > 0, true
	if expires == 0 {
		d.clock.stop(d.refresh)
		d.clock.stop(d.beat)
	}
	d.mu.Unlock()
	d.attempt(expires, 0, done)
}

// attempt sends one REGISTER and answers up to two challenges: the first, and one that
// calls the nonce stale [RFC7616 3.3].
func (d *Device) attempt(expires time.Duration, challenged int, done func(error)) {
	uri := "sip:" + d.cfg.ServerID + "@" + d.cfg.Domain
	kind := KindRegister
	if expires == 0 {
		kind = KindUnregister
	}
	o := outgoing{method: "REGISTER", kind: kind, to: "sip:" + d.cfg.ID + "@" + d.cfg.Domain,
		headers: []string{"Expires: " + strconv.Itoa(int(expires/time.Second))}}
	if expires > 0 && d.cfg.has(NoExpires) {
		o.headers = nil
	}
	if d.cfg.GBVersion != "" {
		o.headers = append(o.headers, "X-GB-Ver: "+d.cfg.GBVersion)
	}
	d.mu.Lock()
	d.regSeq++
	o.callID, o.fromTag, o.cseq = d.regCall, d.regTag, d.regSeq
	if d.challenge != nil {
		if d.cfg.has(NcAlways1) {
			d.challenge.nc = 0
		}
		o.headers = append(o.headers, "Authorization: "+d.challenge.authorize(d.cfg.ID, d.cfg.Password, "REGISTER", uri, token()))
	}
	d.mu.Unlock()
	d.begin(o, func(r reply) {
		if r.code() == 401 {
			next, err := d.cfg.pickChallenge(r.message)
			d.mu.Lock()
			d.challenge = next
			d.mu.Unlock()
			switch {
			case err != nil:
				d.concluded(expires, nil, fmt.Errorf("REGISTER: %w", err), done)
				return
			case challenged == 0, challenged == 1 && next.stale:
				d.attempt(expires, challenged+1, done)
				return
			}
		}
		d.concluded(expires, r.message, r.failure("REGISTER"), done)
	})
}

// concluded keeps what a registration came to and plans what follows from it.
func (d *Device) concluded(expires time.Duration, m *message, err error, done func(error)) {
	d.mu.Lock()
	d.registering = false
	fresh := err == nil && expires > 0 && !d.registered && !d.closed
	switch {
	case d.closed:
	case err != nil:
		d.registered = false
		d.challenge = nil
		if done == nil && d.wanted { // nobody waits: the device sees to it itself
			d.clock.stop(d.refresh)
			d.refresh = d.clock.after(d.cfg.Retry, d.again)
		}
	case expires == 0:
		d.registered = false
	default:
		d.registered, d.granted, d.platformDate = true, grantedBy(m, expires), m.header("date")
		d.clock.stop(d.refresh)
		d.refresh = d.clock.after(refreshAfter(d.granted), d.again)
		if fresh {
			d.planBeatLocked()
		}
	}
	d.mu.Unlock()
	if err != nil {
		d.cfg.Log.Debug("registration", "device", d.cfg.ID, "err", err)
	}
	if fresh {
		d.upgraded()
	}
	if done != nil {
		done(err)
	}
}

// again registers anew, unless that is under way or no longer wanted.
func (d *Device) again() {
	d.mu.Lock()
	needed := d.wanted && !d.closed && !d.registering && !d.rebooting
	d.mu.Unlock()
	if needed {
		d.register(d.expires(), nil)
	}
}

// refreshAfter returns when a registration is refreshed: at 85 % of its life, so that the
// retransmissions of the refresh still fall within it.
func refreshAfter(granted time.Duration) time.Duration { return granted * 85 / 100 }

// grantedBy reads how long a 200 grants: Contact's expires, else Expires, else as asked.
func grantedBy(m *message, asked time.Duration) time.Duration {
	for _, text := range [...]string{param(m.header("contact"), "expires"), m.header("expires")} {
		if n, err := strconv.Atoi(text); err == nil && n > 0 {
			return time.Duration(n) * time.Second
		}
	}
	return asked
}

// expires returns what is asked for; BasicParam may have changed it.
func (d *Device) expires() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cfg.Expires
}
