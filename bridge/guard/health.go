package guard

import (
	"context"
	"hash/maphash"
	"math"
	"slices"
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

// link is what is remembered of one device, some 100 to 700 bytes.
type link struct {
	requests []request                     // the oldest first, at most linkRequests
	denied   time.Duration                 // the last time, since the epoch
	heard    time.Duration                 // of the last request or denial
	memory   [linkBuckets][linkParts]uint8 // by bucket of time, each part as 255ths
	filled   uint64                        // which buckets of memory hold something, the newest in bit 0
	bucket   int64                         // of bit 0
	now      Link
	told     Link
	toldAt   time.Duration
	known    bool // told holds something
	owed     bool // a change came too soon after the last
}

// request is one that has ended.
type request struct {
	at  uint32 // tenths of seconds since the epoch
	rtt uint32 // microseconds; unanswered: there was none
}

const unanswered = math.MaxUint32

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

// Answered takes the round-trip time of a request that the device answered.
func (l *Links) Answered(device string, rtt time.Duration) {
	micros := min(max(rtt.Microseconds(), 0), unanswered-1)
	l.measured(device, func(k *link, now time.Duration) { k.add(now, uint32(micros)) })
}

// TimedOut tells of a request that was left without an answer.
func (l *Links) TimedOut(device string) {
	l.measured(device, func(k *link, now time.Duration) { k.add(now, unanswered) })
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

// add notes a request that has ended.
func (k *link) add(now time.Duration, rtt uint32) {
	if len(k.requests) == linkRequests {
		k.requests = k.requests[:copy(k.requests, k.requests[1:])]
	}
	k.requests = append(k.requests, request{tenths(now), rtt})
}

func tenths(d time.Duration) uint32 { return uint32(d / (100 * time.Millisecond)) }

// conclude weighs what the window holds.
func (k *link) conclude(now time.Duration) Link {
	oldest, gone := tenths(now-linkWindow), 0
	for gone < len(k.requests) && k.requests[gone].at < oldest {
		gone++
	}
	k.requests = k.requests[:copy(k.requests, k.requests[gone:])]
	parts := [linkParts]float64{jitterPart: k.jitter(), timeoutPart: k.timeouts()}
	if now-k.denied < linkWindow {
		parts[denialPart] = 1
	}
	k.remember(now, parts)
	health := 1.0
	for i, weight := range k.weights() {
		health -= weight * parts[i]
	}
	c := Link{
		Health: max(0, health), Jitter: parts[jitterPart], Timeouts: parts[timeoutPart], Denials: parts[denialPart],
		Requests: len(k.requests), Level: Bad,
	}
	switch {
	case c.Health >= goodHealth:
		c.Level = Good
	case c.Health >= warnHealth:
		c.Level = Warn
	}
	return c
}

// jitter is the mean deviation of the round-trip times by their median, which counts as
// 50 ms at least; at most 1.
func (k *link) jitter() float64 {
	var buf [linkRequests]uint32
	times, sum := buf[:0], 0.0
	for _, r := range k.requests {
		if r.rtt != unanswered {
			times = append(times, r.rtt)
			sum += float64(r.rtt)
		}
	}
	if len(times) < 2 {
		return 0
	}
	slices.Sort(times)
	mean, deviation := sum/float64(len(times)), 0.0
	for _, t := range times {
		deviation += math.Abs(float64(t) - mean)
	}
	median := float64(times[len(times)/2]+times[(len(times)-1)/2]) / 2
	return min(1, deviation/float64(len(times))/max(median, float64(leastMedian.Microseconds())))
}

// timeouts is the share of requests that were left without an answer.
func (k *link) timeouts() float64 {
	lost := 0
	for _, r := range k.requests {
		if r.rtt == unanswered {
			lost++
		}
	}
	return float64(lost) / float64(max(1, len(k.requests)))
}

// remember puts the parts into the memory; the last of a bucket counts for it.
func (k *link) remember(now time.Duration, parts [linkParts]float64) {
	bucket := int64(now / linkInterval)
	if moved := bucket - k.bucket; moved > 0 {
		k.filled <<= min(uint64(moved), 63)
		k.filled &= 1<<linkBuckets - 1
		k.bucket = bucket
	}
	k.filled |= 1
	m := &k.memory[bucket%int64(len(k.memory))]
	for i, p := range parts {
		m[i] = uint8(math.Round(p * math.MaxUint8))
	}
}

// weights are those of the parts, each multiplied with how steady its part was, and one in all:
// what jumps about tells less than what stays.
func (k *link) weights() (w [linkParts]float64) {
	total := 0.0
	for i := range w {
		w[i] = linkWeights[i] * k.steadiness(i)
		total += w[i]
	}
	for i := range w {
		w[i] /= total
	}
	return w
}

// steadiness is the inverse of the coefficient of variation of a part within the memory; 1 for
// a part that has not shown yet, and of which one value alone is known.
func (k *link) steadiness(part int) float64 {
	n, sum, squares := 0.0, 0.0, 0.0
	for age := range int64(linkBuckets) {
		if k.filled>>age&1 == 0 || age > k.bucket {
			continue
		}
		v := float64(k.memory[(k.bucket-age)%int64(len(k.memory))][part])
		n, sum, squares = n+1, sum+v, squares+v*v
	}
	if n < 2 || sum == 0 {
		return 1
	}
	mean := sum / n
	deviation := math.Sqrt(max(0, squares/n-mean*mean))
	return min(max(mean/deviation, leastSteady), mostSteady)
}
