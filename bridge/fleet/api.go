// Package fleet is the only owner of "who is there": registrations, presence and
// channels of every device, sharded, with its deadlines in a wheel.
//
//	REGISTER ──▶ digest ──▶ binding ──┐
//	Keepalive ─▶ sign of life ────────┼─▶ shard ─▶ Sink: Registered, Presence, Message
//	silence ───▶ wheel ───────────────┘
package fleet

import (
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// Presence is what is concluded from a device's signs of life.
type Presence uint8

// The three states; the zero value is that of a device never seen.
const (
	Unknown Presence = iota
	Online
	Offline
)

// String returns the word that MQTT shows.
func (p Presence) String() string {
	switch p {
	case Online:
		return "online"
	case Offline:
		return "offline"
	}
	return "unknown"
}

// The reasons of a presence, as MQTT shows them.
const (
	ReasonRegistered       = "registered"
	ReasonKeepalive        = "keepalive"
	ReasonMQTTConnected    = "mqtt_connected"
	ReasonKeepaliveOverdue = "keepalive_overdue"
	ReasonKeepaliveLost    = "keepalive_lost"
	ReasonUnregistered     = "unregistered"
	ReasonMQTTDisconnected = "mqtt_disconnected"
	ReasonExpired          = "expired"
	ReasonConnectionLost   = "connection_lost"
	ReasonRestarted        = "restarted"
	ReasonVanished         = "vanished" // of a channel that its device's catalogue no longer has
	ReasonStatus           = "status"   // of a channel whose own Status decides
)

// Registration is the live binding that a REGISTER makes.
type Registration struct {
	Device    gb28181.ID
	At        time.Time // of the REGISTER that began it, not of its refreshes
	Expires   int       // seconds granted
	ExpiresAt time.Time
	Path      sip.Path
	UserAgent string
	GBVersion string // X-GB-Ver; "" when never shown

	Headers map[string]string // of vendors, with the REGISTER that is told; nil for none. They are not kept
}

// Change is a change of a device's presence.
type Change struct {
	Device   gb28181.ID
	Presence Presence
	Previous Presence
	Reason   string
	At       time.Time
}

// Inbound is a MANSCDP body that a registered device sent in a MESSAGE or NOTIFY.
type Inbound struct {
	Device  gb28181.ID // who sent it: the From user
	Method  string     // SIP's: MESSAGE or NOTIFY
	Message *gb28181.Message
	Headers map[string]string // of vendors: X-…; nil for none
	Err     error             // of decoding: Message holds what could be read
	At      time.Time
	answer  func(code int)
}

// MustStore tells that in can't be asked for again: its device has no answer yet, and the
// Sink calls Answer once in is stored.
func (in *Inbound) MustStore() bool { return in.answer != nil }

// Answer sends a SIP status to the device where MustStore holds, and does nothing else. The
// first call counts. After a 5xx the device's repetition is handed over anew.
func (in *Inbound) Answer(code int) {
	if in.answer != nil {
		in.answer(code)
	}
}

// Sink learns what the fleet concludes. Its methods are called in order for one device;
// they must not block, and may call back into the Fleet.
type Sink interface {
	// Registered tells a REGISTER that was accepted; fresh is false for a refresh that
	// changed nothing but its expiry.
	Registered(r Registration, fresh bool)
	// Rivals tells, before Registered does, that two devices have one ID: it is registered at one
	// and at the other in turn.
	Rivals(device gb28181.ID, one, other sip.Path)
	// Unregistered tells a REGISTER with Expires 0 that was accepted.
	Unregistered(device gb28181.ID, at time.Time)
	// Presence tells a change.
	Presence(c Change)
	// Message hands over what the device said. Where in.MustStore() holds the device has
	// no answer yet and waits for in.Answer.
	Message(in *Inbound)
	// SubscriptionEnded tells that a device has ended a subscription of ours with a NOTIFY
	// [RFC6665 4.4.1]; reason is its word for why, "" for none.
	SubscriptionEnded(device gb28181.ID, callID, reason string)
	// Save asks to keep records over a restart; several changes of one device come as one.
	Save(records []Record)
}
