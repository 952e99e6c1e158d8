package fleet

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// conns knows whose a TCP connection is, for its end. Only changes of a path touch it.
type conns struct {
	mu      sync.Mutex                         // guards devices; a shard's lock may be held
	devices map[uint64]map[gb28181.ID]struct{} // by number of the connection
}

func (c *conns) join(p sip.Path, id gb28181.ID) {
	if p.Network != sip.TCP {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.devices[p.Conn] == nil {
		c.devices[p.Conn] = make(map[gb28181.ID]struct{}, 1)
	}
	c.devices[p.Conn][id] = struct{}{}
}

func (c *conns) leave(p sip.Path, id gb28181.ID) {
	if p.Network != sip.TCP {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if delete(c.devices[p.Conn], id); len(c.devices[p.Conn]) == 0 {
		delete(c.devices, p.Conn)
	}
}

// close forgets the connection and returns whose it was.
func (c *conns) close(p sip.Path) map[gb28181.ID]struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := c.devices[p.Conn]
	delete(c.devices, p.Conn)
	return ids
}

// whose lists the devices of a connection.
func (c *conns) whose(p sip.Path) []gb28181.ID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.devices[p.Conn]))
}

// Owns tells whether a device needs the TCP connection of p: one that is registered (or was
// adopted), is not offline, and has not put a newer connection in its place.
func (f *Fleet) Owns(p sip.Path) bool {
	return slices.ContainsFunc(f.conns.whose(p), func(id gb28181.ID) bool {
		sh := f.shardOf(id)
		sh.mu.RLock()
		defer sh.mu.RUnlock()
		s := sh.sessions.get(id)
		if s == nil || !s.registered && !s.adopted || s.presence == Offline {
			return false
		}
		return s.hasPath && s.path == p || s.otherPath() == p && s.path.Network != sip.TCP
	})
}

// sameAddress tells whether a and b have the same IP, whatever the port.
func sameAddress(a, b sip.Path) bool {
	return a.Remote.Addr().Unmap() == b.Remote.Addr().Unmap()
}

// adoptLocked makes p the way to s. The old way stays known if it is another one at the same
// address: over the other transport, or another connection. Another port of UDP is a NAT
// that moved, and the old one is dead. A way that was chosen for its health stays: a sign of
// life on the other transport does not tell that requests arrive there.
func (f *Fleet) adoptLocked(s *session, p sip.Path) {
	if s.hasPath && s.path == p {
		return
	}
	same := s.hasPath && sameAddress(s.path, p)
	if same && s.chosen && p.Network != s.path.Network {
		f.setOtherLocked(s, p)
		return
	}
	old := s.path
	switch {
	case same && old.Network != p.Network:
		f.setOtherLocked(s, old)
	case same && p.Network == sip.TCP && s.otherPath().Network != sip.UDP:
		f.setOtherLocked(s, old)
	default:
		f.conns.leave(old, s.id)
		if !sameAddress(s.otherPath(), p) || s.otherPath() == p {
			f.setOtherLocked(s, sip.Path{})
		}
	}
	s.path, s.hasPath, s.chosen = p, true, s.chosen && same
	f.conns.join(p, s.id)
}

// setOtherLocked makes p, zero for none, the way to s that is not taken.
func (f *Fleet) setOtherLocked(s *session, p sip.Path) {
	if s.otherPath() == p {
		return
	}
	if s.otherPath() != s.path {
		f.conns.leave(s.otherPath(), s.id)
	}
	s.putOther(p)
	f.conns.join(p, s.id)
}

// Choose makes to, which is one of the known ways to a device, the one that is taken, for the
// other one has become bad. It stays until it ends, the registration ends or Choose is called
// again. It returns false where to is no way of the device any more.
func (f *Fleet) Choose(id gb28181.ID, to sip.Path) bool {
	sh := f.shardOf(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := sh.sessions.get(id)
	switch {
	case s == nil || !s.hasPath || to.Network == 0:
		return false
	case s.otherPath() == to:
		s.putOther(s.path)
		s.path = to
	case s.path != to: // else the device was heard there meanwhile
		return false
	}
	s.chosen = true
	sh.markLocked(s)
	return true
}

// Closed tells that the TCP connection of p has ended: a device that has no other path is
// not known to be there any more.
func (f *Fleet) Closed(p sip.Path) {
	if p.Network != sip.TCP {
		return
	}
	now := f.since(time.Now())
	for id := range f.conns.close(p) {
		f.closedFor(id, p, now)
	}
}

func (f *Fleet) closedFor(id gb28181.ID, p sip.Path, now time.Duration) {
	sh := f.shardOf(id)
	sh.mu.Lock()
	defer sh.unlockAndTell()
	s := sh.sessions.get(id)
	switch {
	case s == nil:
	case s.otherPath().Network == sip.TCP && s.otherPath().Conn == p.Conn:
		s.other = nil
	case !s.hasPath || s.path.Network != sip.TCP || s.path.Conn != p.Conn:
	case s.other != nil:
		s.path, s.other, s.chosen = *s.other, nil, false
	default:
		s.hasPath, s.chosen = false, false
		if s.presence == Online && f.liveLocked(s, now) {
			f.changeLocked(sh, s, Unknown, ReasonConnectionLost)
		}
	}
}
