package fleet

import (
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// Record is what must be known of a device after a restart.
type Record struct {
	Device       gb28181.ID
	Registration Registration // the last one
	Registered   bool         // it was live
	Adopted      bool         // online by keepalive alone
	Presence     Presence
	Reason       string
	Since        time.Time
	LastSeen     time.Time
	Heartbeat    Heartbeat // that it told, or that was configured
	Encoding     gb28181.Encoding
	Path         sip.Path // where it was heard last
}

func (f *Fleet) recordLocked(s *session) Record {
	return Record{
		Device: s.id, Registration: s.registration(), Registered: s.registered, Adopted: s.adopted, Presence: s.presence,
		Reason: s.reason, Since: s.since.time(), LastSeen: f.epoch.Add(time.Duration(s.lastSeen.Load())),
		Heartbeat: s.told, Encoding: s.encoding, Path: s.path,
	}
}

// Restore takes over what an earlier run saved, before Run. Registrations live on; who was
// not offline is unknown until heard, without a word to the Sink, which tells this change
// once for all. Registrations that have run out meanwhile make their devices offline.
func (f *Fleet) Restore(records []Record, now time.Time) {
	for _, r := range records {
		sh := f.shardOf(r.Device)
		sh.mu.Lock()
		if sh.sessions.get(r.Device) == nil {
			f.restoreLocked(sh, r, now)
		}
		sh.mu.Unlock()
	}
}

func (f *Fleet) restoreLocked(sh *shard, r Record, now time.Time) {
	s := sh.sessions.add(r.Device)
	f.bindLocked(s, r.Registration)
	s.presence, s.reason, s.since = r.Presence, f.words.one(r.Reason), instantOf(r.Since)
	s.encoding, s.path, s.told = r.Encoding, r.Path, r.Heartbeat
	if s.told.Interval <= 0 || s.told.Misses <= 0 {
		s.told = f.cfg.heartbeat()
	}
	s.heartbeat = f.heartbeatOf(s)
	s.debt = Restart
	s.lastSeen.Store(int64(f.since(r.LastSeen)))
	left := r.Registration.ExpiresAt.Sub(now)
	expired := r.Registered && left <= 0
	s.registered = r.Registered && !expired
	s.adopted = r.Adopted && f.cfg.AdoptOnKeepalive
	s.expires = f.since(time.Now()) + left
	s.hasPath = (s.registered || s.adopted) && s.path.Network == sip.UDP // a TCP connection has ended with us
	switch {
	case s.presence == Offline, r.Since.IsZero():
	case expired:
		s.presence, s.reason, s.since = Offline, ReasonExpired, instantOf(now)
	case s.presence == Online || s.reason != ReasonRestarted:
		s.presence, s.reason, s.since = Unknown, ReasonRestarted, instantOf(now)
	}
	if s.presence == Unknown {
		s.lastSeen.Store(int64(f.since(now))) // our absence is not the device's
	}
	if (s.registered || s.adopted) && s.presence != Offline {
		s.life = Connecting
	}
	f.counts[s.presence].Add(1)
	f.lives[s.life].Add(1)
	f.scheduleLocked(sh, s)
}
