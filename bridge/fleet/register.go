package fleet

import (
	"cmp"
	"hash/maphash"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// What a REGISTER is granted, in seconds.
const (
	defaultExpires = 3600
	minExpires     = 30
	maxExpires     = 86400
)

const (
	gbVersion        = "3.0"           // ours [GB28181-2022 Annex I]
	retryLimit       = time.Minute     // of a device that is one too many [GB28181-2022 7.1 c]
	forgiven         = time.Minute     // how long a first wrong password is remembered
	maxWrong         = 256             // wrong passwords remembered in a shard
	maxAuthorization = 512             // bytes of one that is logged
	maxText          = 128             // bytes kept of what a device calls itself
	maxVersion       = len("00.00.00") // bytes kept of X-GB-Ver
)

var callSeed = maphash.MakeSeed()

// attempt is who was wrong from where.
type attempt struct {
	id gb28181.ID
	ip netip.Addr
}

// register answers a REGISTER [GB28181-2022 9.1].
func (f *Fleet) register(r *sip.Request) sip.Answer {
	a := f.bind(r)
	a.GBVersion = gbVersion // on its responses, success or failure [GB28181-2022 Annex I]
	return a
}

func (f *Fleet) bind(r *sip.Request) sip.Answer {
	id, err := gb28181.ParseID(r.FromUser)
	if err != nil {
		return f.refuse(400, refusedID)
	}
	ip := r.Path.Remote.Addr().Unmap()
	if !f.allowed(ip) {
		return f.refuse(403, refusedNotAllowed)
	}
	wall := time.Now()
	if f.lockout != nil {
		if after, banned := f.lockout.Banned(ip, id, wall); banned {
			a := f.refuse(403, refusedBanned)
			a.RetryAfter = after
			return a
		}
	}
	password, own := f.passwords[id]
	if !own {
		password = f.cfg.Auth.Password
	}
	if password == "" {
		return f.refuse(403, refusedNoPassword) // an empty password is none, not an open door
	}

	sh := f.shardOf(id)
	sh.mu.Lock()
	defer f.unlockAndLeave(sh)
	s := sh.sessions.get(id)
	version := clip(r.GBVersion, maxVersion)
	var unknown sip.NonceState
	nonce := &unknown
	plain := sh.failedLocked(attempt{id, ip}, f.since(wall))
	if s != nil {
		nonce = &s.nonce
		plain = plain || s.plain
		if version == "" {
			version = s.binding.version
		}
	}
	before := *nonce
	q := f.quirks.Of(id)
	challenge := func(stale, plain bool) sip.Answer {
		return sip.Answer{Code: 401, Challenges: f.auth.Challenges(id.String(), sip.Offer{
			From: ip, GB3: cmp.Or(q.GBVersion, version) >= "3", Algorithms: q.Digest.Algorithms,
			Stale: stale, Plain: plain || q.Digest.NoQop,
		})}
	}
	switch f.auth.Verify(r, id.String(), password, nonce, wall) {
	case sip.OK:
	case sip.Stale:
		return challenge(true, plain)
	case sip.Wrong:
		f.metrics.refusals.WithLabelValues(refusedCredentials).Inc()
		if f.lockout != nil {
			f.lockout.Failed(ip, id, wall)
		}
		if f.denied != nil && s != nil && s.registered && s.path.Remote.Addr().Unmap() == ip { // elsewhere it may be anybody
			sh.facts = append(sh.facts, func() { f.denied(id) })
		}
		// The password may have just been changed; devices stop trying for long after a 403.
		if sh.firstWrongLocked(attempt{id, ip}, f.since(wall)) {
			from, authorization := r.Path.Remote, masked(r.Authorization)
			sh.facts = append(sh.facts, func() { f.tellWrong(id, from, authorization, own) })
			return challenge(false, true) // it may be qop that it can't do
		}
		return sip.Answer{Code: 403}
	case sip.Malformed:
		return challenge(false, true) // a broken nc or cnonce
	default:
		return challenge(false, plain)
	}
	delete(sh.wrong, attempt{id, ip})
	if f.lockout != nil {
		f.lockout.Succeeded(ip, id)
	}
	if r.ContactStar || r.Expires == 0 {
		f.unregisterLocked(sh, s, wall)
		return sip.Answer{Code: 200, NoDate: q.Clock.NoDate}
	}
	// Only who has the password is told where it belongs; before 2022 none knows what a 302 is.
	if to := f.cfg.Redirect.of(id); to != "" && cmp.Or(q.GBVersion, version) >= "3" {
		return f.redirectLocked(sh, s, r, to, wall)
	}
	leave, after := f.admitLocked(s, r, wall)
	if after > 0 {
		*nonce = before // the same credentials are good when it tries again
		a := f.refuse(503, refusedCapacity)
		a.RetryAfter = after
		return a
	}
	if s == nil {
		if f.full() {
			leave()
			a := f.refuse(503, refusedLimit)
			a.RetryAfter = retryLimit
			f.log.Debug("registration refused: limits.devices reached", "device", id, "limit", f.cfg.MaxDevices)
			return a
		}
		s = f.addLocked(sh, id)
		s.nonce = unknown
	}
	s.plain = plain
	granted := f.registerLocked(sh, s, r, version, wall)
	sh.facts = append(sh.facts, leave) // what is to be done about it is done
	return sip.Answer{Code: 200, Expires: granted, NoDate: q.Clock.NoDate}
}

// tellWrong says what a wrong password was measured by: one of the device's own that was left over
// is easily forgotten, and the rest tells what its stack makes of a digest.
func (f *Fleet) tellWrong(id gb28181.ID, from netip.AddrPort, authorization string, own bool) {
	key := "sip.auth.password"
	if own {
		key = "sip.auth.devices"
	}
	f.log.Info("wrong password", "device", id, "remote", from, "expected", key, "authorization", authorization)
}

// response is the part of an Authorization that a password could be guessed by.
var response = regexp.MustCompile(`(?i)(\bresponse\s*=\s*)("[^"]*"?|[^,]*)`)

// masked is an Authorization as it may be logged.
func masked(authorization []byte) string {
	return response.ReplaceAllString(clip(authorization, maxAuthorization), "${1}****")
}

// admitLocked asks for a place for the work that a REGISTER of s, nil for a device never seen,
// will make. A refresh makes none.
func (f *Fleet) admitLocked(s *session, r *sip.Request, wall time.Time) (leave func(), retryAfter time.Duration) {
	if f.admit == nil || s != nil && !f.freshLocked(s, r, wall) {
		return func() {}, 0
	}
	return f.admit(wall)
}

// registerLocked makes or refreshes the binding of s and returns the seconds granted.
func (f *Fleet) registerLocked(sh *shard, s *session, r *sip.Request, version string, wall time.Time) int {
	granted := grantable(r.Expires)
	now := f.since(wall)
	call := maphash.Bytes(callSeed, r.CallID)
	fresh := f.freshLocked(s, r, wall)
	if !fresh {
		f.driveHeardLocked(s)
	} else {
		f.driveLocked(s, lifeRegistered)
		if from := s.from(); f.liveLocked(s, now) && sh.rivalLocked(s, from, r.Path, now) {
			id, to := s.id, r.Path
			sh.facts = append(sh.facts, func() { f.sink.Rivals(id, from, to) })
		}
		s.binding = binding{at: instantOf(wall)}
	}
	registration := s.registration()
	registration.Path, registration.Expires, registration.ExpiresAt = r.Path, granted, wall.Add(time.Duration(granted)*time.Second)
	registration.GBVersion = version
	if len(r.UserAgent) > 0 {
		registration.UserAgent = clip(r.UserAgent, maxText)
	}
	f.bindLocked(s, registration)
	registration.Headers = r.Extensions()
	s.callID, s.registered, s.adopted = call, true, false
	s.expires = now + time.Duration(granted)*time.Second
	f.adoptLocked(s, r.Path)
	s.lastSeen.Store(int64(now))
	sh.markLocked(s)
	sh.facts = append(sh.facts, func() { f.sink.Registered(registration, fresh) })
	f.changeLocked(sh, s, Online, ReasonRegistered)
	return granted
}

// grantable is what a device gets that asks for so many seconds; less than 1: it does not say.
func grantable(asked int) int {
	if asked < 1 {
		return defaultExpires
	}
	return min(max(asked, minExpires), maxExpires)
}

// freshLocked tells that a REGISTER of s is more than a refresh of its binding.
func (f *Fleet) freshLocked(s *session, r *sip.Request, wall time.Time) bool {
	return !s.registered || f.since(wall) >= f.expiry(s) || s.presence == Offline || maphash.Bytes(callSeed, r.CallID) != s.callID ||
		s.binding.network != r.Path.Network || s.binding.remote != r.Path.Remote
}

// unregisterLocked ends the binding of s, if there is one.
func (f *Fleet) unregisterLocked(sh *shard, s *session, wall time.Time) {
	if s == nil || !s.registered && !s.adopted {
		return
	}
	f.unbindLocked(s)
	sh.markLocked(s)
	id := s.id
	sh.facts = append(sh.facts, func() { f.sink.Unregistered(id, wall) })
	f.changeLocked(sh, s, Offline, ReasonUnregistered)
}

// firstWrongLocked notes a wrong password and tells whether it is the first in a while.
func (sh *shard) firstWrongLocked(a attempt, now time.Duration) bool {
	recently := sh.failedLocked(a, now)
	if _, known := sh.wrong[a]; !known && len(sh.wrong) >= maxWrong {
		for other, at := range sh.wrong {
			if delete(sh.wrong, other); now-at < forgiven {
				break // one place is enough: whoever loses it gets a 401 more
			}
		}
	}
	sh.wrong[a] = now
	return !recently
}

// failedLocked tells whether a was wrong not long ago.
func (sh *shard) failedLocked(a attempt, now time.Duration) bool {
	last, known := sh.wrong[a]
	return known && now-last < forgiven
}

func (f *Fleet) allowed(ip netip.Addr) bool {
	for _, n := range f.allow {
		if n.Contains(ip) {
			return true
		}
	}
	return len(f.allow) == 0
}

// refuse counts and answers.
func (f *Fleet) refuse(code int, reason string) sip.Answer {
	f.metrics.refusals.WithLabelValues(reason).Inc()
	return sip.Answer{Code: code}
}

// clip copies foreign text, bounded and valid.
func clip(b []byte, most int) string {
	return strings.ToValidUTF8(string(b[:min(len(b), most)]), "")
}
