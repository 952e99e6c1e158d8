package fleet

import (
	"sync"
	"sync/atomic"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// troubled are the devices whose last keepalive said more than that all is well. Their next
// one is read in full too, for it may say that it is over; everybody else's is a sign of life
// and nothing more.
type troubled struct {
	count atomic.Int64 // of devices: what a keepalive looks at

	mu      sync.RWMutex // guards devices
	devices map[gb28181.ID]struct{}
}

// has tells whether a plain keepalive of id is news.
func (t *troubled) has(id gb28181.ID) bool {
	if t.count.Load() == 0 {
		return false
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	_, there := t.devices[id]
	return there
}

// note takes over what a keepalive of id says.
func (t *troubled) note(id gb28181.ID, k *gb28181.Keepalive) {
	is := !k.Well()
	if is == t.has(id) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if is {
		if t.devices == nil {
			t.devices = make(map[gb28181.ID]struct{})
		}
		t.devices[id] = struct{}{}
	} else {
		delete(t.devices, id)
	}
	t.count.Store(int64(len(t.devices)))
}
