package guard

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// BreakerOptions are what Breakers are made with. The callbacks are called one at a time, in
// the order of what they tell, without a lock held; they may call back into the Breakers.
type BreakerOptions struct {
	// OnChange tells that a breaker moved. retryAt is zero where it is not known.
	OnChange func(device string, state State, reason string, retryAt time.Time)
	// Probe asks for a request to a half-open device, for no command waits that could tell
	// whether it answers. It must not block.
	Probe func(device string)
	// Registerer takes the metrics.
	Registerer prometheus.Registerer
}

const breakerShards = 64

// Breakers holds a breaker for each device about which there is something to remember. A
// device at rest has no entry, and none has a goroutine or a timer of its own.
type Breakers struct {
	options BreakerOptions
	metrics *breakerMetrics
	seed    maphash.Seed
	shards  [breakerShards]breakerShard
	due     timetable
	told    announcements
}

type breakerShard struct {
	mu      sync.Mutex // guards devices and the breakers in it; never held in a callback
	devices map[string]*breaker
}

// NewBreakers returns breakers that are all closed.
func NewBreakers(options BreakerOptions) (*Breakers, error) {
	m, err := newBreakerMetrics(options.Registerer)
	if err != nil {
		return nil, err
	}
	b := &Breakers{options: options, metrics: m, seed: maphash.MakeSeed()}
	b.due.changed = make(chan struct{}, 1)
	for i := range b.shards {
		b.shards[i].devices = make(map[string]*breaker)
	}
	return b, nil
}

// sweepInterval is how often outcomes that have left the window are looked for.
const sweepInterval = windowSpan / 2

// Run half-opens breakers when their back-off has run, and forgets devices about which
// there is nothing left to remember, until ctx ends.
func (b *Breakers) Run(ctx context.Context) error {
	sweep := time.NewTicker(sweepInterval)
	defer sweep.Stop()
	retry := time.NewTimer(time.Hour)
	defer retry.Stop()
	for {
		wait := time.Hour
		if at, any := b.due.next(); any {
			wait = max(0, time.Until(at))
		}
		retry.Reset(wait)
		select {
		case <-ctx.Done():
			return nil
		case <-b.due.changed:
		case <-sweep.C:
			b.sweep(time.Now())
		case now := <-retry.C:
			for _, device := range b.due.take(now) {
				b.with(device, func(br *breaker) {
					br.scheduled = false
					b.settle(device, br, now)
					b.resume(device, br, now)
				})
			}
		}
	}
}

// Enter asks to send a request to device. A closed breaker lets it go; an open one refuses
// it at once, unless the device has been heard again: then, and while a probe is under way,
// Enter waits for the outcome until ctx ends. Whoever was let go calls done exactly once.
func (b *Breakers) Enter(ctx context.Context, device string) (done func(Outcome), refused *OpenError) {
	waits := false
	for {
		var moved chan struct{}
		b.with(device, func(br *breaker) {
			now := time.Now()
			b.settle(device, br, now)
			if waits {
				br.waiting--
				waits = false
			}
			switch {
			case br.state == Closed:
				done = func(o Outcome) { b.closedOutcome(device, o) }
			case br.mayProbe(now):
				br.probing = true
				br.nextProbe = now.Add(probeInterval)
				br.probe++
				number := br.probe
				done = func(o Outcome) { b.probeOutcome(device, number, o) }
			case br.state == Open && !br.alive, ctx.Err() != nil:
				refused = br.refusal()
			default:
				if br.moved == nil {
					br.moved = make(chan struct{})
				}
				br.waiting++
				waits = true
				moved = br.moved
			}
		})
		if done != nil || refused != nil {
			return done, refused
		}
		select {
		case <-moved:
		case <-ctx.Done():
		}
	}
}

// Check refuses as Enter would at once, without waiting and without sending anything.
func (b *Breakers) Check(device string) (refused *OpenError) {
	s := b.shard(device)
	s.mu.Lock()
	defer s.mu.Unlock()
	if br := s.devices[device]; br != nil && br.state == Open && !br.alive && !br.ripe(time.Now()) {
		return br.refusal()
	}
	return nil
}

// Trip opens the breaker of a device that is gone, as its presence tells. Its next sign of
// life lets it be tried again.
func (b *Breakers) Trip(device, reason string) {
	b.with(device, func(br *breaker) {
		if br.state == Open { // it keeps its back-off
			br.reason, br.alive, br.needsLife = reason, false, true
			br.wake()
			return
		}
		br.open(reason, time.Now())
		br.needsLife = true
		b.moved(device, br)
	})
}

// Alive tells that the device was heard. It half-opens an open breaker as soon as the
// back-off has run, and asks for a probe where a half-open one has none.
func (b *Breakers) Alive(device string) {
	s := b.shard(device)
	s.mu.Lock()
	br := s.devices[device]
	news := br != nil && (br.state == Open && !br.alive || br.mayProbe(time.Now()))
	s.mu.Unlock()
	if !news {
		return // the usual case: nothing to remember
	}
	b.with(device, func(br *breaker) {
		switch {
		case br.state == Open:
			br.alive = true
			b.settle(device, br, time.Now())
			b.schedule(device, br)
		default:
			b.resume(device, br, time.Now())
		}
	})
}

