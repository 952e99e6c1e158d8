// Package measure counts what a load test sends and what comes back, reads the bridge's own
// metrics, and makes of both what objectives ask for: values by phase, and samples over
// time.
//
//	requests and answers ──▶ Recorder ─┐
//	/metrics ──▶ Scrape ─▶ Process ────┼─▶ Sample, every second ─▶ Result: phases, samples
//	camera.Stats ──────────────────────┘
package measure

import (
	"sync/atomic"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/latency"
)

// Recorder counts the requests of one kind, and their ends. The zero value is ready, and any
// number of goroutines may use it.
type Recorder struct {
	sent, answered, refused, lost atomic.Uint64
	latency                       latency.Histogram
}

// Sent counts a request.
func (r *Recorder) Sent() { r.sent.Add(1) }

// Answered counts an answer, and whether it was a refusal.
func (r *Recorder) Answered(after time.Duration, refused bool) {
	r.answered.Add(1)
	if refused {
		r.refused.Add(1)
	}
	r.latency.Add(after)
}

// Lost counts a request that was given up.
func (r *Recorder) Lost() { r.lost.Add(1) }

// Look returns what was counted so far.
func (r *Recorder) Look() Look {
	return Look{Sent: r.sent.Load(), Answered: r.answered.Load(), Refused: r.refused.Load(), Lost: r.lost.Load(), Latency: r.latency.Counts()}
}

// Look is what one kind has come to at one moment, or gained between two.
type Look struct {
	Sent, Answered, Refused, Lost uint64
	Latency                       *latency.Counts
}

// Since returns what was gained after earlier.
func (l Look) Since(earlier Look) Look {
	return Look{
		Sent: l.Sent - earlier.Sent, Answered: l.Answered - earlier.Answered, Refused: l.Refused - earlier.Refused,
		Lost: l.Lost - earlier.Lost, Latency: l.Latency.Since(earlier.Latency),
	}
}

// Kind is what one kind of request came to over a stretch of time.
type Kind struct {
	Sent     uint64  `json:"sent"`
	Answered uint64  `json:"answered"`
	Refused  uint64  `json:"refused"` // answered, and not well
	Lost     uint64  `json:"lost"`    // given up
	Rate     float64 `json:"rate"`    // answered in a second
	Errors   float64 `json:"errors"`  // refused or lost, of those that have ended
	Losses   float64 `json:"losses"`  // lost, of those that have ended
	P50      float64 `json:"p50_s"`
	P95      float64 `json:"p95_s"`
	P99      float64 `json:"p99_s"`
	Max      float64 `json:"max_s"`
}

// Over sums l up for a stretch of time.
func (l Look) Over(d time.Duration) Kind {
	k := Kind{Sent: l.Sent, Answered: l.Answered, Refused: l.Refused, Lost: l.Lost, Max: l.Latency.Max().Seconds()}
	if s := d.Seconds(); s > 0 {
		k.Rate = float64(l.Answered) / s
	}
	if ended := float64(l.Answered + l.Lost); ended > 0 {
		k.Errors, k.Losses = float64(l.Refused+l.Lost)/ended, float64(l.Lost)/ended
	}
	k.P50, k.P95, k.P99 = l.Latency.Quantile(.5).Seconds(), l.Latency.Quantile(.95).Seconds(), l.Latency.Quantile(.99).Seconds()
	return k
}

// value returns a measure of k by its name; false: there is none, for nothing has ended.
func (k Kind) value(name string) (float64, bool) {
	v, ok := map[string]float64{
		"p50": k.P50, "p95": k.P95, "p99": k.P99, "max": k.Max, "count": float64(k.Answered), "rate": k.Rate,
		"errors": k.Errors, "lost": k.Losses,
	}[name]
	counted := name == "count" || name == "rate" // of nothing it is 0
	return v, ok && (counted || k.Answered+k.Lost > 0)
}
