package command

import (
	"sync"
	"time"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// The bounds of what is remembered of exchanges.
const (
	lastExchanges   = 20     // of each device
	exchangeDevices = 50_000 // devices that any are remembered of
)

// Exchange is one request of ours and how it ended.
type Exchange struct {
	At   time.Time
	What string // the command's name, or the SIP method
	Code int    // SIP status; 0: no final answer
	Took time.Duration
}

// exchanges remembers the last requests to each device, to tell a person who asks why.
type exchanges struct {
	mu      sync.Mutex // guards devices
	devices map[gb28181.ID][]Exchange
}

func (x *exchanges) note(device gb28181.ID, e Exchange) {
	x.mu.Lock()
	defer x.mu.Unlock()
	list := x.devices[device]
	if list == nil && len(x.devices) >= exchangeDevices {
		for other := range x.devices { // any other: it is a memory for people, not a record
			delete(x.devices, other)
			break
		}
	}
	if len(list) == lastExchanges {
		copy(list, list[1:])
		list = list[:lastExchanges-1]
	}
	x.devices[device] = append(list, e)
}

// Exchanges returns the last requests to device, the oldest first.
func (e *Engine) Exchanges(device gb28181.ID) []Exchange {
	e.exchanges.mu.Lock()
	defer e.exchanges.mu.Unlock()
	return append([]Exchange(nil), e.exchanges.devices[device]...)
}
