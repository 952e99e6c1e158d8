package camera

import (
	"sync/atomic"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/latency"
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
	KindCatalog  // a change of the catalogue
	KindPosition
	KindNotify  // any other NOTIFY
	KindMessage // any other
	kinds
)

// String returns the kind's name in a summary.
func (k Kind) String() string {
	return [kinds]string{"register", "unregister", "keepalive", "alarm", "response", "catalog", "position", "notify", "message"}[k]
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
	latency                                    latency.Histogram
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
	c.latency.Add(rtt)
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
	n.take(c.latency.Counts())
	return n
}

// take fills in what the latencies come to.
func (n *Count) take(c *latency.Counts) {
	n.P50, n.P95, n.P99, n.Max = c.Quantile(.5), c.Quantile(.95), c.Quantile(.99), c.Max()
}

// Latency returns how long the answers of one kind have taken so far.
func (s *Stats) Latency(k Kind) *latency.Counts { return s.kinds[k].latency.Counts() }

// Total returns all kinds together.
func (s *Stats) Total() Count {
	var n Count
	var all latency.Counts
	for k := range kinds {
		c := s.Kind(k)
		n.Sent, n.Resent, n.Answered, n.Refused, n.Lost = n.Sent+c.Sent, n.Resent+c.Resent, n.Answered+c.Answered, n.Refused+c.Refused, n.Lost+c.Lost
		all.Add(s.Latency(k))
	}
	n.take(&all)
	return n
}

// Requests returns how many requests came from the platform.
func (s *Stats) Requests() uint64 { return s.requests.Load() }

// Kinds returns all kinds in the order of a summary.
func Kinds() []Kind {
	return []Kind{KindRegister, KindKeepalive, KindAlarm, KindCatalog, KindPosition, KindNotify, KindResponse, KindMessage, KindUnregister}
}
