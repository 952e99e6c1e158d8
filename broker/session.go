package broker

import (
	"slices"
	"sync"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// maxWindow bounds the messages of a connection that wait for their PUBACK. A client that
// names a smaller Receive Maximum has that [MQTT5 3.1.2.11.3].
const maxWindow = 10000

// session is what one client is owed: its messages in order, whether it is there or not.
// Mochi's own queue loses the order (it resends by seconds modulo 65536), lets a message
// that a PUBLISH of the client has the packet ID of fall, and stops at a Receive Maximum.
type session struct {
	s  *server
	id string

	mu         sync.Mutex // guards what follows; never held across I/O: a connection's Write only queues
	rights     *rights
	record     sessionRecord
	persistent bool
	cl         *mochi.Client // nil while it is away
	conn       *queuedConn
	window     int
	unacked    []*delivery // sent, oldest first
	waiting    []*delivery // to be sent, oldest first
	bytes      int         // of waiting
	lastID     uint16
	ids        map[uint16]bool // of unacked, and of waiting what was sent before
	seq        uint64          // of the last message stored
	wishes     []retainedWish  // retained messages that a new subscription still gets
	streams    []*stream       // and those of the source
	reading    map[string]bool // topics whose retained message is being read; live ones leave it
	full       bool            // it was told that messages were dropped
}

// delivery is one QoS 1 message of a session.
type delivery struct {
	pk   packets.Packet
	seq  uint64 // its place in the store; 0: not stored
	id   uint16 // 0: never sent
	size int
}

// retainedWish is a retained message to be sent as it is when its turn comes.
type retainedWish struct {
	topic string
	sub   packets.Subscription
}

// overhead is about what a message takes beside topic and payload.
const overhead = 64

// deliver sends or queues pk. stored is called once it is safe for a session that lasts; it
// returns false, and does not call it, where there is nothing to wait for.
func (ss *session) deliver(pk *packets.Packet, sub packets.Subscription, stored func(error)) bool {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if sub.NoLocal && pk.Origin == ss.id || !ss.rights.mayRead(pk.TopicName) { // [MQTT5 3.8.3.1]
		return false
	}
	delete(ss.reading, pk.TopicName)
	out := outgoing(pk, sub)
	if out.FixedHeader.Qos == 0 {
		if ss.cl != nil {
			ss.writeLocked(out)
		}
		return false
	}
	if ss.cl == nil && !ss.persistent {
		return false
	}
	d := &delivery{pk: out, size: len(out.TopicName) + len(out.Payload) + overhead}
	if !ss.roomLocked(d) {
		return false
	}
	waits := false
	if ss.persistent && ss.s.store != nil {
		ss.seq++
		d.seq, waits = ss.seq, stored != nil
		ss.s.store.put(ss.id, d, stored)
	}
	ss.waiting = append(ss.waiting, d)
	ss.bytes += d.size
	ss.pumpLocked()
	return waits
}

// outgoing is pk as a subscriber gets it.
func outgoing(pk *packets.Packet, sub packets.Subscription) packets.Packet {
	p := &pk.Properties
	out := packets.Packet{
		FixedHeader: packets.FixedHeader{
			Type: packets.Publish, Qos: min(pk.FixedHeader.Qos, sub.Qos, 1),
			Retain: pk.FixedHeader.Retain && (sub.FwdRetainedFlag || sub.RetainAsPublished), // [MQTT5 3.3.1.3]
		},
		TopicName: pk.TopicName, Payload: pk.Payload, Expiry: pk.Expiry, Origin: pk.Origin,
		Properties: packets.Properties{
			CorrelationData: p.CorrelationData, ResponseTopic: p.ResponseTopic, ContentType: p.ContentType, User: p.User,
			PayloadFormat: p.PayloadFormat, PayloadFormatFlag: p.PayloadFormatFlag,
		},
	}
	for _, id := range sub.Identifiers {
		out.Properties.SubscriptionIdentifier = append(out.Properties.SubscriptionIdentifier, id)
	}
	slices.Sort(out.Properties.SubscriptionIdentifier)
	return out
}

// roomLocked makes room for d, or tells that there is none. A client that is there and slow
// is disconnected; one that is away loses the oldest of what was never sent to it.
func (ss *session) roomLocked(d *delivery) bool {
	if ss.cl != nil {
		if ss.bytes+ss.conn.pending()+d.size <= ss.conn.limit {
			return true
		}
		ss.conn.giveUp()
		ss.cl = nil
		if !ss.persistent {
			return false
		}
	}
	for len(ss.unacked)+len(ss.waiting) >= ss.s.cfg.Session.Queued {
		ss.s.b.metrics.dropped.Inc()
		if !ss.full {
			ss.full = true
			ss.s.b.log.Warn("MQTT messages dropped: a client that is away has too many waiting", "client", ss.id, "queued", ss.s.cfg.Session.Queued)
		}
		oldest := slices.IndexFunc(ss.waiting, func(w *delivery) bool { return w.id == 0 })
		if oldest < 0 {
			return false
		}
		ss.forgetLocked(ss.waiting[oldest])
		ss.bytes -= ss.waiting[oldest].size
		ss.waiting = slices.Delete(ss.waiting, oldest, oldest+1)
	}
	return true
}

// pumpLocked sends what may be sent: first what waits, then retained messages.
func (ss *session) pumpLocked() {
	for ss.cl != nil && len(ss.waiting) > 0 && len(ss.unacked) < ss.window {
		d := ss.waiting[0]
		ss.waiting[0] = nil
		ss.waiting = ss.waiting[1:]
		ss.bytes -= d.size
		if expired(&d.pk) { // [MQTT5 3.3.2.3.3]
			ss.forgetLocked(d)
			continue
		}
		d.pk.FixedHeader.Dup = d.id != 0 // [MQTT5 3.3.1.1]
		if d.id == 0 {
			d.id = ss.freeIDLocked()
		}
		d.pk.PacketID = d.id
		ss.unacked = append(ss.unacked, d)
		ss.writeLocked(d.pk)
	}
	for len(ss.wishes) > 0 && ss.mayStreamLocked() {
		w := ss.wishes[0]
		ss.wishes = ss.wishes[1:]
		pk, there := ss.s.mochi.Topics.Retained.Get(w.topic)
		if !there || expired(&pk) {
			continue
		}
		ss.sendRetainedLocked(&pk, w.sub)
	}
	ss.wakeLocked()
}

// freeIDLocked finds a packet ID that nothing unacknowledged has; there are less of these
// than IDs.
func (ss *session) freeIDLocked() uint16 {
	for {
		ss.lastID++
		if ss.lastID != 0 && !ss.ids[ss.lastID] {
			ss.ids[ss.lastID] = true
			return ss.lastID
		}
	}
}

// writeLocked hands a packet to the connection. That it can't is no error here: the
// connection's end tells, and QoS 1 messages stay.
func (ss *session) writeLocked(pk packets.Packet) { _ = ss.cl.WritePacket(pk) }

// acked forgets the message that the client has taken.
func (ss *session) acked(id uint16) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	at := slices.IndexFunc(ss.unacked, func(d *delivery) bool { return d.id == id })
	if at < 0 {
		return
	}
	ss.forgetLocked(ss.unacked[at])
	if at == 0 {
		ss.unacked[0] = nil
		ss.unacked = ss.unacked[1:]
	} else {
		ss.unacked = slices.Delete(ss.unacked, at, at+1)
	}
	ss.full = false
	ss.pumpLocked()
}

