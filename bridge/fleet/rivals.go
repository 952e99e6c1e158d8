package fleet

import (
	"net/netip"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// maxMoved bounds the devices of a shard that are remembered to have moved.
const maxMoved = 64

// move is where a device left for another address, and when.
type move struct {
	from netip.AddrPort
	at   time.Duration
}

// placed is what tells the places of devices apart: UDP's port too, for NATs hand one out for
// long, and not TCP's, which each connection has anew.
func placed(p sip.Path) netip.AddrPort {
	if p.Network == sip.TCP {
		return netip.AddrPortFrom(p.Remote.Addr().Unmap(), 0)
	}
	return netip.AddrPortFrom(p.Remote.Addr().Unmap(), p.Remote.Port())
}

// rivalLocked tells whether a device that registers at to, and was registered at from until now,
// is two: one that comes back within a keepalive interval to where it left has not moved. They
// take the binding from one another; the last one has it.
func (sh *shard) rivalLocked(s *session, from, to sip.Path, now time.Duration) bool {
	left, came := placed(from), placed(to)
	if left == came || left.Addr() == came.Addr() && from.Network != to.Network { // one device, over UDP and TCP in turn
		return false
	}
	last, known := sh.moved[s.id]
	if !known && len(sh.moved) >= maxMoved {
		for other, m := range sh.moved {
			if delete(sh.moved, other); now-m.at > s.heartbeat.Interval {
				break // one place is enough: whoever loses it is found out a move later
			}
		}
	}
	if sh.moved == nil {
		sh.moved = make(map[gb28181.ID]move)
	}
	sh.moved[s.id] = move{from: left, at: now}
	return known && last.from == came && now-last.at <= s.heartbeat.Interval
}
