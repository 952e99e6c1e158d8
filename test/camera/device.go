// Package camera is a simulated GB/T 28181 device: it registers, keeps alive, answers
// queries, carries out controls, raises alarms, and misbehaves on request. Story tests, the
// demo and the fleet simulator use it. It has a SIP of its own, so that it is an independent
// witness of what the platform says.
//
//	platform ──▶ link ──▶ Device.receive ──▶ serve ──▶ Query: answers │ Control: state
//	platform ◀── link ◀── transactions ◀── Register, Keepalive, Alarm, Responses, NOTIFYs of subscriptions
//	                          ▲ clock: retransmission, keepalive, refresh; one for a whole fleet
package camera

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Device is one simulated device. New makes it, Run gives it its whole life; a test that
// wants each step for itself uses Start, the methods, and Close.
type Device struct {
	cfg   Config
	clock *clock
	hub   *hub   // shared sockets of a fleet; nil: one of its own
	stats *Stats // nil counts nothing
	born  time.Time
	dice  dice // of lost datagrams

	silence   atomic.Bool // dead: neither sends nor hears
	answering atomic.Bool
	signed    atomic.Int64 // LastSign, as Unix nanoseconds
	buffer    int          // bytes of a datagram it can read
	record    bool         // keeps Received

	wg   sync.WaitGroup // readers, reconnections and an own clock
	stop context.CancelFunc
	life context.Context

	mu           sync.Mutex // guards what follows; never held across I/O or a callback
	link         *link
	other        *link           // for Responses alone; nil: they go through link
	listing      bool            // a RecordInfo is being answered
	confirmed    map[string]bool // alarms that are repeated until they are, by SN
	closed       bool
	rebooting    bool
	pending      []*transaction
	recent       []heard
	cseq, sn     uint32
	regCall      string // Call-ID of the registrations, new after a reboot
	regTag       string
	regSeq       uint32
	challenge    *challenge
	wanted       bool // to be registered
	registering  bool
	registered   bool
	granted      time.Duration
	platformDate string
	refresh      *entry
	beat         *entry
	beatEvery    time.Duration
	misses       int
	faulty       []string
	subs         map[string]*subscription // the live ones, by CmdType
	wheel        *wheel                   // of a fleet; nil: every keepalive is an appointment
	onWheel      bool                     // its keepalives are the wheel's matter

	state   state
	journal journal
}

// New checks cfg and makes a device that does nothing yet.
func New(cfg Config) (*Device, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("camera: %w", err)
	}
	d := newDevice(cfg)
	d.clock, d.record, d.buffer = newClock(), true, 65535
	return d, nil
}

// newDevice makes a device of a configuration that has been checked.
func newDevice(cfg Config) *Device {
	d := &Device{cfg: cfg, born: time.Now(), beatEvery: cfg.Keepalive, misses: 3}
	d.dice.init(cfg.Loss, cfg.Seed)
	d.silence.Store(cfg.Silent)
	d.answering.Store(true)
	d.regCall, d.regTag = token()+"@"+cfg.Domain, token()
	d.state.init(cfg)
	d.journal.changed = make(chan struct{})
	return d
}

// ID returns the device's 20 digits.
func (d *Device) ID() string { return d.cfg.ID }

// Run lives a device's life: it registers, again and again until the platform agrees, keeps
// alive, answers, and when ctx ends unregisters (waiting at most 2 s for that) and closes.
func (d *Device) Run(ctx context.Context) error {
	if err := d.Start(ctx); err != nil {
		return err
	}
	d.register(d.expires(), nil)
	<-ctx.Done()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	var err error
	if d.Registered() && !d.silent() {
		err = d.Unregister(last)
	}
	d.Close()
	return err
}

// Start opens the device's socket or connection and answers what comes there. It does not
// register. Close must follow.
func (d *Device) Start(ctx context.Context) error {
	d.life, d.stop = context.WithCancel(context.WithoutCancel(ctx))
	if d.hub == nil {
		d.wg.Go(func() { d.clock.run(d.life) })
	}
	err := d.connect(ctx, d.cfg.Local)
	if err == nil {
		err = d.connectOther(ctx)
	}
	if err != nil {
		d.Close()
		return fmt.Errorf("camera %s: %w", d.cfg.ID, err)
	}
	return nil
}

// Close ends everything at once, without unregistering, and waits for it. What was under
// way ends with ErrClosed. It may be called more than once.
func (d *Device) Close() {
	d.mu.Lock()
	l, open := d.link, d.pending
	other := d.other
	d.link, d.other, d.pending, d.closed, d.registered = nil, nil, nil, true, false
	refresh, beat := d.refresh, d.beat
	d.forgetLocked()
	d.mu.Unlock()
	if d.stop != nil {
		d.stop()
	}
	d.clock.stop(refresh)
	d.clock.stop(beat)
	for _, t := range open {
		d.clock.stop(t.timer)
		t.done(reply{err: ErrClosed})
	}
	if l != nil {
		d.release(l)
	}
	if other != nil {
		other.close()
	}
	d.wg.Wait()
}

