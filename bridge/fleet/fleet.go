package fleet

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gb2mqtt/gb2mqtt/bridge/quirk"
	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

const (
	nonceLife    = 5 * time.Minute
	recentLimit  = 1 << 17 // messages of 32 s
	saveInterval = time.Second
	// stallGap is a gap in our own tick that means we were away.
	stallGap = time.Second
)

// lockout refuses a device from an address that was wrong too often.
type lockout interface {
	Banned(ip netip.Addr, device [gb28181.IDLength]byte, now time.Time) (retryAfter time.Duration, banned bool)
	Failed(ip netip.Addr, device [gb28181.IDLength]byte, now time.Time)
	Succeeded(ip netip.Addr, device [gb28181.IDLength]byte)
}

// admission bounds the registrations that are at work at once: leave ends one's stay. It is
// nil for one that is too many, who may try again after retryAfter.
type admission func(now time.Time) (leave func(), retryAfter time.Duration)

// Options are what a Fleet works with.
type Options struct {
	Sink    Sink
	Admit   admission // nil: everybody is admitted
	Lockout lockout   // nil: nobody is locked out
	// Denied tells that a registered device's own credentials were refused at its own address.
	// It must not block. nil: nobody wants to know.
	Denied     func(device gb28181.ID)
	Quirks     *quirk.Table // nil: none
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Fleet knows every device that is or was there. It is a sip.Handler, and safe for
// concurrent use.
type Fleet struct {
	cfg       Config
	sink      Sink
	lockout   lockout
	admit     admission
	quirks    *quirk.Table
	denied    func(device gb28181.ID)
	log       *slog.Logger
	metrics   *metrics
	auth      *sip.Authenticator
	passwords map[gb28181.ID]string
	allow     []netip.Prefix
	recent    *sip.Recent
	troubled  troubled

	epoch   time.Time    // of all durations kept
	stalled atomic.Int64 // when the last stall of our own began
	resumed atomic.Int64 // and when it ended
	counts  [Offline + 1]atomic.Int64
	lives   [lifecycles]atomic.Int64
	shards  [shardCount]shard
	conns   conns
	lanes   [laneCount]lane
	tellers tellers
	words   words
}

// New returns a Fleet that knows nobody. Its deadlines and lanes work while Run does.
func New(cfg Config, o Options) (*Fleet, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if o.Sink == nil || o.Log == nil || o.Registerer == nil {
		return nil, errors.New("fleet: Sink, Log and Registerer are needed")
	}
	f := &Fleet{
		cfg: cfg, sink: o.Sink, lockout: o.Lockout, admit: o.Admit, denied: o.Denied, quirks: o.Quirks, log: o.Log,
		auth:      sip.NewAuthenticator(cfg.Domain, cfg.Auth.Algorithms, nonceLife),
		passwords: make(map[gb28181.ID]string, len(cfg.Auth.Devices)),
		recent:    sip.NewRecent(sip.RecentWindow, recentLimit),
		epoch:     time.Now(),
	}
	for text, password := range cfg.Auth.Devices {
		id, err := gb28181.ParseID(text)
		if err != nil {
			return nil, err
		}
		f.passwords[id] = password
	}
	if f.quirks == nil {
		f.quirks = quirk.New(nil)
	}
	var err error
	if f.allow, err = cfg.Auth.networks(); err != nil {
		return nil, err
	}
	for i := range f.shards {
		f.shards[i].wrong = make(map[attempt]time.Duration)
	}
	for i := range f.lanes {
		f.lanes[i].wake = make(chan struct{}, 1)
	}
	f.tellers.ready = make(chan *shard, shardCount)
	f.conns.devices = make(map[uint64]map[gb28181.ID]struct{})
	f.metrics, err = newMetrics(o.Registerer, f)
	return f, err
}

// since is t on the fleet's own clock, which no change of the wall clock moves.
func (f *Fleet) since(t time.Time) time.Duration { return t.Sub(f.epoch) }

// Run keeps the deadlines and works the lanes until ctx ends; then it finishes what waits in
// the lanes and saves what is left. Silence counts from its start at the earliest.
func (f *Fleet) Run(ctx context.Context) error {
	var lanes sync.WaitGroup
	for i := range f.lanes {
		lanes.Go(func() { f.work(&f.lanes[i]) })
	}
	stop := make(chan struct{})
	var telling sync.WaitGroup
	for range tellerCount() {
		telling.Go(func() { f.tell(stop) })
	}
	f.tellers.running.Store(true)
	f.watch(ctx)
	f.tellers.running.Store(false)
	for i := range f.lanes {
		f.lanes[i].close()
	}
	lanes.Wait()
	close(stop)
	telling.Wait()
	f.tellRest()
	f.save()
	return nil
}

// watch turns the wheels until ctx ends.
func (f *Fleet) watch(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	last := time.Now()
	f.resumed.Store(int64(f.since(last)))
	f.stalled.Store(int64(f.since(last)))
	saved := last
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Now()
		f.noteStall(last, now)
		last = now
		for i := range f.shards {
			f.turn(&f.shards[i], f.since(now))
		}
		if now.Sub(saved) >= saveInterval {
			saved = now
			f.save()
		}
	}
}

