// Package guard decides who may go on: a circuit breaker per device for what the platform
// asks, a lock-out per address and device for who asks the platform with wrong passwords, a
// measure of each link for which way to ask.
//
//	Enter ──▶ Breakers ──▶ go | wait for the probe | OpenError
//	            ▲  outcomes of requests, Trip (presence left online), Alive (a sign of life)
//	REGISTER ──▶ Lockout ──▶ may try | banned for this long
//	outcomes ──▶ Links ──▶ health, good | warn | bad
//
// It sends nothing and knows nothing of SIP or MQTT: its callers act on what it says.
package guard

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// State is the position of a device's breaker.
type State uint8

// The three positions; the zero value is that of a device about which nothing is remembered.
const (
	Closed State = iota
	Open
	HalfOpen
)

// String returns the word that MQTT shows.
func (s State) String() string {
	switch s {
	case Open:
		return "open"
	case HalfOpen:
		return "half_open"
	}
	return "closed"
}

// Outcome is how a request to a device ended, as the breaker counts it.
type Outcome uint8

// What a request can come to. Any final answer but a 408, 480 or 5xx is a Success, a refusal
// too, for the device lives.
const (
	Success   Outcome = iota
	Failure           // 480 or 5xx
	Timeout           // no final answer in time, or 408
	Withdrawn         // given up before it could tell anything: counts for nothing
)

// The rules of the breaker.
const (
	windowSize     = 100              // outcomes that count at most
	windowSpan     = 60 * time.Second // how long an outcome counts
	minSamples     = 5                // fewer outcomes say nothing about a rate
	leastSuccess   = 0.2              // opens below this rate
	timeoutsInARow = 3                // opens at once
	firstBackOff   = 100 * time.Millisecond
	lastBackOff    = 5 * time.Second
	mostDoublings  = 16          // of firstBackOff, far beyond lastBackOff
	probeInterval  = time.Second // probes are at least this far apart
)

// The reasons for which outcomes open a breaker; Trip brings its own.
const (
	ReasonTimeouts    = "timeouts"     // three requests in a row without an answer
	ReasonSuccessRate = "success_rate" // too few of the last requests succeeded
	ReasonProbeFailed = "probe_failed" // the first request after the back-off failed too
)

// OpenError says that a request may not go out now.
type OpenError struct {
	Reason  string    // why the breaker opened
	RetryAt time.Time // when the device is tried again; zero: at its next sign of life
}

// Error names the reason and when the device is tried again.
func (e *OpenError) Error() string {
	if e.RetryAt.IsZero() {
		return fmt.Sprintf("its breaker is open (%s); it is tried again at its next sign of life", e.Reason)
	}
	return fmt.Sprintf("its breaker is open (%s); it is tried again at %s", e.Reason, e.RetryAt.UTC().Format("2006-01-02T15:04:05.000Z07:00"))
}

// breaker is what is remembered about one device. Its shard's lock guards it.
type breaker struct {
	state     State
	needsLife bool // opened because the device is gone: the back-off alone does not half-open it
	alive     bool // a sign of life since it opened
	probing   bool
	probe     uint32 // number of the probe: the outcome of an older one counts no more
	scheduled bool   // it is in the timetable
	misses    uint8  // time-outs in a row
	opened    int    // times that it opened without having closed: the exponent of the back-off
	waiting   int    // callers of Enter that wait
	reason    string
	retryAt   time.Time
	nextProbe time.Time     // no probe begins before
	askAgain  time.Time     // no probe is asked for before: the last one asked for may be on its way
	outcomes  []uint64      // newest last: Unix milliseconds, shifted left by one, the low bit set for a success
	moved     chan struct{} // closed at the next change that a waiting caller must see; nil: nobody waits
}

// record remembers an outcome and tells why the breaker must open, "" when it need not.
func (b *breaker) record(o Outcome, now time.Time) string {
	b.forget(now)
	if len(b.outcomes) == windowSize {
		b.outcomes = b.outcomes[:copy(b.outcomes, b.outcomes[1:])]
	}
	entry := uint64(now.UnixMilli()) << 1
	if o == Success {
		entry |= 1
	}
	b.outcomes = append(b.outcomes, entry)
	if o != Timeout {
		b.misses = 0
	} else if b.misses++; b.misses >= timeoutsInARow {
		return ReasonTimeouts
	}
	var good int
	for _, e := range b.outcomes {
		good += int(e & 1)
	}
	if n := len(b.outcomes); n >= minSamples && float64(good) < leastSuccess*float64(n) {
		return ReasonSuccessRate
	}
	return ""
}

// forget drops the outcomes that have left the window.
func (b *breaker) forget(now time.Time) {
	oldest := uint64(now.Add(-windowSpan).UnixMilli()) << 1
	gone := 0
	for gone < len(b.outcomes) && b.outcomes[gone] < oldest {
		gone++
	}
	if gone > 0 {
		b.outcomes = b.outcomes[:copy(b.outcomes, b.outcomes[gone:])]
	}
	if len(b.outcomes) == 0 {
		b.outcomes, b.misses = nil, 0
	}
}

// idle reports whether the breaker is as one about which nothing is remembered.
func (b *breaker) idle() bool {
	return b.state == Closed && len(b.outcomes) == 0 && b.waiting == 0
}

// open opens the breaker and sets when it is tried again.
func (b *breaker) open(reason string, now time.Time) {
	b.state, b.reason = Open, reason
	b.alive, b.needsLife, b.probing = false, false, false
	b.retryAt = now.Add(BackOff(b.opened))
	b.opened++
	b.outcomes, b.misses = nil, 0
}

// close closes the breaker, with a clean sheet.
func (b *breaker) close() {
	b.state, b.reason, b.retryAt = Closed, "", time.Time{}
	b.alive, b.needsLife, b.probing, b.opened = false, false, false, 0
	b.outcomes, b.misses = nil, 0
}

// ripe reports whether an open breaker is due to half-open.
func (b *breaker) ripe(now time.Time) bool {
	return b.state == Open && b.mayRetry() && !now.Before(b.retryAt)
}

// mayProbe reports whether a request may go out to learn how a half-open breaker's device is.
func (b *breaker) mayProbe(now time.Time) bool {
	return b.state == HalfOpen && !b.probing && !now.Before(b.nextProbe)
}

// mayRetry reports whether the end of the back-off half-opens the breaker.
func (b *breaker) mayRetry() bool { return b.alive || !b.needsLife }

// refusal is what a caller is told while the breaker is open.
func (b *breaker) refusal() *OpenError {
	e := &OpenError{Reason: b.reason}
	if b.mayRetry() {
		e.RetryAt = b.retryAt
	}
	return e
}

// wake lets everybody who waits look again.
func (b *breaker) wake() {
	if b.moved != nil {
		close(b.moved)
		b.moved = nil
	}
}

// BackOff returns how long a breaker stays open that has opened n times before without having
// closed: doubling, a fifth more or less by chance, and never less than the distance of two
// probes.
func BackOff(n int) time.Duration {
	d := min(firstBackOff<<min(n, mostDoublings), lastBackOff)
	d = time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
	return max(min(d, lastBackOff), probeInterval)
}
