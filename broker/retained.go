package broker

import (
	"slices"

	"github.com/mochi-mqtt/server/v2/packets"
)

// Source has retained messages that live elsewhere already, so that the broker keeps none of
// them: who subscribes is told what the source says then. Each is of QoS 1. What Options.Classify
// does not call Owned can't be a source's.
type Source interface {
	// Holds tells whether what is retained under topic is the source's.
	Holds(topic string) bool
	// Topics lists some of the source's topics, at least those that match filter, from a place
	// on: "" is the beginning. next is where to go on, or "" at the end. A topic that comes to
	// be later need not be listed. It may read a disk.
	Topics(filter, place string) (topics []string, next string)
	// Retained is what is retained under topic now, nil for nothing. It is never older than
	// what was published there, and may read a disk.
	Retained(topic string) []byte
}

// The bounds of what a stream sends at a time, so that live messages get their turn between.
const (
	streamTopics = 64
	streamBytes  = 64 << 10
)

// stream is what a new subscription still gets from the source. It goes on as its client
// reads, and holds some topics and no payloads meanwhile.
type stream struct {
	sub    packets.Subscription
	topics []string // that are next
	place  string   // where there are more
	last   bool     // there are none
}

// holds tells whether the retained message of topic is the source's.
func (s *server) holds(topic string) bool {
	return s.b.opts.Source != nil && s.b.opts.Source.Holds(topic)
}

// streamLocked begins the stream of a new subscription, in place of one that is under way.
func (ss *session) streamLocked(sub packets.Subscription) {
	if ss.s.b.opts.Source == nil {
		return
	}
	ss.unstreamLocked(sub.Filter)
	ss.streams = append(ss.streams, &stream{sub: sub})
	ss.wakeLocked()
}

func (ss *session) unstreamLocked(filter string) {
	ss.streams = slices.DeleteFunc(ss.streams, func(st *stream) bool { return st.sub.Filter == filter })
}

// wakeLocked has the connection's writer pull, where there is something to pull.
func (ss *session) wakeLocked() {
	if len(ss.streams) > 0 && ss.conn != nil {
		ss.conn.signal()
	}
}

// mayStreamLocked tells whether there is room for a retained message: it never passes what
// waits, and leaves live messages their part of the backlog.
func (ss *session) mayStreamLocked() bool {
	return ss.cl != nil && len(ss.waiting) == 0 && len(ss.unacked) < ss.window && ss.conn.pending() < ss.conn.limit/2
}

// headLocked is the stream that is next, where there is room for it; conn is who asks.
func (ss *session) headLocked(conn *queuedConn) *stream {
	if ss.conn != conn || len(ss.streams) == 0 || !ss.mayStreamLocked() {
		return nil
	}
	return ss.streams[0]
}

// pull sends the next part of a stream. It runs on the writer of conn alone, and tells
// whether there may be more to send at once.
func (ss *session) pull(conn *queuedConn) (more bool) {
	ss.mu.Lock()
	st := ss.headLocked(conn)
	ss.mu.Unlock()
	if st == nil {
		return false
	}
	source := ss.s.b.opts.Source
	if len(st.topics) == 0 && !st.last {
		topics, next := source.Topics(st.sub.Filter, st.place)
		st.topics = slices.DeleteFunc(topics, func(t string) bool { return !covers(st.sub.Filter, t) })
		st.place, st.last = next, next == ""
	}
	part := st.topics[:min(len(st.topics), streamTopics)]
	ss.mu.Lock()
	ss.reading = make(map[string]bool, len(part))
	for _, t := range part {
		ss.reading[t] = true
	}
	ss.mu.Unlock()
	payloads, size := make([][]byte, 0, len(part)), 0
	for _, t := range part {
		p := source.Retained(t)
		payloads = append(payloads, p)
		if size += len(t) + len(p) + overhead; size >= streamBytes {
			break
		}
	}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return ss.sendPartLocked(conn, st, payloads)
}

// sendPartLocked sends payloads as what is retained under the first topics of st. A topic on
// which something newer was published while its payload was read is read again.
func (ss *session) sendPartLocked(conn *queuedConn, st *stream, payloads [][]byte) (more bool) {
	var again []string
	sent := 0
	for i, payload := range payloads {
		if ss.headLocked(conn) != st {
			break
		}
		topic := st.topics[i]
		sent++
		switch {
		case !ss.reading[topic]:
			again = append(again, topic)
		case payload != nil:
			ss.sendRetainedLocked(&packets.Packet{
				FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1, Retain: true}, TopicName: topic, Payload: payload,
			}, st.sub)
		}
	}
	ss.reading = nil
	st.topics = append(again, st.topics[sent:]...)
	if ss.headLocked(conn) != st {
		return false // whoever makes room, or ends it, wakes the writer
	}
	if len(st.topics) == 0 && st.last {
		ss.streams = ss.streams[1:]
	}
	return len(ss.streams) > 0
}

// sendRetainedLocked sends a retained message to a new subscriber; there is room for it.
func (ss *session) sendRetainedLocked(pk *packets.Packet, sub packets.Subscription) {
	out := outgoing(pk, sub)
	out.FixedHeader.Retain = true
	if out.FixedHeader.Qos == 0 {
		ss.writeLocked(out)
		return
	}
	d := &delivery{pk: out, id: ss.freeIDLocked()}
	d.pk.PacketID = d.id
	ss.unacked = append(ss.unacked, d)
	ss.writeLocked(d.pk)
}
