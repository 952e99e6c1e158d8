package bridge

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// A device with more channels than crowdSize is a crowd: its channels are told of its presence
// in parts, each when the shadow service has time for it, so that the news of other devices, and
// what clients ask, does not wait behind 100,000 reports.
const (
	crowdSize    = 500
	crowdPart    = 500
	crowdBacklog = 2000                   // reports that may wait when a part goes
	crowdLook    = 5 * time.Millisecond   // between two looks at what waits
	crowdPatient = 100 * time.Millisecond // after which a part goes all the same
)

// crowds are those whose channels are to be told. Each waits once, however often its presence
// turns: what is told is how things are then.
type crowds struct {
	wake chan struct{} // capacity 1

	mu      sync.Mutex // guards waiting
	waiting []gb28181.ID
}

func newCrowds() *crowds { return &crowds{wake: make(chan struct{}, 1)} }

// add has the channels of a device told of its presence.
func (c *crowds) add(device gb28181.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.waiting, device) {
		c.waiting = append(c.waiting, device)
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *crowds) next() (device gb28181.ID, any bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 {
		return device, false
	}
	device = c.waiting[0]
	c.waiting = c.waiting[1:]
	return device, true
}

// tellCrowds works until ctx ends. What is not told then is owed after the restart.
func (b *Bridge) tellCrowds(ctx context.Context) error {
	for {
		device, any := b.crowds.next()
		if !any {
			select {
			case <-ctx.Done():
				return nil
			case <-b.crowds.wake:
			}
			continue
		}
		for part := range slices.Chunk(b.fleet.Channels(device), crowdPart) {
			if !b.awaitTurn(ctx) {
				return nil
			}
			for _, ch := range part {
				if now, there := b.fleet.Channel(device, ch.ID); there {
					b.reportChannelPresence(device, now)
				}
			}
		}
	}
}

// awaitTurn waits until few reports wait, or long enough; false: ctx has ended.
func (b *Bridge) awaitTurn(ctx context.Context) bool {
	for begun := time.Now(); time.Since(begun) < crowdPatient; {
		if waiting, _ := b.shadows.Backlog(); waiting < crowdBacklog {
			break
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(crowdLook):
		}
	}
	return ctx.Err() == nil
}
