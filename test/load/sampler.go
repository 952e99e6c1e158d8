package main

import (
	"context"
	"sync"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
	"github.com/gb2mqtt/gb2mqtt/test/load/measure"
)

// sampler looks at everything once a second and whenever a phase begins. Its Run owns what
// it gathers; result reads it once Run has ended.
type sampler struct {
	scraper *measure.Scraper
	fleet   *camera.Fleet
	totals  map[string]*measure.Recorder // of what goes over MQTT
	show    func(measure.Sample)

	mu     sync.Mutex // guards what the driver tells
	phase  int
	wanted float64
	until  float64 // devices at the end of the phase

	began      time.Time
	turns      chan turn
	samples    []measure.Sample
	bounds     []bound
	requests   uint64
	looks      map[string]measure.Look
	registered float64
	since      float64 // since when as many are registered as the phase shall end with; -1: they are not
}

// turn is a phase that begins, or -1: the last has ended. seen is closed once it was looked
// at what the phase before has left.
type turn struct {
	phase         int
	wanted, until float64 // devices at its beginning and at its end
	seen          chan struct{}
}

// bound is a look at the beginning of a phase, and at the end of the last.
type bound struct {
	phase int
	at    float64
	looks map[string]measure.Look
	since float64 // of the phase that ends here
}

// How often it looks at what changes fast, and at everything.
const (
	glance = 100 * time.Millisecond
	whole  = time.Second
)

func newSampler(scraper *measure.Scraper, fleet *camera.Fleet, totals map[string]*measure.Recorder, show func(measure.Sample)) *sampler {
	return &sampler{scraper: scraper, fleet: fleet, totals: totals, show: show, turns: make(chan turn), since: -1, looks: make(map[string]measure.Look)}
}

// lookWithin is how long a look at the end of a phase may hold the next one up: a bridge
// that stands still must not.
const lookWithin = 500 * time.Millisecond

// turn tells that a phase begins, or with -1 that the last has ended, and how many devices it
// shall begin and end with. It returns once it was looked at what the phase before has left.
func (s *sampler) turn(ctx context.Context, phase int, wanted, until float64) {
	patience := time.NewTimer(lookWithin)
	defer patience.Stop()
	t := turn{phase, wanted, until, make(chan struct{})}
	select {
	case s.turns <- t:
	case <-ctx.Done():
		return
	}
	select {
	case <-t.seen:
	case <-patience.C:
	case <-ctx.Done():
	}
}

// want tells how many devices are wanted now.
func (s *sampler) want(devices int) {
	s.mu.Lock()
	s.wanted = float64(devices)
	s.mu.Unlock()
}

// Run gathers until the last phase has ended or ctx ends.
func (s *sampler) Run(ctx context.Context, began time.Time) error {
	s.began = began
	tick := time.NewTicker(glance)
	defer tick.Stop()
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case t := <-s.turns:
			last = time.Now()
			s.count(last)
			since := s.since
			s.since = -1
			if t.phase >= 0 {
				s.mu.Lock()
				s.phase, s.wanted, s.until = t.phase, t.wanted, t.until
				s.mu.Unlock()
			}
			s.sample(ctx, last)
			s.bounds = append(s.bounds, bound{t.phase, s.samples[len(s.samples)-1].At, s.looks, since})
			close(t.seen)
			if t.phase < 0 {
				return nil
			}
		case now := <-tick.C:
			s.count(now)
			if now.Sub(last) >= whole {
				last = now
				s.sample(ctx, now)
			}
		}
	}
}

// count looks at how many devices are registered.
func (s *sampler) count(now time.Time) {
	s.registered = float64(s.fleet.Progress().Registered)
	s.mu.Lock()
	enough := s.registered >= s.until
	s.mu.Unlock()
	switch {
	case !enough:
		s.since = -1
	case s.since < 0:
		s.since = now.Sub(s.began).Seconds()
	}
}

// sample looks at everything.
func (s *sampler) sample(ctx context.Context, now time.Time) {
	s.count(now)
	s.mu.Lock()
	next := measure.Sample{At: now.Sub(s.began).Seconds(), Phase: s.phase, Wanted: s.wanted, Registered: s.registered, Kinds: make(map[string]measure.Kind)}
	s.mu.Unlock()
	var over float64
	var before *measure.Sample
	if n := len(s.samples); n > 0 {
		before = &s.samples[n-1]
		over = next.At - before.At
	}
	looks := s.look()
	for kind, look := range looks {
		if earlier, ok := s.looks[kind]; ok {
			if gained := look.Since(earlier); gained.Sent+gained.Answered+gained.Lost > 0 {
				next.Kinds[kind] = gained.Over(time.Duration(over * float64(time.Second)))
			}
		}
	}
	s.looks = looks
	requests := s.fleet.Stats().Requests()
	if over > 0 {
		next.Requests = float64(requests-s.requests) / over
	}
	s.requests = requests
	if p, err := s.scraper.Scrape(ctx); err == nil { // a bridge that stands still shows as a gap
		p.At = now.Sub(s.began).Seconds()
		next.Take(p, before)
	}
	s.samples = append(s.samples, next)
	s.show(next)
}

// look takes what every kind has come to.
func (s *sampler) look() map[string]measure.Look {
	all := make(map[string]measure.Look)
	for kind, r := range s.totals {
		all[kind] = r.Look()
	}
	for _, k := range camera.Kinds() {
		c := s.fleet.Stats().Kind(k)
		all[k.String()] = measure.Look{Sent: c.Sent, Answered: c.Answered, Refused: c.Refused, Lost: c.Lost, Latency: s.fleet.Stats().Latency(k)}
	}
	return all
}
