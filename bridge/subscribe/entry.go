package subscribe

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/due"
	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// entry is what is known of a device's subscriptions.
type entry struct {
	device gb28181.ID
	busy   bool                 // a worker has it
	again  bool                 // something changed while it was at work
	away   bool                 // not online: nothing is asked
	told   told                 // what was reported last
	round  int                  // counts what makes a worker's result void: a return, an end by the device
	subs   [kinds]*subscription // nil: nothing is wanted, nothing is live
	due    due.Entry[*entry]
	settle chan struct{} // closed when a worker is done with it; nil: nobody waits
	heard  int64         // when its catalogue was last told or asked for; Unix s
}

// told is what was reported: kept small, for there is one for each device. That all is off goes
// without saying: it is what Of tells of a device that nothing is known of.
type told struct {
	states [kinds]uint8  // places in stateWords
	upheld [kinds]uint32 // seconds
}

var stateWords = []State{Off, Pending, Active, Refused}

func toldOf(upheld Wanted, states map[Kind]State) (t told) {
	for k := range upheld {
		t.upheld[k] = uint32(upheld[k] / time.Second)
		t.states[k] = uint8(slices.Index(stateWords, states[Kind(k)]))
	}
	return t
}

// sub is how one kind is.
func (e *entry) sub(k Kind) subscription {
	if s := e.subs[k]; s != nil {
		return *s
	}
	return subscription{state: Off}
}

// set takes over how one kind is.
func (e *entry) set(k Kind, s subscription) {
	if e.subs[k] = nil; s.wanted != 0 || s.live != 0 {
		e.subs[k] = &s
	}
}

// subscription is one kind's: wanted and live.
type subscription struct {
	wanted time.Duration
	state  State
	live   time.Duration // what was confirmed; 0: nothing
	event  int           // which of the kind's Event values
	id     uint64        // of Event
	dialog sip.Dialog
	next   time.Time     // when it is to be refreshed, asked again or polled; zero: never
	delay  time.Duration // of the next retry
}

// wants tells whether w is what e works for.
func (e *entry) wants(w Wanted) bool {
	for k := range e.subs {
		if e.sub(Kind(k)).wanted != w[k] {
			return false
		}
	}
	return true
}

// facts are what is upheld, and how each kind is.
func (e *entry) facts() (upheld Wanted, states map[Kind]State) {
	states = make(map[Kind]State, kinds)
	for k := range e.subs {
		s := e.sub(Kind(k))
		if s.live > 0 {
			upheld[k] = s.wanted
		}
		states[Kind(k)] = s.state
	}
	return upheld, states
}

// jittered is 80 to 90 % of d: a fleet that subscribed in step does not refresh in step.
func jittered(d time.Duration) time.Duration {
	return d*8/10 + rand.N(d/10+1)
}

// retry has s asked for again, with back-off.
func (s *subscription) retry() {
	s.state, s.live, s.dialog = Pending, 0, sip.Dialog{}
	s.delay = min(max(firstRetry, 2*s.delay), lastRetry)
	s.next = time.Now().Add(jittered(s.delay))
}

// refuse takes a refusal: the catalogue is polled from then on.
func (s *subscription) refuse(k Kind) {
	*s = subscription{wanted: s.wanted, state: Refused}
	if k == Catalog {
		s.next = time.Now().Add(jittered(s.wanted))
	}
}
