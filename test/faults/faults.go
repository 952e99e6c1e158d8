// Package faults is a bad network on loopback: a proxy between cameras and a platform, over
// UDP or TCP, that loses, delays, repeats, reorders or cuts what passes. What it does may
// be changed at any moment, and a seed makes the chance the same in every run.
//
//	camera ──▶ Proxy ─ dice: lost? twice? how late? ─▶ queue ─▶ platform
//	       ◀── queue ◀─ dice, of its own ─────────────────────◀──
//
// Over UDP every address that sends has a socket of its own towards the platform, as behind
// a NAT. Over TCP the bytes and their order are kept, as the network's own TCP would: what
// is lost there comes late instead, and nothing is repeated or reordered.
package faults

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Faults is what a Proxy does to what passes, each way. The zero value passes everything
// on at once.
type Faults struct {
	Loss      float64       // share that is lost, 0…1; over TCP it comes a retransmission later
	Delay     time.Duration // added to each
	Jitter    time.Duration // added to each by chance, evenly from 0 to this
	Duplicate float64       // share that comes twice, 0…1; UDP only
	Reorder   float64       // share that is held back for heldBack, so that later ones overtake it, 0…1; UDP only
	Cut       bool          // nothing passes; TCP connections stay open, and what was sent comes after the cut
}

const (
	heldBack   = 20 * time.Millisecond
	retransmit = 200 * time.Millisecond // Linux's least retransmission time-out of TCP
	latest     = time.Minute            // no delay is longer
)

// Validate names everything that is out of range.
func (f Faults) Validate() error {
	var bad []error
	for _, share := range []struct {
		name string
		is   float64
	}{{"loss", f.Loss}, {"duplicate", f.Duplicate}, {"reorder", f.Reorder}} {
		if !(share.is >= 0 && share.is <= 1) {
			bad = append(bad, fmt.Errorf("%s %v: a share between 0 and 1 is wanted", share.name, share.is))
		}
	}
	for _, d := range []struct {
		name string
		is   time.Duration
	}{{"delay", f.Delay}, {"jitter", f.Jitter}} {
		if d.is < 0 || d.is > latest {
			bad = append(bad, fmt.Errorf("%s %v: between 0 and %v is wanted", d.name, d.is, latest))
		}
	}
	return errors.Join(bad...)
}

// Counts is what a Proxy has done so far: datagrams over UDP, pieces of the stream over TCP.
type Counts struct {
	Passed     uint64 `json:"passed"` // also those that were late
	Lost       uint64 `json:"lost"`
	Duplicated uint64 `json:"duplicated"`
	Reordered  uint64 `json:"reordered"` // held back, so that others could overtake
	Cut        uint64 `json:"cut"`       // datagrams that came during a cut
	Overflowed uint64 `json:"overflowed"`
	Refused    uint64 `json:"refused"` // of clients beyond Config.Clients
}

// counters are the live form of Counts.
type counters struct {
	passed, lost, duplicated, reordered, cut, overflowed, refused atomic.Uint64
}

func (c *counters) counts() Counts {
	return Counts{
		Passed: c.passed.Load(), Lost: c.lost.Load(), Duplicated: c.duplicated.Load(), Reordered: c.reordered.Load(),
		Cut: c.cut.Load(), Overflowed: c.overflowed.Load(), Refused: c.refused.Load(),
	}
}
