package camera

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Kind is a sort of request that devices send.
type Kind uint8

// The kinds that are counted apart.
const (
	KindRegister Kind = iota
	KindUnregister
	KindKeepalive
	KindAlarm
	KindResponse // to a Query or a Control
	KindMessage  // any other
	kinds
)

// String returns the kind's name in a summary.
func (k Kind) String() string {
	return [kinds]string{"register", "unregister", "keepalive", "alarm", "response", "message"}[k]
}

// Stats counts what devices send and hear. The zero value is ready, a nil one counts
// nothing, and all of it may be used by any number of goroutines.
type Stats struct {
	kinds    [kinds]counters
	requests atomic.Uint64
}

// counters are one kind's.
type counters struct {
	sentN, resentN, answeredN, refusedN, lostN atomic.Uint64
	latency                                    histogram
}

func (s *Stats) sent(k Kind) {
	if s != nil {
		s.kinds[k].sentN.Add(1)
	}
}

func (s *Stats) resent(k Kind) {
	if s != nil {
		s.kinds[k].resentN.Add(1)
	}
}

func (s *Stats) lost(k Kind) {
	if s != nil {
		s.kinds[k].lostN.Add(1)
	}
}

func (s *Stats) received() {
	if s != nil {
		s.requests.Add(1)
	}
}

// answered counts an answer; a challenge is an answer, not a refusal.
func (s *Stats) answered(k Kind, code int, rtt time.Duration) {
	if s == nil {
		return
	}
	c := &s.kinds[k]
	c.answeredN.Add(1)
	if code >= 300 && code != 401 {
		c.refusedN.Add(1)
	}
	c.latency.add(rtt)
}

// Count is the sum of one kind.
type Count struct {
	Sent     uint64        `json:"sent"`
	Resent   uint64        `json:"resent"`   // retransmissions
	Answered uint64        `json:"answered"` // finally, with any code
	Refused  uint64        `json:"refused"`  // answered with 3xx to 6xx, challenges aside
	Lost     uint64        `json:"lost"`     // given up without an answer
	P50      time.Duration `json:"-"`
	P95      time.Duration `json:"-"`
	P99      time.Duration `json:"-"`
	Max      time.Duration `json:"-"`
}

// Kind returns the count of one kind so far.
func (s *Stats) Kind(k Kind) Count {
	c := &s.kinds[k]
	n := Count{Sent: c.sentN.Load(), Resent: c.resentN.Load(), Answered: c.answeredN.Load(), Refused: c.refusedN.Load(), Lost: c.lostN.Load()}
	n.P50, n.P95, n.P99, n.Max = c.latency.quantile(.5), c.latency.quantile(.95), c.latency.quantile(.99), time.Duration(c.latency.most.Load())
	return n
}

// Total returns all kinds together.
func (s *Stats) Total() Count {
	var n Count
	var all histogram
	for k := range kinds {
		c := s.Kind(k)
		n.Sent, n.Resent, n.Answered, n.Refused, n.Lost = n.Sent+c.Sent, n.Resent+c.Resent, n.Answered+c.Answered, n.Refused+c.Refused, n.Lost+c.Lost
		all.merge(&s.kinds[k].latency)
	}
	n.P50, n.P95, n.P99, n.Max = all.quantile(.5), all.quantile(.95), all.quantile(.99), time.Duration(all.most.Load())
	return n
}

// Requests returns how many requests came from the platform.
func (s *Stats) Requests() uint64 { return s.requests.Load() }

// Kinds returns all kinds in the order of a summary.
func Kinds() []Kind {
	return []Kind{KindRegister, KindKeepalive, KindAlarm, KindResponse, KindMessage, KindUnregister}
}

// histogram counts durations in microseconds, each power of two in 32 steps: what it tells
// is at most 1/32 too large, from 1 µs to beyond an hour, in 9 KiB.
type histogram struct {
	counts [36 * steps]atomic.Uint64
	most   atomic.Int64 // nanoseconds
}

const steps = 32

func (h *histogram) add(d time.Duration) {
	h.counts[slot(uint64(max(d.Microseconds(), 0)))].Add(1)
	for {
		most := h.most.Load()
		if int64(d) <= most || h.most.CompareAndSwap(most, int64(d)) {
			return
		}
	}
}

// slot returns where v counts.
func slot(v uint64) int {
	if v < steps {
		return int(v)
	}
	shift := bits.Len64(v) - 6 // leaves 32…63
	return min((shift+1)*steps+int(v>>shift)-steps, 36*steps-1)
}

// top returns the largest value that counts at slot i.
func top(i int) uint64 {
	if i < steps {
		return uint64(i)
	}
	shift := i/steps - 1
	return (uint64(i%steps+steps)+1)<<shift - 1
}

// quantile returns the value that q of the counted do not exceed; 0 when nothing counted.
func (h *histogram) quantile(q float64) time.Duration {
	var total uint64
	for i := range h.counts {
		total += h.counts[i].Load()
	}
	rank := uint64(q*float64(total) + .5)
	var seen uint64
	for i := range h.counts {
		if seen += h.counts[i].Load(); seen > 0 && seen >= rank {
			return min(time.Duration(top(i))*time.Microsecond, time.Duration(h.most.Load()))
		}
	}
	return 0
}

// merge adds what other has counted.
func (h *histogram) merge(other *histogram) {
	for i := range other.counts {
		if n := other.counts[i].Load(); n > 0 {
			h.counts[i].Add(n)
		}
	}
	h.most.Store(max(h.most.Load(), other.most.Load()))
}