// noteStall notices that we were away between two ticks: a stopped process, or a clock that
// jumped because the machine slept.
func (f *Fleet) noteStall(last, now time.Time) {
	gap := now.Sub(last)
	wall := now.Round(0).Sub(last.Round(0))
	if !wasAway(gap, wall) {
		return
	}
	f.stalled.Store(int64(f.since(last)))
	f.resumed.Store(int64(f.since(now)))
	f.log.Warn("clock stood still or jumped; silence is counted anew", "gap", gap, "wall", wall)
}

// wasAway tells whether two ticks that lie gap apart, and wall by the clock on the wall, mean
// that we were away in between.
func wasAway(gap, wall time.Duration) bool {
	return gap > stallGap || (wall-gap).Abs() > stallGap
}

// turn does what has come due in sh.
func (f *Fleet) turn(sh *shard, now time.Duration) {
	sh.mu.Lock()
	sh.wheel.advance(now, func(s *session) { f.lookLocked(sh, s, now) })
	f.unlockAndLeave(sh)
}

// save hands what has changed to the Sink.
func (f *Fleet) save() {
	var records []Record
	for i := range f.shards {
		sh := &f.shards[i]
		sh.mu.Lock()
		for _, s := range sh.dirty {
			s.isDirty = false
			records = append(records, f.recordLocked(s))
		}
		sh.dirty = nil
		sh.mu.Unlock()
	}
	if len(records) > 0 {
		f.sink.Save(records)
	}
}

// Device is a snapshot of what is known of a device.
type Device struct {
	ID           gb28181.ID
	Registration Registration // the last one
	Registered   bool         // it is live
	Presence     Presence
	Lifecycle    Lifecycle
	Reason       string
	Since        time.Time // of Presence
	LastSeen     time.Time
	Heartbeat    Heartbeat
	Encoding     gb28181.Encoding // last seen from it; the zero Encoding when nothing told
	Channels     int              // those that are there
	Path         sip.Path
	HasPath      bool     // Path can be used
	Other        sip.Path // the other way that it was heard on within its registration; zero: none
}

// Device returns what is known of id, and whether it was ever seen.
func (f *Fleet) Device(id gb28181.ID) (Device, bool) {
	sh := f.shardOf(id)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	s := sh.sessions.get(id)
	if s == nil {
		return Device{}, false
	}
	return f.snapshotLocked(s), true
}

func (f *Fleet) snapshotLocked(s *session) Device {
	return Device{
		ID: s.id, Registration: s.registration(), Registered: s.registered, Presence: s.presence, Lifecycle: s.life, Reason: s.reason,
		Since: s.since.time(), LastSeen: f.epoch.Add(time.Duration(s.lastSeen.Load())), Heartbeat: s.heartbeat,
		Encoding: s.encoding, Channels: int(s.there), Path: s.path, HasPath: s.hasPath,
		Other: s.otherPath(),
	}
}

// Each calls fn with a snapshot of every device, in no order. fn may call the Fleet.
func (f *Fleet) Each(fn func(Device)) {
	var devices []Device
	for i := range f.shards {
		sh := &f.shards[i]
		devices = devices[:0]
		sh.mu.RLock()
		for s := range sh.sessions.all() {
			devices = append(devices, f.snapshotLocked(s))
		}
		sh.mu.RUnlock()
		for _, d := range devices {
			fn(d)
		}
	}
}

// listed is how many devices List returns at a time.
const listed = 64

// List returns the IDs of some devices from a place on: 0 is the beginning, next is where to
// go on, or 0 at the end. Devices stay where they are; one that comes while somebody lists may be missing.
func (f *Fleet) List(place uint64) (ids []gb28181.ID, next uint64) {
	n := int(place & (1<<32 - 1))
	for i := int(place >> 32); i < shardCount; i, n = i+1, 0 {
		sh := &f.shards[i]
		sh.mu.RLock()
		for ; n < sh.sessions.count && len(ids) < listed; n++ {
			ids = append(ids, sh.sessions.at(n).id)
		}
		more := n < sh.sessions.count
		sh.mu.RUnlock()
		if more || len(ids) == listed && i < shardCount-1 {
			return ids, uint64(i)<<32 | uint64(n)
		}
	}
	return ids, 0
}

// Counts returns how many devices are in each presence.
func (f *Fleet) Counts() (online, offline, unknown int) {
	return int(f.counts[Online].Load()), int(f.counts[Offline].Load()), int(f.counts[Unknown].Load())
}

// EncodingOf returns the encoding last seen from id; the zero Encoding when nothing told.
func (f *Fleet) EncodingOf(id gb28181.ID) gb28181.Encoding {
	sh := f.shardOf(id)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	if s := sh.sessions.get(id); s != nil {
		return s.encoding
	}
	return 0
}
