// Package subscribe upholds subscriptions: it keeps what is wanted of each device apart from
// what is live, and makes the one like the other.
//
//	Fresh, Wish ──▶ wanted ─┐
//	Left, Ended ──▶ live ───┴─▶ heap by due time ──▶ workers ──▶ Requester: SUBSCRIBE
//	                                                    └──▶ Report: subscriptions, subscription_state
//
// A device costs an entry while something of it is wanted, and no goroutine or timer.
package subscribe

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/command"
	"github.com/gb2mqtt/gb2mqtt/bridge/due"
	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// State is how one subscription is.
type State string

// The states, as MQTT shows them.
const (
	Off     State = "off"     // not wanted
	Pending State = "pending" // wanted, and not confirmed (yet, or any more)
	Active  State = "active"  // confirmed by the device
	Refused State = "refused" // the device does not have it; asked again when it registers anew
)

// Wanted is for how long each kind is wanted, of Position the reporting interval; 0: not.
type Wanted [kinds]time.Duration

// Requester sends a request as commands are sent.
type Requester interface {
	Request(ctx context.Context, device gb28181.ID, build func(p command.Peer, sn int) sip.Outgoing) (sip.Response, *mapping.Error)
}

// Options are what a Manager works with.
type Options struct {
	Requester Requester
	Wanted    func(device gb28181.ID) Wanted                                // what is wanted now
	Online    func(device gb28181.ID) bool                                  // whether it can be asked
	Wait      func(ctx context.Context) error                               // for a place in the budget of what returned devices are asked
	Upkeep    func(ctx context.Context) error                               // the same for refreshes and polls, which go on while nothing happens
	Report    func(device gb28181.ID, upheld Wanted, states map[Kind]State) // tells a change
	Poll      func(ctx context.Context, device gb28181.ID) error            // asks for the catalogue of a device that refuses to tell changes
	Polled    func(device gb28181.ID) bool                                  // its catalogue is asked for, instead of a subscription
	// Live tells, whenever something was done about a device, whether a subscription of it is
	// live; nil: nobody wants to know.
	Live func(device gb28181.ID, live bool)
	Log  *slog.Logger
}

// The bounds of the work.
const (
	workers    = 1000 // devices asked at once: while none answers within 4 s, that is 250 requests a second
	firstRetry = 5 * time.Second
	lastRetry  = 5 * time.Minute
)

// Manager upholds the subscriptions of all devices.
type Manager struct {
	o Options

	mu      sync.Mutex // guards what follows; never held while asking
	devices map[gb28181.ID]*entry
	due     due.Queue[*entry]
	changed chan struct{} // capacity 1: the head of due may have changed
	lastID  uint64        // of Event: Catalog;id=
}

// New returns a Manager; Run works.
func New(o Options) *Manager {
	return &Manager{o: o, devices: make(map[gb28181.ID]*entry), changed: make(chan struct{}, 1)}
}

// Fresh tells that a device is there anew: whatever was live is not any more, since a device
// forgets its dialogs when it restarts or moves.
func (m *Manager) Fresh(device gb28181.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.devices[device]
	if e == nil {
		e = &entry{device: device}
		e.due.Value = e
		m.devices[device] = e
	}
	e.away = false
	e.round++
	e.subs = [kinds]*subscription{}
	e.told = told{}             // whoever reports that it is there tells what Of says
	e.heard = time.Now().Unix() // a device that is there anew is asked
	m.wakeLocked(e)
}

// Online tells that a device has been heard again. One that nothing is known of (after a
// restart of ours) is as Fresh.
func (m *Manager) Online(device gb28181.ID) {
	m.mu.Lock()
	e := m.devices[device]
	if e != nil && e.away {
		e.away = false
		m.wakeLocked(e)
	}
	m.mu.Unlock()
	if e == nil {
		m.Fresh(device)
	}
}

// Left tells that a device is not online: nothing is asked of it until it is.
func (m *Manager) Left(device gb28181.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.devices[device]; e != nil {
		e.away = true
		m.due.Remove(&e.due)
	}
}

// Gone tells that a device is offline: what was live of it is over, and nothing is remembered.
// Its return is as Fresh.
func (m *Manager) Gone(device gb28181.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.devices[device]
	if e == nil {
		return
	}
	e.away = true
	e.round++ // what a worker has of it is void
	m.due.Remove(&e.due)
	if e.settle != nil {
		close(e.settle)
		e.settle = nil
	}
	delete(m.devices, device)
}

// Wish tells that what is wanted of a device may have changed.
func (m *Manager) Wish(device gb28181.ID) {
	wanted := m.o.Wanted(device)
	m.mu.Lock()
	e := m.devices[device]
	if e != nil && !e.away && !e.wants(wanted) {
		m.wakeLocked(e)
	}
	m.mu.Unlock()
	if e == nil && wanted != (Wanted{}) && m.o.Online(device) {
		m.Fresh(device) // nothing was wanted of it so far
	} // of one that is away: its return asks what is wanted then
}

// HeardCatalog tells that a device has told of its catalogue.
func (m *Manager) HeardCatalog(device gb28181.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.devices[device]; e != nil {
		e.heard = time.Now().Unix()
	}
}

