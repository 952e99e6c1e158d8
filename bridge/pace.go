package bridge

import (
	"context"
	"sync"

	"golang.org/x/time/rate"
)

// upkeepFactor is how many times the rate of the budget refreshes and polls may have, which take
// nothing from it: a million devices with two subscriptions of an hour need 650 a second. No more,
// for all that came due while we were away goes out at once.
const upkeepFactor = 4

// pace is the budget of all requests that bring returned devices up to date, whoever sends them:
// first come, first served, and no second has more than its share.
type pace struct {
	limit *rate.Limiter

	mu       sync.Mutex          // guards returned
	returned map[string]struct{} // things whose desired state was not compared since their return
}

func newPace(perSecond int) *pace {
	return &pace{limit: rate.NewLimiter(rate.Limit(perSecond), 1), returned: make(map[string]struct{})}
}

// Wait waits for a place in the budget.
func (p *pace) Wait(ctx context.Context) error { return p.limit.Wait(ctx) }

// Return has what is wished of a thing take its places in the budget, until Settle.
func (p *pace) Return(thing string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.returned[thing] = struct{}{}
}

// Settle tells that a thing's desired state was compared: what is wished of it from now on is
// somebody's wish, which does not wait.
func (p *pace) Settle(thing string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.returned, thing)
}

// WaitFor waits for a place in the budget where a thing has returned, and else not at all.
func (p *pace) WaitFor(ctx context.Context, thing string) error {
	p.mu.Lock()
	_, returned := p.returned[thing]
	p.mu.Unlock()
	if !returned {
		return nil
	}
	return p.Wait(ctx)
}
