package store

import "time"

// Batch is a set of writes that are made all together or not at all. It is not safe for
// concurrent use, and belongs to the store from its commit on.
type Batch struct {
	writes []write
	size   int
}

type write struct {
	key, value []byte
	expires    uint64 // Unix seconds; 0: never
	delete     bool
}

// entryOverhead is what the database adds to key and value of an entry, at most.
const entryOverhead = 64

// Set stores value under key. Neither may be changed until the commit has ended.
func (b *Batch) Set(key, value []byte) { b.add(write{key: key, value: value}) }

// SetTTL stores value under key; it is gone after ttl.
func (b *Batch) SetTTL(key, value []byte, ttl time.Duration) {
	b.add(write{key: key, value: value, expires: uint64(time.Now().Add(ttl).Unix())})
}

// Delete removes key; that it isn't there is no error.
func (b *Batch) Delete(key []byte) { b.add(write{key: key, delete: true}) }

// Len returns the number of writes.
func (b *Batch) Len() int { return len(b.writes) }

// Size returns about how many bytes b takes in the store.
func (b *Batch) Size() int { return b.size }

func (b *Batch) add(w write) {
	b.writes = append(b.writes, w)
	b.size += len(w.key) + len(w.value) + entryOverhead
}