// State returns the position of the device's breaker.
func (b *Breakers) State(device string) State {
	s := b.shard(device)
	s.mu.Lock()
	defer s.mu.Unlock()
	if br := s.devices[device]; br != nil {
		return br.state
	}
	return Closed
}

// Len returns about how many devices there is something to remember.
func (b *Breakers) Len() int {
	n := 0
	for i := range b.shards {
		s := &b.shards[i]
		s.mu.Lock()
		n += len(s.devices)
		s.mu.Unlock()
	}
	return n
}

// closedOutcome takes the outcome of a request that a closed breaker let go.
func (b *Breakers) closedOutcome(device string, o Outcome) {
	if o == Withdrawn {
		return
	}
	b.with(device, func(br *breaker) {
		switch {
		case br.state == Closed:
			if reason := br.record(o, time.Now()); reason != "" {
				br.open(reason, time.Now())
				b.moved(device, br)
				b.schedule(device, br)
			}
		case br.state == Open && o == Success: // a late answer is a sign of life
			br.alive = true
			b.settle(device, br, time.Now())
			b.schedule(device, br)
		}
	})
}

// probeOutcome takes the outcome that all who wait for a half-open breaker wait for.
func (b *Breakers) probeOutcome(device string, number uint32, o Outcome) {
	b.with(device, func(br *breaker) {
		if br.state != HalfOpen || !br.probing || br.probe != number {
			return // the device went away meanwhile
		}
		br.probing = false
		switch o {
		case Withdrawn:
			b.resume(device, br, time.Now())
		case Success:
			br.close()
			b.moved(device, br)
		default:
			br.open(ReasonProbeFailed, time.Now())
			b.moved(device, br)
			b.schedule(device, br)
		}
	})
}

// settle half-opens a breaker whose time has come.
func (b *Breakers) settle(device string, br *breaker, now time.Time) {
	if !br.ripe(now) {
		return
	}
	br.state, br.askAgain = HalfOpen, time.Time{}
	if b.moved(device, br); br.waiting == 0 {
		b.askProbe(device, br, now)
	}
}

// resume has a half-open breaker go on that has no probe: who waits is the next one; where
// nobody does, one is asked for.
func (b *Breakers) resume(device string, br *breaker, now time.Time) {
	switch {
	case !br.mayProbe(now):
		b.schedule(device, br)
	case br.waiting > 0:
		br.wake()
	default:
		b.askProbe(device, br, now)
	}
}

// schedule has Run look at a breaker when its back-off has run, or when it may be probed again.
func (b *Breakers) schedule(device string, br *breaker) {
	at := br.retryAt
	switch {
	case br.scheduled:
		return
	case br.state == HalfOpen && !br.probing:
		at = br.nextProbe
	case br.state != Open || !br.mayRetry():
		return
	}
	br.scheduled = true
	b.due.add(device, at)
}

// moved announces the new position and lets everybody who waits look again.
func (b *Breakers) moved(device string, br *breaker) {
	b.metrics.changes[br.state].Inc()
	state, reason, retryAt := br.state, br.reason, time.Time{}
	if state == Open && br.mayRetry() && !br.needsLife {
		retryAt = br.retryAt
	}
	if b.options.OnChange != nil {
		b.told.add(func() { b.options.OnChange(device, state, reason, retryAt) })
	}
	br.wake()
}

// askProbe asks for a request to a half-open device, unless that was done just now.
func (b *Breakers) askProbe(device string, br *breaker, now time.Time) {
	if b.options.Probe == nil || now.Before(br.askAgain) {
		return
	}
	br.askAgain = now.Add(probeInterval)
	b.told.add(func() {
		s := b.shard(device)
		s.mu.Lock()
		br := s.devices[device]
		needed := br != nil && br.state == HalfOpen && !br.probing
		s.mu.Unlock()
		if needed { // else a command was quicker
			b.options.Probe(device)
		}
	})
}

// with runs f on the device's breaker under its lock, and then tells what f announced.
func (b *Breakers) with(device string, f func(*breaker)) {
	s := b.shard(device)
	s.mu.Lock()
	br := s.devices[device]
	if br == nil {
		br = new(breaker)
		s.devices[device] = br
	}
	before := br.state
	f(br)
	if br.state != before {
		b.metrics.count(before, br.state)
	}
	if br.idle() {
		delete(s.devices, device)
	}
	s.mu.Unlock()
	b.told.drain()
}

func (b *Breakers) shard(device string) *breakerShard {
	return &b.shards[maphash.String(b.seed, device)%breakerShards]
}

// sweep forgets outcomes that have left the window, and devices with nothing else.
func (b *Breakers) sweep(now time.Time) {
	for i := range b.shards {
		s := &b.shards[i]
		s.mu.Lock()
		for device, br := range s.devices {
			br.forget(now)
			if br.idle() {
				delete(s.devices, device)
			}
		}
		s.mu.Unlock()
	}
}
