package fleet

import "time"

// The wheel's grain and round. Reaction is due within max(100 ms, 2 % of K): one tick to
// round a deadline up, one for the ticker.
const (
	tick       = 20 * time.Millisecond
	wheelSlots = 1024
)

// wheel holds at most one deadline of each session, in slots by tick. It is lazy: a sign of
// life does not move its session; when a slot comes due, the session is looked at and put
// back where it belongs. Its shard's lock guards it.
type wheel struct {
	slots [wheelSlots]*session
	at    int64 // the last tick done
}

// place is a session's part of a wheel.
type place struct {
	prev, next *session
	due        int64 // tick; 0: it is in none
}

// put sets s to come due once deadline is reached. A session that comes due earlier anyway
// stays where it is.
func (w *wheel) put(s *session, deadline time.Duration) {
	due := max(int64((deadline+tick-1)/tick), w.at+1)
	if s.place.due > 0 {
		if s.place.due <= due {
			return
		}
		w.remove(s)
	}
	slot := &w.slots[due%wheelSlots]
	s.place = place{next: *slot, due: due}
	if *slot != nil {
		(*slot).place.prev = s
	}
	*slot = s
}

func (w *wheel) remove(s *session) {
	p := s.place
	if p.prev != nil {
		p.prev.place.next = p.next
	} else {
		w.slots[p.due%wheelSlots] = p.next
	}
	if p.next != nil {
		p.next.place.prev = p.prev
	}
	s.place = place{}
}

// advance turns the wheel to now and takes out every session that has come due, for look,
// which may put it back. A gap of more than a round costs one round.
func (w *wheel) advance(now time.Duration, look func(*session)) {
	to := int64(now / tick)
	from := max(w.at, to-wheelSlots)
	if w.at >= to {
		return
	}
	w.at = to
	for t := from + 1; t <= to; t++ {
		for s := w.slots[t%wheelSlots]; s != nil; {
			next := s.place.next
			if s.place.due <= to {
				w.remove(s)
				look(s)
			}
			s = next
		}
	}
}
