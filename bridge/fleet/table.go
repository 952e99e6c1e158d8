package fleet

import (
	"encoding/binary"
	"iter"
	"unsafe"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// slabBytes is about the size of a slab: large enough that a slab costs nothing beside what is in it,
// small enough that the few devices of a small fleet do not take many.
const slabBytes = 8 << 10

const slabSessions = slabBytes / int(unsafe.Sizeof(session{}))

// table is the sessions of a shard, in slabs that never move: none is ever given up. A look-up
// costs a place in slots and the session itself, which is all that it touches.
type table struct {
	slots []uint32 // a power of two, a quarter of them free; 0: free, else a tag of the hash above the session's number
	slabs []*[slabSessions]session
	count int
}

// A slot has the number of a session, from 1 on, below a tag that keeps most others' sessions
// from being looked at.
const (
	slotNumber = 1<<24 - 1
	firstSlots = 8
)

// hashOf spreads devices that count on in their serial or in their centre code.
func hashOf(id *gb28181.ID) uint64 {
	h := binary.LittleEndian.Uint64(id[12:])*0x9E3779B97F4A7C15 ^ binary.LittleEndian.Uint64(id[4:])
	return (h ^ h>>32) * 0xBF58476D1CE4E5B9
}

// shardOf is the shard of id. The hash's lower bits are the table's.
func (f *Fleet) shardOf(id gb28181.ID) *shard { return &f.shards[hashOf(&id)>>56] }

// at is session number n.
func (t *table) at(n int) *session { return &t.slabs[n/slabSessions][n%slabSessions] }

// get returns the session of id, or nil.
func (t *table) get(id gb28181.ID) *session {
	if len(t.slots) == 0 {
		return nil
	}
	h := hashOf(&id)
	mask := len(t.slots) - 1
	for i := int(h>>24) & mask; ; i = (i + 1) & mask {
		slot := t.slots[i]
		if slot == 0 {
			return nil
		}
		if slot>>24 == uint32(h>>16)&0xff {
			if s := t.at(int(slot&slotNumber) - 1); s.id == id {
				return s
			}
		}
	}
}

// add makes a session for id, which has none.
func (t *table) add(id gb28181.ID) *session {
	if t.count == len(t.slabs)*slabSessions {
		t.slabs = append(t.slabs, new([slabSessions]session))
	}
	s := t.at(t.count)
	t.count++
	s.id = id
	if 4*t.count > 3*len(t.slots) {
		t.slots = make([]uint32, max(firstSlots, 2*len(t.slots)))
		for n := range t.count {
			t.place(n)
		}
	} else {
		t.place(t.count - 1)
	}
	return s
}

// place puts session number n where get finds it.
func (t *table) place(n int) {
	h := hashOf(&t.at(n).id)
	mask := len(t.slots) - 1
	i := int(h>>24) & mask
	for t.slots[i] != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = uint32(h>>16)&0xff<<24 | uint32(n+1)
}

// all returns every session in the order in which they came.
func (t *table) all() iter.Seq[*session] {
	return func(yield func(*session) bool) {
		for n := range t.count {
			if !yield(t.at(n)) {
				return
			}
		}
	}
}
