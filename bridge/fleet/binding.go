package fleet

import (
	"net/netip"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
)

// binding is the Registration of a session, kept small: the rest of it is the session's.
type binding struct {
	at, expiresAt instant
	remote        netip.AddrPort
	network       sip.Network
	expires       int32
	agent         string
	version       string
}

// instant is a moment in Unix nanoseconds; 0: never.
type instant int64

func instantOf(t time.Time) instant {
	if t.IsZero() {
		return 0
	}
	return instant(t.UnixNano())
}

func (i instant) time() time.Time {
	if i == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(i))
}

// from is the path that s registered by. Of one that was left, our end is not kept.
func (s *session) from() sip.Path {
	if b := &s.binding; s.path.Network != b.network || s.path.Remote != b.remote {
		return sip.Path{Network: b.network, Remote: b.remote}
	}
	return s.path
}

// registration is the last one of s.
func (s *session) registration() Registration {
	b := &s.binding
	return Registration{
		Device: s.id, At: b.at.time(), Expires: int(b.expires), ExpiresAt: b.expiresAt.time(), Path: s.from(),
		UserAgent: b.agent, GBVersion: b.version,
	}
}

// bind takes over a registration.
func (f *Fleet) bindLocked(s *session, r Registration) {
	s.binding = binding{
		at: instantOf(r.At), expiresAt: instantOf(r.ExpiresAt), remote: r.Path.Remote, network: r.Path.Network,
		expires: int32(r.Expires), agent: f.words.one(r.UserAgent), version: f.words.one(r.GBVersion),
	}
}

// otherPath is where the device was heard before, of the same address; zero: none.
func (s *session) otherPath() sip.Path {
	if s.other == nil {
		return sip.Path{}
	}
	return *s.other
}

// putOther makes p, zero for none, the other path.
func (s *session) putOther(p sip.Path) {
	if s.other = nil; p != (sip.Path{}) {
		s.other = &p
	}
}