func (ss *session) forgetLocked(d *delivery) {
	delete(ss.ids, d.id)
	if d.seq != 0 {
		ss.s.store.remove(ss.id, d.seq)
	}
}

// wish asks for the retained messages under a new subscription's filter.
func (ss *session) wish(sub packets.Subscription) {
	sub.FwdRetainedFlag = true
	if sub.Identifier > 0 {
		sub.Identifiers = map[string]int{sub.Filter: sub.Identifier}
	}
	all := ss.s.mochi.Topics.Messages(sub.Filter)
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, pk := range all {
		ss.wishes = append(ss.wishes, retainedWish{pk.TopicName, sub})
	}
	ss.streamLocked(sub)
	ss.pumpLocked()
}

// drained goes on with what waited for the connection.
func (ss *session) drained() {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.pumpLocked()
}

// attach gives the session its connection, which first gets again what it did not
// acknowledge, in order.
func (ss *session) attach(cl *mochi.Client, conn *queuedConn) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.cl, ss.conn, ss.window = cl, conn, maxWindow
	if most := int(cl.Properties.Props.ReceiveMaximum); most > 0 {
		ss.window = min(most, maxWindow)
	}
	for _, d := range ss.unacked {
		ss.bytes += d.size
	}
	ss.waiting = append(ss.unacked, ss.waiting...)
	ss.unacked, ss.full = nil, false
	ss.pumpLocked()
}

// detach takes the connection away, unless the session has another one already.
func (ss *session) detach(conn *queuedConn) (was bool) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.conn != conn {
		return false
	}
	ss.cl, ss.conn, ss.wishes, ss.streams = nil, nil, nil, nil
	return true
}

func expired(pk *packets.Packet) bool { return pk.Expiry > 0 && pk.Expiry <= time.Now().Unix() }
