package fleet

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

const shardCount = 256

// shard is the one owner of what happens to its devices.
type shard struct {
	mu       sync.RWMutex // guards all below; never held across I/O or a call of the Sink
	sessions table
	wheel    wheel
	facts    []func() // for the Sink, in order
	telling  bool     // somebody hands facts over
	waits    bool     // for a teller
	dirty    []*session
	wrong    map[attempt]time.Duration // the last wrong password; bounded by maxWrong
	moved    map[gb28181.ID]move       // the last change of address; bounded by maxMoved
}

// session is all that is known of a device. What a keepalive reads and writes stands first
// and together; a keepalive that changes nothing writes lastSeen alone.
type session struct {
	id         gb28181.ID
	presence   Presence
	life       Lifecycle
	registered bool
	adopted    bool         // online by keepalive alone, without a registration
	hasPath    bool         // path can be used: false after a restart or a close, until heard again
	chosen     bool         // path was taken for its health: a sign of life on other does not change it
	lastSeen   atomic.Int64 // time.Duration since the fleet's epoch
	expires    time.Duration
	path       sip.Path

	place     place
	told      Heartbeat // its own, or the configured one
	heartbeat Heartbeat // that counts: told, but for its quirks
	reason    string
	since     instant
	binding   binding   // the last one; live while registered
	callID    uint64    // hash of the registration's
	other     *sip.Path // nil: it is not known by another one
	nonce     sip.NonceState
	channels  map[gb28181.ID]*channel
	there     int32        // channels that have not vanished
	clients   int32        // its own MQTT clients
	queued    atomic.Int32 // messages in its lane
	plain     bool         // its digest fails with qop: challenge without
	encoding  gb28181.Encoding
	isDirty   bool
	debt      Debt // to its shadow

	_ [16]byte // sessions begin where lines of the cache do
}

// addLocked makes a session for id, which has none.
func (f *Fleet) addLocked(sh *shard, id gb28181.ID) *session {
	s := sh.sessions.add(id)
	s.told = f.cfg.heartbeat()
	s.heartbeat = f.heartbeatOf(s)
	f.counts[Unknown].Add(1)
	f.lives[Disconnected].Add(1)
	return s
}

// full tells that no further device may be known.
func (f *Fleet) full() bool {
	return f.cfg.MaxDevices > 0 && f.counts[0].Load()+f.counts[1].Load()+f.counts[2].Load() >= int64(f.cfg.MaxDevices)
}

// unlockAndTell unlocks sh and hands its facts to the Sink, in order: one goroutine at a
// time does so, and takes along what others add meanwhile, so the Sink may call back.
func (sh *shard) unlockAndTell() {
	if sh.telling {
		sh.mu.Unlock()
		return
	}
	for len(sh.facts) > 0 {
		facts := sh.facts
		sh.facts, sh.telling = nil, true
		sh.mu.Unlock()
		for _, tell := range facts {
			tell()
		}
		sh.mu.Lock()
	}
	sh.telling = false
	sh.mu.Unlock()
}

// markLocked has s saved at the next occasion.
func (sh *shard) markLocked(s *session) {
	if !s.isDirty {
		s.isDirty = true
		sh.dirty = append(sh.dirty, s)
	}
}
