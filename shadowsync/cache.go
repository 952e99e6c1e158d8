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

// cache keeps committed shadows parsed. The writer alone puts, so that no reader can put an
// older version over a newer one.
type cache struct {
	mu      sync.RWMutex // guards all below
	shadows map[Key]*shadow
	size    int
}

func newCache() *cache { return &cache{shadows: make(map[Key]*shadow)} }

func (c *cache) get(k Key) (*shadow, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	s, ok := c.shadows[k]
	return s, ok
}

// put keeps s, and lets others go when there are too many: any, for a map has no order, and
// one that is asked for comes back.
func (c *cache) put(k Key, s *shadow) {
	c.mu.Lock()
	defer c.mu.Unlock()
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
