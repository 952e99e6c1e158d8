package bridge

import (
	"maps"
	"sync"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// rivalsRemembered is for how long diagnose tells that two devices have one ID.
const rivalsRemembered = 10 * time.Minute

// rivals knows the IDs that two devices have at once.
type rivals struct {
	mu   sync.Mutex // guards last
	last map[gb28181.ID]rivalry
}

type rivalry struct {
	other string // the address that the ID was registered from before
	at    time.Time
}

func newRivals() *rivals { return &rivals{last: make(map[gb28181.ID]rivalry)} }

// Rivals tells that two devices have one ID, which is a mistake in one's configuration: each takes
// the registration from the other. The event that follows names the other.
func (b *Bridge) Rivals(device gb28181.ID, one, other sip.Path) {
	b.rivals.mu.Lock()
	b.rivals.last[device] = rivalry{other: one.Remote.String(), at: time.Now()}
	b.rivals.mu.Unlock()
	b.log.Warn("two devices have one ID; give one of them another", "device", device, "remote", one.Remote, "other", other.Remote)
}

// of returns the address of the other device, if it has been noticed since; "" for none.
func (r *rivals) of(device gb28181.ID, since time.Time) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last, known := r.last[device]; known && !last.at.Before(since) {
		return last.other
	}
	return ""
}

// sweep forgets what is over.
func (r *rivals) sweep(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.last, func(_ gb28181.ID, last rivalry) bool { return now.Sub(last.at) > rivalsRemembered })
}
