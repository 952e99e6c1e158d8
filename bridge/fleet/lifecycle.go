package fleet

import "github.com/gb2mqtt/gb2mqtt/mapping/gb28181"

// Lifecycle is how far the conversation with a device has come. Presence tells whether it lives,
// this what may be said to it.
type Lifecycle uint8

// The states. A device never seen is Disconnected.
const (
	Disconnected Lifecycle = iota // it has no registration, or was silent until it counted as gone
	Connecting                    // registered and not heard since, or overdue: its next sign of life is awaited
	Registered                    // registered, and heard
	Subscribed                    // and a subscription of ours is live
	lifecycles   = iota
)

// String returns the word that MQTT and the metrics show.
func (l Lifecycle) String() string {
	return [lifecycles]string{"disconnected", "connecting", "registered", "subscribed"}[l]
}

// lifeEvent is what drives a device from one Lifecycle to another.
type lifeEvent uint8

// The events.
const (
	lifeRegistered   lifeEvent = iota // a REGISTER that is more than a refresh, or an adoption
	lifeReturned                      // the first sign of life of a lost device whose registration lives
	lifeHeard                         // a keepalive, a refresh, an answer
	lifeOverdue                       // silent for more than the keepalive rule allows, or its connection is gone
	lifeLost                          // silent until it counts as gone
	lifeCatalog                       // its catalogue is in, told by signs of life
	lifeSubscribed                    // it confirmed a subscription, or has one still
	lifeEnded                         // the last subscription is over
	lifeUnregistered                  // it took its leave
	lifeExpired                       // its registration ran out
	lifeEvents       = iota
)

// String returns the word that the metrics show.
func (e lifeEvent) String() string {
	return [lifeEvents]string{"registered", "returned", "heard", "overdue", "lost", "catalog",
		"subscribed", "subscription_ended", "unregistered", "expired"}[e]
}

// illegal is where no event leads.
const illegal = Lifecycle(lifecycles)

// moves are where each event leads from Disconnected, Connecting, Registered and Subscribed.
var moves = [lifeEvents][lifecycles]Lifecycle{
	lifeRegistered:   {Connecting, Connecting, Connecting, Connecting},
	lifeReturned:     {Connecting, illegal, illegal, illegal},
	lifeHeard:        {illegal, Registered, Registered, Subscribed},
	lifeOverdue:      {illegal, Connecting, Connecting, Connecting},
	lifeLost:         {illegal, Disconnected, illegal, illegal},
	lifeCatalog:      {illegal, illegal, Registered, Subscribed},
	lifeSubscribed:   {illegal, illegal, Subscribed, Subscribed},
	lifeEnded:        {illegal, illegal, illegal, Registered},
	lifeUnregistered: {illegal, Disconnected, Disconnected, Disconnected},
	lifeExpired:      {illegal, Disconnected, Disconnected, Disconnected},
}

// driveLocked drives s by an event, and refuses and counts one that can't be now: an answer, say,
// that comes when its device has gone.
func (f *Fleet) driveLocked(s *session, e lifeEvent) {
	to := moves[e][s.life]
	switch to {
	case illegal:
		f.metrics.lifeRefused.WithLabelValues(s.life.String(), e.String()).Inc()
	case s.life:
	default:
		f.lives[s.life].Add(-1)
		f.lives[to].Add(1)
		s.life = to
	}
}

// driveHeardLocked drives s by a sign of life.
func (f *Fleet) driveHeardLocked(s *session) {
	if s.life == Disconnected {
		f.driveLocked(s, lifeReturned)
		return
	}
	f.driveLocked(s, lifeHeard)
}

// driveAwayLocked drives s, whose presence is not online any more, for reason.
func (f *Fleet) driveAwayLocked(s *session, to Presence, reason string) {
	switch {
	case s.life == Disconnected: // its own MQTT client made it online
	case to == Unknown:
		f.driveLocked(s, lifeOverdue)
	case reason == ReasonUnregistered:
		f.driveLocked(s, lifeUnregistered)
	case reason == ReasonExpired:
		f.driveLocked(s, lifeExpired)
	case reason == ReasonKeepaliveLost:
		f.driveLocked(s, lifeLost)
	}
}

// SetSubscribed tells whether a subscription of a device is live.
func (f *Fleet) SetSubscribed(id gb28181.ID, live bool) {
	sh := f.shardOf(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	switch s := sh.sessions.get(id); {
	case s == nil:
	case live:
		f.driveLocked(s, lifeSubscribed)
	case s.life == Subscribed: // else it has none, as before
		f.driveLocked(s, lifeEnded)
	}
}

// Lifecycles returns how many devices are in each Lifecycle.
func (f *Fleet) Lifecycles() (n [lifecycles]int) {
	for l := range n {
		n[l] = int(f.lives[l].Load())
	}
	return n
}
