// Package leak finds connections that nobody owns any more, and ends them.
//
//	every resource ──▶ sweep: has it an owner? ──▶ PENDING ──▶ ORPHANED ──▶ RECLAIMED
//	                          it has (again) ─────▶ forgotten
//
// It knows nothing of SIP or media: whoever holds connections lists them as Resources.
package leak

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// State is how far a resource has gone.
type State uint8

// A resource whose owner is gone is Pending, Orphaned once it was idle for 30 s, and Reclaimed,
// which is closed, when it is that for 10 s more.
const (
	Pending State = iota
	Orphaned
	Reclaimed
)

// String returns the word that metrics show.
func (s State) String() string { return [...]string{"PENDING", "ORPHANED", "RECLAIMED"}[s] }

// The times of a sweeper.
const (
	interval  = time.Second
	idleLimit = 30 * time.Second
	grace     = 10 * time.Second
)

// Resource is something that must have an owner: a connection, a socket.
type Resource struct {
	Label   string // as its goroutines are labelled: unique, and never used again
	Used    time.Time
	Owned   func() bool // somebody needs it
	Reclaim func()      // ends it; must not block
}

// Source lists all resources of a kind. each must not be called with a lock held that Owned or
// Reclaim takes.
type Source func(each func(Resource))

// Sweeper looks at all resources once a second.
type Sweeper struct {
	log       *slog.Logger
	sources   []Source
	marks     map[string]mark // by Label; owned by Run
	states    [Reclaimed + 1]prometheus.Gauge
	reclaimed prometheus.Counter
}

// mark is what is remembered of a resource without an owner.
type mark struct {
	state State
	since time.Time // it is Orphaned
	round uint64    // of the sweep that saw it last
}

// NewSweeper returns a Sweeper of sources.
func NewSweeper(log *slog.Logger, reg prometheus.Registerer, sources ...Source) (*Sweeper, error) {
	states := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "gb2mqtt_leak_connections", Help: "Connections without an owner, by state; RECLAIMED: those closed by the last sweep.",
	}, []string{"state"})
	s := &Sweeper{
		log: log, sources: sources, marks: make(map[string]mark),
		reclaimed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gb2mqtt_leak_reclaimed_total", Help: "Connections closed because nobody owned them any more.",
		}),
	}
	for state := range s.states {
		s.states[state] = states.WithLabelValues(State(state).String())
	}
	for _, c := range []prometheus.Collector{states, s.reclaimed} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register the leak metrics: %w", err)
		}
	}
	return s, nil
}

// Run sweeps until ctx ends.
func (s *Sweeper) Run(ctx context.Context) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for round := uint64(1); ; round++ {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			s.sweep(now, round)
		}
	}
}

func (s *Sweeper) sweep(now time.Time, round uint64) {
	var counts [Reclaimed + 1]int
	for _, source := range s.sources {
		source(func(r Resource) {
			if r.Owned() {
				return // a mark that it may have goes below
			}
			m := s.marks[r.Label]
			m.round = round
			m = m.next(now, now.Sub(r.Used))
			s.marks[r.Label] = m
			if counts[m.state]++; m.state == Reclaimed {
				s.reclaimed.Inc()
				s.log.Info("connection without an owner closed", "conn", r.Label, "idle", now.Sub(r.Used).Round(time.Second))
				r.Reclaim()
			}
		})
	}
	for label, m := range s.marks {
		if m.round != round || m.state == Reclaimed {
			delete(s.marks, label)
		}
	}
	for state, gauge := range s.states {
		gauge.Set(float64(counts[state]))
	}
}

// next is the mark of a resource that has no owner and was idle for so long.
func (m mark) next(now time.Time, idle time.Duration) mark {
	switch {
	case idle < idleLimit: // what is used belongs to somebody who may yet show himself
		m.state = Pending
	case m.state == Pending:
		m.state, m.since = Orphaned, now
	case now.Sub(m.since) >= grace:
		m.state = Reclaimed
	}
	return m
}
