package bridge

import (
	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/bridge/guard"
	"github.com/gb2mqtt/gb2mqtt/bridge/subscribe"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// healing works lost devices back. What the fleet concludes has each of those who look after
// devices do its part, once: questions, subscriptions, desired state, breaker.
//
//	silence, leave ──▶ Changed ──▶ breaker opens, nothing is asked any more
//	its return ──────▶ Registered, Changed ──▶ recovery, subscriptions, reconciler ──▶ pace ──▶ device
//	breaker half open ──▶ Probe ──▶ recovery
type healing struct {
	pace          *pace
	recovery      *recovery
	subscriptions *subscribe.Manager
	breakers      *guard.Breakers
	links         *guard.Links
	// compare has a thing's desired state compared with what is reported; anew forgets the
	// back-off of what was refused before.
	compare func(thing string, anew bool)
}

// Registered takes a registration that is more than a refresh: the device may have become
// another one.
func (h *healing) Registered(device gb28181.ID) {
	h.links.Reset(device.String()) // what was lost while it started anew tells nothing of its link
	h.pace.Return(device.String())
	h.recovery.Returned(device)
	h.subscriptions.Fresh(device)
	h.compare(device.String(), true)
}

// Changed takes a change of presence.
func (h *healing) Changed(c fleet.Change) {
	id := c.Device.String()
	switch {
	case c.Previous == fleet.Online:
		h.recovery.Left(c.Device)
		h.subscriptions.Left(c.Device)
		h.breakers.Trip(id, c.Reason)
	case c.Presence == fleet.Online:
		h.pace.Return(id)
		if c.Previous == fleet.Offline && c.Reason != fleet.ReasonRegistered {
			h.recovery.Returned(c.Device) // a return by keepalive alone: it may have changed while it was away
			h.subscriptions.Fresh(c.Device)
		} else {
			h.subscriptions.Online(c.Device)
		}
		h.breakers.Alive(id) // now that the questions wait: the first of them is the probe
		h.compare(id, false)
	}
	if c.Presence == fleet.Offline {
		h.subscriptions.Gone(c.Device)
	}
}

// Breaker takes a move of a device's breaker.
func (h *healing) Breaker(device string, state guard.State) {
	switch state {
	case guard.Open:
		return
	case guard.HalfOpen:
		h.pace.Return(device)
	}
	h.compare(device, false)
}

// Probe has a device asked for a sign of life: its breaker is half open, and nobody else wants
// anything of it.
func (h *healing) Probe(device string) {
	if id, err := gb28181.ParseID(device); err == nil {
		h.recovery.Probe(id)
	}
}
