package broker

import (
	"sync"

	"github.com/mochi-mqtt/server/v2/packets"
)

// maxKept bounds the retained messages of all clients together, in bytes of topics and
// payloads: they live in memory.
const maxKept = 64 << 20

// kept are the retained messages of clients. They are in the store too and outlive a restart;
// what the bridge retains it publishes again by itself.
type kept struct {
	mu    sync.Mutex     // guards what follows and keeps memory and store in one order
	sizes map[string]int // bytes, by topic
	bytes int
	full  bool // it was told
}

// takeLocked counts topic at size bytes, 0 being none; false where there is no room for it.
func (k *kept) takeLocked(topic string, size int) bool {
	after := k.bytes - k.sizes[topic] + size
	if size > 0 && after > maxKept {
		return false
	}
	if k.bytes = after; size == 0 {
		delete(k.sizes, topic)
	} else {
		k.sizes[topic] = size
	}
	k.full = k.full && k.bytes > maxKept*9/10
	return true
}

func keptSize(pk *packets.Packet) int {
	if len(pk.Payload) == 0 {
		return 0
	}
	return len(pk.TopicName) + len(pk.Payload) + overhead
}

// retain keeps pk as what is retained on its topic, or with an empty payload forgets that.
// done is called once that is safe, or at once.
func (s *server) retain(pk packets.Packet, done func(error)) {
	s.kept.mu.Lock()
	defer s.kept.mu.Unlock()
	switch {
	case s.b.classify(pk.TopicName) != Open:
		s.mochi.Topics.RetainMessage(pk.Copy(false)) // [MQTT5 3.3.1.3]
		done(nil)
	case !s.kept.takeLocked(pk.TopicName, keptSize(&pk)):
		s.b.metrics.unkept.Inc()
		if !s.kept.full {
			s.kept.full = true
			s.b.log.Warn("retained messages of clients are not kept any more: there are too many", "topic", pk.TopicName, "limit_bytes", maxKept)
		}
		done(nil)
	case s.store == nil:
		s.mochi.Topics.RetainMessage(pk.Copy(false))
		done(nil)
	default:
		s.mochi.Topics.RetainMessage(pk.Copy(false))
		s.store.keep(pk, done)
	}
}

// restoreKept retains again what clients had retained before.
func (s *server) restoreKept(messages []packets.Packet) {
	s.kept.mu.Lock()
	defer s.kept.mu.Unlock()
	for _, pk := range messages {
		if s.kept.takeLocked(pk.TopicName, keptSize(&pk)) {
			s.mochi.Topics.RetainMessage(pk)
		}
	}
}