// connect opens a link from local and makes it the device's, closing the one before.
func (d *Device) connect(ctx context.Context, local string) error {
	var l *link
	var err error
	if d.hub != nil && d.cfg.Transport == "udp" && d.hub.shared() {
		l, err = d.hub.join(ctx, d)
	} else {
		l, err = openLink(ctx, d.cfg.Transport, local, d.cfg.Server)
	}
	if err != nil {
		return err
	}
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		d.release(l)
		return ErrClosed
	}
	before := d.link
	d.link = l
	d.mu.Unlock()
	if before != nil && before != l {
		d.release(before)
	}
	if d.hub == nil || !d.hub.owns(l) {
		d.spawn(func() { d.readLink(l) })
	}
	return nil
}

// release closes a link that is the device's own.
func (d *Device) release(l *link) {
	if d.hub != nil && d.hub.owns(l) {
		d.hub.leave(l, d)
		return
	}
	l.close()
}

// readLink reads l until it ends. A TCP connection that breaks is made anew after Retry
// when the device wants to be registered.
func (d *Device) readLink(l *link) {
	err := l.read(d.buffer, func(raw []byte) {
		if !l.stream && d.dice.lose(false) {
			return
		}
		d.receive(l, raw)
	})
	l.close()
	d.mu.Lock()
	lost := d.link == l && !d.closed
	if lost {
		d.registered = false
	}
	again := lost && d.wanted && !d.rebooting
	d.mu.Unlock()
	if again {
		d.cfg.Log.Debug("connection lost", "device", d.cfg.ID, "err", err)
		d.clock.after(d.cfg.Retry, func() { d.spawn(func() { d.comeBack(l) }) })
	}
}

// spawn runs f on a goroutine that Close waits for, unless the device is closed.
func (d *Device) spawn(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.wg.Go(f)
	}
}

// comeBack connects and registers again in place of the broken link, until it is done.
func (d *Device) comeBack(broken *link) {
	d.mu.Lock()
	needed := d.link == broken && !d.closed && d.wanted
	d.mu.Unlock()
	if !needed {
		return
	}
	if err := d.connect(d.life, d.cfg.Local); err != nil {
		if !errors.Is(err, ErrClosed) && d.life.Err() == nil {
			d.clock.after(d.cfg.Retry, func() { d.spawn(func() { d.comeBack(broken) }) })
		}
		return
	}
	d.register(d.expires(), nil)
}

// Move takes a new local address, "" for a new port at the same IP, as a NAT that forgets
// its binding does. The platform is not told; over TCP this is a new connection.
func (d *Device) Move(ctx context.Context, local string) error {
	if local == "" {
		local = d.Local().Addr().String()
	}
	if err := d.connect(ctx, local); err != nil {
		return fmt.Errorf("camera %s: move to %s: %w", d.cfg.ID, local, err)
	}
	return nil
}

// Reconnect closes the connection and makes a new one, without registering again.
func (d *Device) Reconnect(ctx context.Context) error { return d.Move(ctx, "") }

// Disconnect closes the TCP connection, or UDP socket, and leaves it at that: the device is
// gone until Move or Reconnect.
func (d *Device) Disconnect() {
	d.mu.Lock()
	l := d.link
	d.link = nil
	d.mu.Unlock()
	if l != nil {
		d.release(l)
	}
}

// Local returns the address that the device sends from; the zero value when it has none.
func (d *Device) Local() netip.AddrPort {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.link == nil {
		return netip.AddrPort{}
	}
	return d.link.local
}

// LastSign returns when the device sent the last request that was answered with 200: its
// last sign of life to the platform. The zero time: there was none.
func (d *Device) LastSign() time.Time {
	if at := d.signed.Load(); at > 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// SetSilent makes the device dead (it sends nothing and hears nothing) or alive again.
func (d *Device) SetSilent(silent bool) { d.silence.Store(silent) }

// SetAnswering says whether requests are answered; keepalives go on either way.
func (d *Device) SetAnswering(answering bool) { d.answering.Store(answering) }

// silent reports whether nothing is sent or heard now.
func (d *Device) silent() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.silentLocked()
}

func (d *Device) silentLocked() bool { return d.silence.Load() || d.rebooting }

// Write sends raw bytes as they are: for what no device ought to send.
func (d *Device) Write(raw []byte) error {
	d.mu.Lock()
	l := d.link
	d.mu.Unlock()
	if l == nil {
		return ErrClosed
	}
	return l.write(raw)
}

// receive deals with one message from the link.
func (d *Device) receive(l *link, raw []byte) {
	if d.silent() || strings.TrimSpace(string(raw[:min(len(raw), 4)])) == "" {
		return
	}
	m, err := parseMessage(raw)
	if err != nil {
		d.cfg.Log.Debug("not understood", "device", d.cfg.ID, "err", err, "bytes", len(raw))
		return
	}
	d.dispatch(l, m)
}

// dispatch tells answers from requests.
func (d *Device) dispatch(l *link, m *message) {
	if m.code > 0 {
		d.print(m, time.Now(), false)
		d.answered(m)
		return
	}
	d.serve(l, m)
}