// longQuiet tells whether nothing has been heard of a device's catalogue for an hour, and begins
// the next one.
func (m *Manager) longQuiet(device gb28181.ID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now().Unix()
	e := m.devices[device]
	if e == nil || now-e.heard < int64(quietCatalog/time.Second) {
		return false
	}
	e.heard = now
	return true
}

// Reconsider has a device looked at: whether it is polled may have changed.
func (m *Manager) Reconsider(device gb28181.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.devices[device]; e != nil && !e.away {
		m.wakeLocked(e)
	}
}

// Ended tells that a device has ended a subscription of ours [RFC6665 4.4.1].
func (m *Manager) Ended(device gb28181.ID, callID, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.devices[device]
	if e == nil {
		return
	}
	for k := range e.subs {
		s := e.subs[k]
		if s == nil || s.dialog.CallID != callID || s.live == 0 {
			continue
		}
		s.dialog, s.live = sip.Dialog{}, 0
		e.round++
		if reason == "rejected" || reason == "noresource" {
			s.refuse(Kind(k))
		} else {
			s.retry() // at once would let one device have the whole budget
		}
		m.wakeLocked(e) // to be told, and put where it is due
	}
}

// Await waits until what is wanted of a kind is so, refused, or could not be had now.
func (m *Manager) Await(ctx context.Context, device gb28181.ID, k Kind) (State, error) {
	m.Wish(device)
	for {
		wanted := m.o.Wanted(device)
		m.mu.Lock()
		e := m.devices[device]
		switch {
		case e == nil && wanted[k] == 0:
			m.mu.Unlock()
			return Off, nil
		case e == nil || e.away:
			m.mu.Unlock()
			return Pending, nil
		}
		if !e.busy && !e.again && e.wants(wanted) {
			s := e.sub(k)
			m.mu.Unlock()
			return s.state, nil
		}
		if e.settle == nil {
			e.settle = make(chan struct{})
		}
		settled := e.settle
		m.mu.Unlock()
		select {
		case <-settled:
		case <-ctx.Done():
			return Pending, ctx.Err()
		}
	}
}

// Of returns what is upheld of a device, and how each kind is.
func (m *Manager) Of(device gb28181.ID) (upheld Wanted, states map[Kind]State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.devices[device]
	if e == nil {
		e = new(entry)
	}
	return e.facts()
}

// wakeLocked has e looked at now.
func (m *Manager) wakeLocked(e *entry) {
	if e.busy {
		e.again = true
		return
	}
	e.due.At = time.Now()
	m.due.Put(&e.due)
	m.signal()
}

func (m *Manager) signal() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// Run works until ctx ends.
func (m *Manager) Run(ctx context.Context) error {
	due.Work(ctx, workers, m.next, m.changed, func(e *entry) { m.work(ctx, e) })
	return nil
}

// next takes the entry that is due.
func (m *Manager) next() (*due.Entry[*entry], time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, wait := m.due.Take()
	if e != nil {
		e.Value.busy = true
	}
	return e, wait
}

// work makes what is live of one device like what is wanted.
func (m *Manager) work(ctx context.Context, e *entry) {
	wanted := m.o.Wanted(e.device)
	m.mu.Lock()
	round := e.round
	var subs [kinds]subscription
	for k := range subs {
		subs[k] = e.sub(Kind(k))
	}
	m.mu.Unlock()
	for k := range wanted {
		if !m.bring(ctx, e.device, Kind(k), &subs[k], wanted[k]) {
			continue
		}
		m.mu.Lock()
		void := e.round != round
		if !void {
			e.set(Kind(k), subs[k])
		}
		stop := void || e.away || ctx.Err() != nil
		m.mu.Unlock()
		if stop {
			break
		}
	}
	m.finish(e)
}

// finish puts e back, and tells what has changed.
func (m *Manager) finish(e *entry) {
	m.mu.Lock()
	e.busy = false
	e.due.At = time.Time{}
	for k := range e.subs {
		if at := e.sub(Kind(k)).next; !at.IsZero() && (e.due.At.IsZero() || at.Before(e.due.At)) {
			e.due.At = at
		}
	}
	again := e.again
	if again {
		e.again, e.due.At = false, time.Now()
	}
	if !e.due.At.IsZero() && !e.away {
		m.due.Put(&e.due)
	}
	upheld, states := e.facts()
	now := toldOf(upheld, states)
	// What a return or an end made void is looked at again at once: nothing is told before.
	settled := !again && m.devices[e.device] == e // not of one that is gone
	news, there := now != e.told && settled, settled && !e.away
	if news {
		e.told = now
	}
	if e.settle != nil { // who waits looks again
		close(e.settle)
		e.settle = nil
	}
	if settled && e.subs == [kinds]*subscription{} {
		delete(m.devices, e.device) // nothing of it is wanted: a wish makes it anew
	}
	m.mu.Unlock()
	m.signal()
	if news {
		m.o.Report(e.device, upheld, states)
	}
	if there && m.o.Live != nil {
		m.o.Live(e.device, upheld != Wanted{})
	}
}
