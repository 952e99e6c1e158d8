package sip

import (
	"hash/maphash"
	"sync"
	"time"
)

// recentShards spreads the lock: keepalives of all read loops meet here.
const recentShards = 16

// RecentWindow is how long a repeated request can still arrive: 64 x T1 [RFC3261 17.2.2].
const RecentWindow = 32 * time.Second

// Recent remembers requests for a while, so that one that comes twice is done once. Devices
// repeat with the same branch, and some with a new one, but Call-ID, CSeq, method and From tag
// stay [Request.TransactionKey]. It is safe for concurrent use and bounded: beyond its limit
// the oldest entries are forgotten early.
type Recent struct {
	window time.Duration
	shards [recentShards]recentShard
}

// recentShard keeps its entries in a ring in the order of their arrival.
type recentShard struct {
	mu    sync.Mutex // guards all below
	limit int
	at    map[uint64]int // key -> place in ring
	ring  []recentEntry  // grows up to limit, then goes round
	first int            // the oldest
	count int
}

type recentEntry struct {
	key  uint64
	when time.Time
	code int
}

// NewRecent returns a memory of window (RecentWindow suits SIP) and at most limit entries.
func NewRecent(window time.Duration, limit int) *Recent {
	r := &Recent{window: window}
	for i := range r.shards {
		r.shards[i].limit = max(1, limit/recentShards)
		r.shards[i].at = map[uint64]int{}
	}
	return r
}

// Seen tells whether key was seen within the window before now, and with which status it was
// answered: 0 while its answer is still being made. A key not seen is remembered from now on.
func (r *Recent) Seen(key uint64, now time.Time) (code int, seen bool) {
	s := r.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expireLocked(now.Add(-r.window))
	if i, ok := s.at[key]; ok {
		return s.ring[i].code, true
	}
	s.addLocked(recentEntry{key: key, when: now})
	return 0, false
}

// Done notes with which status key was answered. A key that is forgotten already stays so.
func (r *Recent) Done(key uint64, code int) {
	s := r.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.at[key]; ok {
		s.ring[i].code = code
	}
}

// Forget makes key new again: for a request that was put off (503) and shall be done when
// it is repeated.
func (r *Recent) Forget(key uint64) {
	s := r.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.at, key) // its place in the ring runs out by itself
}

// Len returns the number of keys remembered, those included that have run out unnoticed.
func (r *Recent) Len() int {
	n := 0
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		n += len(s.at)
		s.mu.Unlock()
	}
	return n
}

func (r *Recent) shard(key uint64) *recentShard { return &r.shards[key%recentShards] }

// expireLocked drops what came before limit.
func (s *recentShard) expireLocked(limit time.Time) {
	for s.count > 0 && !s.ring[s.first].when.After(limit) {
		s.dropOldestLocked()
	}
}

func (s *recentShard) dropOldestLocked() {
	if i, ok := s.at[s.ring[s.first].key]; ok && i == s.first {
		delete(s.at, s.ring[s.first].key)
	}
	s.first = (s.first + 1) % len(s.ring)
	s.count--
}

func (s *recentShard) addLocked(e recentEntry) {
	if s.count == len(s.ring) {
		if len(s.ring) < s.limit {
			s.growLocked()
		} else {
			s.dropOldestLocked()
		}
	}
	i := (s.first + s.count) % len(s.ring)
	s.ring[i] = e
	s.at[e.key] = i
	s.count++
}

// growLocked doubles a full ring, up to limit, and puts it in order again.
func (s *recentShard) growLocked() {
	ring := make([]recentEntry, min(s.limit, max(16, 2*len(s.ring))))
	n := copy(ring, s.ring[s.first:])
	copy(ring[n:], s.ring[:s.first])
	s.ring, s.first = ring, 0
	clear(s.at)
	for i := range s.count {
		s.at[ring[i].key] = i
	}
}

// seed makes the hashes of this process unguessable: nobody can choose a Call-ID that collides.
var seed = maphash.MakeSeed()

// TransactionKey names the transaction that r belongs to, for Recent: a hash of who sent it,
// Call-ID, CSeq, method and From tag, good within this process only. Without the sender two
// devices that make up their Call-IDs alike, or one that copies another's, would be one.
func (r *Request) TransactionKey() uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, part := range [...][]byte{r.FromUser, r.CallID, r.FromTag} {
		h.Write(part)
		h.WriteByte(0)
	}
	h.WriteString(r.Method)
	maphash.WriteComparable(&h, r.CSeq)
	return h.Sum64()
}

// tagOf makes the tag of our answers to r: the same request gets the same.
func tagOf(r *Request) uint64 {
	h := maphash.Bytes(seed, r.CallID)
	h = h*31 + maphash.Bytes(seed, r.FromTag)
	return h*31 + maphash.Bytes(seed, r.Branch)
}
