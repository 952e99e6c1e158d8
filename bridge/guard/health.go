package guard

import (
	"context"
	"hash/maphash"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Level is how good the link to a device is; the zero value is the best.
type Level uint8

// The levels.
const (
	Good Level = iota // health of 0.9 and more
	Warn              // 0.7 and more
	Bad               // below
)

// String returns the word that MQTT shows.
func (l Level) String() string {
	switch l {
	case Warn:
		return "warn"
	case Bad:
		return "bad"
	}
	return "good"
}

// Link is what the last minute tells of the link to a device.
type Link struct {
	Health float64 // 0 to 1: 1 less the weighted sum of the three below
	Level  Level
	// What it is made of, each 0 (well) to 1.
	Jitter   float64 // mean deviation of the round-trip times by their median
	Timeouts float64 // share of the requests that were left without an answer
	Denials  float64 // registrations a minute whose credentials were refused
	Requests int     // that this is concluded from
}

// The rules of the link's health.
const (
	linkWindow   = 60 * time.Second // what counts
	linkRequests = 64               // of them at most, the last
	linkMemory   = 5 * time.Minute  // what the weights are made from, and how long a device is remembered
	linkInterval = 10 * time.Second // between two tellings, and a bucket of the memory
	linkBuckets  = int(linkMemory / linkInterval)
	goodHealth   = 0.9
	warnHealth   = 0.7
	healthStep   = 0.1                   // less of a change within a level is not told
	leastMedian  = 50 * time.Millisecond // below, round-trip times vary by the device's own doing
	badRequests  = 3                     // fewer say too little to leave a link for
	// The bounds of what a weight is multiplied with: within them a link that loses everything is
	// bad whatever was before, and one that is denied is not, for that alone.
	mostSteady  = 1.0
	leastSteady = 0.8
)

// The parts that health is made of, and their weights.
const (
	jitterPart = iota
	timeoutPart
	denialPart
	linkParts
)

var linkWeights = [linkParts]float64{0.45, 0.35, 0.20}

// LinkOptions are what Links are made with. The callbacks are called one at a time, without a
// lock held; they must not block, and may call back into the Links.
type LinkOptions struct {
	// OnChange tells a new level, or a health that moved by a tenth; of one device at most
	// every 10 s. The first measurement of a device is always told.
	OnChange func(device string, l Link)
	// OnBad tells each measurement that finds a link bad by enough requests to leave it for.
	OnBad func(device string)
	// Registerer takes the metrics.
	Registerer prometheus.Registerer
}

const linkShards = 64

// Links measures the links to the devices that are asked something. One that was not asked
// for five minutes is not remembered; none has a goroutine or a timer of its own.
type Links struct {
	options LinkOptions
	metrics *linkMetrics
	seed    maphash.Seed
	epoch   time.Time // a window before the first measurement, so that 0 is long ago
	shards  [linkShards]linkShard
	told    announcements
}

type linkShard struct {
	mu    sync.Mutex // guards links and what is in them; never held in a callback
	links map[string]*link
}

// NewLinks returns Links that know nothing yet; Run forgets what is old.
func NewLinks(options LinkOptions) (*Links, error) {
	m, err := newLinkMetrics(options.Registerer)
	if err != nil {
		return nil, err
	}
	l := &Links{options: options, metrics: m, seed: maphash.MakeSeed(), epoch: time.Now().Add(-linkWindow)}
	for i := range l.shards {
		l.shards[i].links = make(map[string]*link)
	}
	return l, nil
}

// Way tells the ways to a device apart: what is lost on one tells nothing of the other.
type Way uint8

// The ways, and how many there are.
const (
	OverUDP Way = iota
	OverTCP
	linkWays = iota
)

// Answered takes the round-trip time of a request over via that the device answered. The link's
// health is that of via then.
func (l *Links) Answered(device string, via Way, rtt time.Duration) {
	micros := min(max(rtt.Microseconds(), 0), unanswered-1)
	l.measured(device, func(k *link, now time.Duration) { k.add(now, via, uint32(micros)) })
}

// TimedOut tells of a request over via that was left without an answer. The link's health is
// that of via then.
func (l *Links) TimedOut(device string, via Way) {
	l.measured(device, func(k *link, now time.Duration) { k.add(now, via, unanswered) })
}

// Denied tells that the device's own credentials were refused.
func (l *Links) Denied(device string) {
	l.measured(device, func(k *link, now time.Duration) { k.denied = now })
}

// Reset forgets what was measured of a device: it is reached by another link now.
func (l *Links) Reset(device string) {
	s := l.shard(device)
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.links[device]; k != nil {
		l.forgetLocked(s, device, k)
	}
}

// Link returns what was measured last of a device; false when it was not asked for a while.
func (l *Links) Link(device string) (Link, bool) {
	s := l.shard(device)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.links[device]
	if k == nil {
		return Link{}, false
	}
	return k.now, true
}

// Len returns how many devices are remembered.
func (l *Links) Len() int {
	n := 0
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		n += len(s.links)
		s.mu.Unlock()
	}
	return n
}

// Run tells what came too soon, and forgets the devices that are not asked any more, until
// ctx ends.
func (l *Links) Run(ctx context.Context) error {
	tick := time.NewTicker(linkInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			l.sweep(now.Sub(l.epoch))
		}
	}
}

func (l *Links) sweep(now time.Duration) {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		for device, k := range s.links {
			switch {
			case now-k.heard >= linkMemory:
				l.forgetLocked(s, device, k)
			case k.now.Level != Good && now-k.heard < linkWindow:
				l.concludeLocked(device, k, now) // a denial, or a burst of lost requests, grows old
			case k.owed:
				l.tellLocked(device, k, now)
			}
		}
		s.mu.Unlock()
		l.told.drain()
	}
}

func (l *Links) forgetLocked(s *linkShard, device string, k *link) {
	l.metrics.devices[k.now.Level].Dec()
	delete(s.links, device)
}

// measured notes something about a device, and concludes from it.
func (l *Links) measured(device string, note func(k *link, now time.Duration)) {
	now := time.Since(l.epoch)
	s := l.shard(device)
	s.mu.Lock()
	k := s.links[device]
	if k == nil {
		k = new(link)
		s.links[device] = k
		l.metrics.devices[Good].Inc()
	}
	k.heard = now
	note(k, now)
	l.concludeLocked(device, k, now)
	if k.now.Level == Bad && k.now.Requests >= badRequests && l.options.OnBad != nil {
		l.told.add(func() { l.options.OnBad(device) })
	}
	s.mu.Unlock()
	l.told.drain()
}

// concludeLocked measures a link anew, and tells what is news.
func (l *Links) concludeLocked(device string, k *link, now time.Duration) {
	before := k.now.Level
	k.now = k.conclude(now)
	if k.now.Level != before {
		l.metrics.devices[before].Dec()
		l.metrics.devices[k.now.Level].Inc()
	}
	if !k.known || k.now.Level != k.told.Level || math.Abs(k.now.Health-k.told.Health) >= healthStep {
		l.tellLocked(device, k, now)
	} else {
		k.owed = false
	}
}

// tellLocked tells how a link is, now or once the last telling is long enough ago.
func (l *Links) tellLocked(device string, k *link, now time.Duration) {
	if k.owed = k.known && now-k.toldAt < linkInterval; k.owed {
		return
	}
	k.told, k.toldAt, k.known = k.now, now, true
	if told := k.now; l.options.OnChange != nil {
		l.told.add(func() { l.options.OnChange(device, told) })
	}
}

func (l *Links) shard(device string) *linkShard {
	return &l.shards[maphash.String(l.seed, device)%linkShards]
}
