package guard

import (
	"math"
	"slices"
	"time"
)

// link is what is remembered of one device, some 150 to 1,200 bytes.
type link struct {
	requests [linkWays][]request           // the oldest first, at most linkRequests
	denied   time.Duration                 // the last time, since the epoch
	heard    time.Duration                 // of the last request or denial
	memory   [linkBuckets][linkParts]uint8 // by bucket of time, each part as 255ths
	filled   uint64                        // which buckets of memory hold something, the newest in bit 0
	bucket   int64                         // of bit 0
	now      Link
	told     Link
	toldAt   time.Duration
	via      Way  // of the last request
	known    bool // told holds something
	owed     bool // a change came too soon after the last
}

// request is one that has ended.
type request struct {
	at  uint32 // tenths of seconds since the epoch
	rtt uint32 // microseconds; unanswered: there was none
}

const unanswered = math.MaxUint32

// add notes a request that has ended.
func (k *link) add(now time.Duration, via Way, rtt uint32) {
	k.via = via
	list := k.requests[via]
	if len(list) == linkRequests {
		list = list[:copy(list, list[1:])]
	}
	k.requests[via] = append(list, request{tenths(now), rtt})
}

func tenths(d time.Duration) uint32 { return uint32(d / (100 * time.Millisecond)) }

// conclude weighs what the window holds.
func (k *link) conclude(now time.Duration) Link {
	list, oldest, gone := k.requests[k.via], tenths(now-linkWindow), 0
	for gone < len(list) && list[gone].at < oldest {
		gone++
	}
	list = list[:copy(list, list[gone:])]
	k.requests[k.via] = list
	parts := [linkParts]float64{jitterPart: jitter(list), timeoutPart: timeouts(list)}
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
		Requests: len(list), Level: Bad,
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
func jitter(list []request) float64 {
	var buf [linkRequests]uint32
	times, sum := buf[:0], 0.0
	for _, r := range list {
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
func timeouts(list []request) float64 {
	lost := 0
	for _, r := range list {
		if r.rtt == unanswered {
			lost++
		}
	}
	return float64(lost) / float64(max(1, len(list)))
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
