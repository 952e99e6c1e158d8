package fleet

import (
	"strings"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// retryBusy is when a device whose queue is full may try again.
const retryBusy = 2 * time.Second

// Serve answers r [sip.Handler]: REGISTER and plain keepalives at once, other bodies from a
// lane.
func (f *Fleet) Serve(r *sip.Request) sip.Answer {
	switch r.Method {
	case "MESSAGE", "NOTIFY":
		return f.message(r)
	case "REGISTER":
		return f.register(r)
	}
	return f.refuse(405, refusedMethod)
}

// message answers a MESSAGE or a NOTIFY, which carry no digest: where they come from tells
// whose they are.
func (f *Fleet) message(r *sip.Request) sip.Answer {
	id, err := gb28181.ParseID(r.FromUser)
	if err != nil {
		return f.refuse(403, refusedUnregistered)
	}
	now := r.Received
	if now.IsZero() {
		now = time.Now()
	}
	keepalive := len(r.Body) > 0 && gb28181.LooksLikeKeepalive(r.Body)
	if reason := f.alive(id, r.Path, f.since(now), keepalive); reason != "" {
		return f.refuse(403, reason)
	}
	if len(r.SubscriptionState) > 0 {
		f.subscriptionEnded(id, r)
	}
	if len(r.Body) == 0 || keepalive && !f.cfg.TellKeepalives && !f.troubled.has(id) {
		return sip.Answer{Code: 200}
	}
	key := r.TransactionKey()
	if code, seen := f.recent.Seen(key, now); seen {
		return sip.Answer{Code: code} // 0 while the first is at work: its answer serves both
	}
	if queue := f.enqueue(id, r, key, now); queue != "" {
		f.recent.Forget(key)
		f.metrics.dropped.WithLabelValues(queue).Inc()
		return sip.Answer{Code: 503, RetryAfter: retryBusy}
	}
	return sip.Answer{}
}

// subscriptionEnded tells of a NOTIFY that says that it is the last one.
func (f *Fleet) subscriptionEnded(id gb28181.ID, r *sip.Request) {
	state, params, _ := strings.Cut(string(r.SubscriptionState), ";")
	if !strings.EqualFold(strings.TrimSpace(state), "terminated") {
		return
	}
	reason := ""
	for param := range strings.SplitSeq(params, ";") {
		if name, value, _ := strings.Cut(param, "="); strings.EqualFold(strings.TrimSpace(name), "reason") {
			reason = strings.ToLower(strings.Trim(value, `" `))
		}
	}
	callID := string(r.CallID)
	sh := f.shardOf(id)
	sh.mu.Lock()
	sh.facts = append(sh.facts, func() { f.sink.SubscriptionEnded(id, callID, reason) })
	sh.unlockAndTell()
}

// alive takes a sign of life of id, or says why it is none. The first look costs a read
// lock and one store, and is all that a keepalive needs that changes nothing.
func (f *Fleet) alive(id gb28181.ID, p sip.Path, now time.Duration, keepalive bool) (refused string) {
	sh := f.shardOf(id)
	sh.mu.RLock()
	s := sh.sessions.get(id)
	if s != nil && s.presence == Online && s.life >= Registered && s.hasPath && (s.path == p || s.chosen && s.otherPath() == p) && (s.registered && now < s.expires || s.adopted) {
		s.lastSeen.Store(int64(now))
		sh.mu.RUnlock()
		return ""
	}
	sh.mu.RUnlock()
	return f.aliveAnew(sh, id, p, now, keepalive)
}

// aliveAnew is alive where something changes.
func (f *Fleet) aliveAnew(sh *shard, id gb28181.ID, p sip.Path, now time.Duration, keepalive bool) (refused string) {
	sh.mu.Lock()
	defer f.unlockAndLeave(sh)
	s := sh.sessions.get(id)
	live := s != nil && f.liveLocked(s, now)
	switch adopt := f.cfg.AdoptOnKeepalive && keepalive && f.allowed(p.Remote.Addr().Unmap()); {
	case live && (sameAddress(s.path, p) || s.adopted && adopt):
	case live:
		return refusedAddress
	case !adopt:
		if s != nil {
			f.driveLocked(s, lifeHeard) // which is refused
		}
		return refusedUnregistered
	case s == nil:
		if f.full() {
			return refusedLimit
		}
		s = f.addLocked(sh, id)
		s.adopted = true
	default:
		s.adopted = true
	}
	f.adoptLocked(s, p)
	if s.lastSeen.Store(int64(now)); live {
		f.driveHeardLocked(s)
	} else {
		f.driveLocked(s, lifeRegistered)
	}
	f.changeLocked(sh, s, Online, ReasonKeepalive)
	return ""
}

// onceOnly tells what can't be asked for again: it is answered when it is stored.
func onceOnly(m *gb28181.Message) bool {
	if m.Root != "Notify" {
		return false
	}
	switch m.CmdType {
	case "Alarm", "MediaStatus", "UploadSnapShotFinished", "DeviceUpgradeResult", "VideoUploadNotify":
		return true
	}
	return false
}
