package shadowsync

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"
)

// shadow is what there is of one Key: a document, or the last version of a deleted one, or
// nothing. It is never changed.
type shadow struct {
	doc  *Document
	last int64 // version of the deletion; 0: never deleted, or forgotten
	mark mark  // where its history stands
}

// version is the one that the next document goes above.
func (s *shadow) version() int64 {
	if s.doc != nil {
		return s.doc.Version
	}
	return s.last
}

// reported is what is reported, nil where nothing is.
func (s *shadow) reported() map[string]any {
	if s.doc == nil {
		return nil
	}
	return s.doc.State.Reported
}

// tombstoneTTL is how long the last version of a deleted shadow is kept: AWS keeps it for 48
// hours, gb2mqtt at least as long. [device-shadow 6]
const tombstoneTTL = 72 * time.Hour

func encodeTombstone(version int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(version))
}

func decodeTombstone(text []byte) (int64, error) {
	if len(text) != 8 {
		return 0, fmt.Errorf("the stored last version has %d bytes instead of 8", len(text))
	}
	return int64(binary.BigEndian.Uint64(text)), nil
}

// cacheBytes bounds the cache: some 15,000 documents of a device. It is filled by use alone, so a
// small fleet keeps it small. A parsed document takes several times its text.
const cacheBytes = 48 << 20

// cache keeps committed shadows parsed, and reads those that it has not, each once however
// many ask for it at the same time.
type cache struct {
	load func(Key) (*shadow, error) // from the store

	mu      sync.RWMutex // guards all below; never held across I/O
	shadows map[Key]*shadow
	size    int
	flights map[Key]*flight
}

// flight is one reading from the store under way, for all who ask meanwhile.
type flight struct {
	landed chan struct{} // closed when the rest is set
	shadow *shadow
	err    error
}

func newCache(load func(Key) (*shadow, error)) *cache {
	return &cache{load: load, shadows: make(map[Key]*shadow), flights: make(map[Key]*flight)}
}

// get returns what is committed of k.
func (c *cache) get(k Key) (*shadow, error) {
	c.mu.RLock()
	s, ok := c.shadows[k]
	c.mu.RUnlock()
	if ok {
		return s, nil
	}
	f, first := c.join(k)
	if first {
		f.shadow, f.err = c.load(k)
		c.land(k, f)
	}
	<-f.landed
	return f.shadow, f.err
}

// glance is get without keeping what it reads.
func (c *cache) glance(k Key) (*shadow, error) {
	c.mu.RLock()
	s, ok := c.shadows[k]
	c.mu.RUnlock()
	if ok {
		return s, nil
	}
	return c.load(k)
}

// join returns the reading of k that is under way, or begins one: first is true then. What
// came into the cache just now has landed already.
func (c *cache) join(k Key) (f *flight, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.shadows[k]; ok {
		f = &flight{landed: make(chan struct{}), shadow: s}
		close(f.landed)
		return f, false
	}
	if f = c.flights[k]; f != nil {
		return f, false
	}
	f = &flight{landed: make(chan struct{})}
	c.flights[k] = f
	return f, true
}

// land ends the reading f and keeps what it brought, unless a commit has overtaken it. Names
// that nothing is stored of are without number: they are not kept.
func (c *cache) land(k Key, f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flights[k] == f {
		delete(c.flights, k)
		if f.err == nil && (f.shadow.doc != nil || f.shadow.last > 0) {
			c.keepLocked(k, f.shadow)
		}
	}
	close(f.landed)
}

// put keeps s, which was committed just now. Who asks from now on does not join a reading
// that may be older.
func (c *cache) put(k Key, s *shadow) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.flights, k)
	c.keepLocked(k, s)
}

// keepLocked keeps s, and lets others go when there are too many: any, for a map has no
// order, and one that is asked for comes back.
func (c *cache) keepLocked(k Key, s *shadow) {
	if old, ok := c.shadows[k]; ok {
		c.size -= weight(k, old)
	}
	c.shadows[k] = s
	c.size += weight(k, s)
	if c.size <= cacheBytes {
		return
	}
	for other, old := range c.shadows {
		if other == k {
			continue
		}
		delete(c.shadows, other)
		c.size -= weight(other, old)
		if c.size <= cacheBytes*9/10 {
			return
		}
	}
}

// weight is about how many bytes of memory an entry takes.
func weight(k Key, s *shadow) int {
	n := 256 + len(k.Thing) + len(k.Name)
	if s.doc != nil {
		n += 4 * len(s.doc.text)
	}
	return n
}

func (c *cache) bytes() float64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return float64(c.size)
}
