package fleet

import (
	"cmp"
	"math"
	"time"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// Heartbeat is a device's keepalive interval and how many of them may be missed.
type Heartbeat struct {
	Interval time.Duration `json:"interval"` // nanoseconds in JSON
	Misses   int           `json:"misses"`
}

// overdue is how long an online device may be silent, lost how long an unknown one.
func (h Heartbeat) overdue() time.Duration { return h.Interval * 3 / 2 }
func (h Heartbeat) lost() time.Duration    { return h.Interval * time.Duration(h.Misses) }

// A device's own heartbeat counts within these bounds only.
const (
	saneInterval    = 5 * time.Second
	maxSaneInterval = time.Hour
	maxSaneMisses   = 10
)

const never = time.Duration(math.MaxInt64)

// changeLocked sets a presence, and tells it if it is another one.
func (f *Fleet) changeLocked(sh *shard, s *session, to Presence, reason string) {
	from := s.presence
	if from == to {
		f.scheduleLocked(sh, s)
		return
	}
	now := time.Now()
	s.presence, s.reason, s.since = to, reason, instantOf(now)
	if to != Online {
		f.driveAwayLocked(s, to, reason)
	}
	f.counts[from].Add(-1)
	f.counts[to].Add(1)
	f.metrics.transitions.WithLabelValues(reason).Inc()
	sh.markLocked(s)
	f.scheduleLocked(sh, s)
	c := Change{Device: s.id, Presence: to, Previous: from, Reason: reason, At: now}
	sh.facts = append(sh.facts, func() { f.sink.Presence(c) })
}

// watched tells that silence means something: MQTT keeps watch over its own clients.
func (s *session) watched() bool {
	return s.presence == Unknown && s.since != 0 || s.presence == Online && (s.registered || s.adopted)
}

// heardLast is from when silence counts: our own absence is not the device's.
func (f *Fleet) heardLast(s *session) time.Duration {
	return max(time.Duration(s.lastSeen.Load()), time.Duration(f.resumed.Load()))
}

// expiry is when the registration of s ends. One that ran out while we were away gets an
// interval more, for its refresh may have come to nobody.
func (f *Fleet) expiry(s *session) time.Duration {
	from, to := time.Duration(f.stalled.Load()), time.Duration(f.resumed.Load())
	if s.expires > from && s.expires <= to {
		return to + s.heartbeat.Interval
	}
	return s.expires
}

// liveLocked tells that s may speak: it is registered, or was adopted.
func (f *Fleet) liveLocked(s *session, now time.Duration) bool {
	return s.adopted || s.registered && now < f.expiry(s)
}

// scheduleLocked puts s where its next deadline is.
func (f *Fleet) scheduleLocked(sh *shard, s *session) {
	next := never
	if s.registered {
		next = f.expiry(s)
	}
	if s.watched() {
		silence := s.heartbeat.overdue()
		if s.presence == Unknown {
			silence = s.heartbeat.lost()
		}
		next = min(next, f.heardLast(s)+silence)
	}
	if next != never {
		sh.wheel.put(s, next)
	}
}

// lookLocked concludes what silence means for s, now that a deadline may have come.
func (f *Fleet) lookLocked(sh *shard, s *session, now time.Duration) {
	if s.registered && now >= f.expiry(s) {
		f.unbindLocked(s)
		sh.markLocked(s)
		f.changeLocked(sh, s, Offline, ReasonExpired)
	}
	if s.watched() {
		silent := now - f.heardLast(s)
		if s.presence == Online && silent >= s.heartbeat.overdue() {
			f.changeLocked(sh, s, Unknown, ReasonKeepaliveOverdue)
		}
		if s.presence == Unknown && silent >= s.heartbeat.lost() {
			f.changeLocked(sh, s, Offline, ReasonKeepaliveLost)
		}
	}
	f.scheduleLocked(sh, s)
}

// unbindLocked ends the registration of s.
func (f *Fleet) unbindLocked(s *session) {
	f.conns.leave(s.path, s.id)
	f.conns.leave(s.otherPath(), s.id)
	s.registered, s.adopted, s.hasPath, s.chosen, s.other = false, false, false, false, nil
}

// Heard tells that a device gave a valid answer to a request of ours: a sign of life.
func (f *Fleet) Heard(id gb28181.ID) {
	now := f.since(time.Now())
	sh := f.shardOf(id)
	sh.mu.RLock()
	s := sh.sessions.get(id)
	if s != nil && s.presence == Online && s.life >= Registered && s.registered && now < s.expires {
		s.lastSeen.Store(int64(now))
		sh.mu.RUnlock()
		return
	}
	sh.mu.RUnlock()
	sh.mu.Lock()
	defer sh.unlockAndTell()
	if s = sh.sessions.get(id); s != nil && f.liveLocked(s, now) {
		s.lastSeen.Store(int64(now))
		f.driveHeardLocked(s)
		f.changeLocked(sh, s, Online, ReasonKeepalive)
	}
}

// MQTTConnected tells that a device's own MQTT client has connected. A device without a
// registration is online while it is; one with a registration goes on by the rules of SIP, to its expiry or its leave, which make it offline
// whoever is connected.
func (f *Fleet) MQTTConnected(id gb28181.ID) {
	now := f.since(time.Now())
	sh := f.shardOf(id)
	sh.mu.Lock()
	defer sh.unlockAndTell()
	s := sh.sessions.get(id)
	if s == nil {
		if f.full() {
			f.metrics.refusals.WithLabelValues(refusedLimit).Inc()
			return
		}
		s = f.addLocked(sh, id)
	}
	s.clients++
	s.lastSeen.Store(int64(now))
	f.changeLocked(sh, s, Online, ReasonMQTTConnected)
}

// MQTTDisconnected tells that one of a device's own MQTT clients is gone.
func (f *Fleet) MQTTDisconnected(id gb28181.ID) {
	now := f.since(time.Now())
	sh := f.shardOf(id)
	sh.mu.Lock()
	defer sh.unlockAndTell()
	s := sh.sessions.get(id)
	if s == nil || s.clients == 0 {
		return
	}
	if s.clients--; s.clients == 0 && !f.liveLocked(s, now) {
		f.changeLocked(sh, s, Offline, ReasonMQTTDisconnected)
	}
}

// SetHeartbeat takes over what a device's BasicParam says. Values that are not sane (5 s to
// 1 h, 1 to 10 misses) count as the configured ones.
func (f *Fleet) SetHeartbeat(id gb28181.ID, interval time.Duration, misses int) {
	h := f.cfg.heartbeat()
	if interval >= saneInterval && interval <= maxSaneInterval {
		h.Interval = interval
	}
	if misses >= 1 && misses <= maxSaneMisses {
		h.Misses = misses
	}
	sh := f.shardOf(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s := sh.sessions.get(id); s != nil && s.told != h {
		s.told = h
		sh.markLocked(s)
		f.takeHeartbeatLocked(sh, s)
	}
}

// Reconsider takes over what the quirks of id say now.
func (f *Fleet) Reconsider(id gb28181.ID) {
	sh := f.shardOf(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s := sh.sessions.get(id); s != nil {
		f.takeHeartbeatLocked(sh, s)
	}
}

// takeHeartbeatLocked has what s was told, and its quirks, count.
func (f *Fleet) takeHeartbeatLocked(sh *shard, s *session) {
	if h := f.heartbeatOf(s); h != s.heartbeat {
		s.heartbeat = h
		f.scheduleLocked(sh, s)
	}
}

// heartbeatOf is what s was told, but for its quirks.
func (f *Fleet) heartbeatOf(s *session) Heartbeat {
	k := f.quirks.Of(s.id).Keepalive
	return Heartbeat{Interval: cmp.Or(k.Interval, s.told.Interval), Misses: cmp.Or(k.Misses, s.told.Misses)}
}
