package broker

import (
	"fmt"
	"sync"
	"sync/atomic"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// hook is what mochi asks: who may log in, read and write, and what becomes of a publication.
type hook struct {
	mochi.HookBase
	s       *server
	clients sync.Map // *mochi.Client: *connection
	serial  atomic.Uint64
}

// connection is what is remembered of a client while it is connected.
type connection struct {
	*rights
	id          string // unique for the connection
	established atomic.Bool

	mu      sync.Mutex        // guards swapped
	swapped map[uint16]uint16 // packet IDs of SUBSCRIBE and UNSUBSCRIBE under another number, see swapID
}

func newHook(s *server) *hook { return &hook{s: s} }

// ID names the hook in mochi's log.
func (h *hook) ID() string { return "gb2mqtt" }

// Provides lists the calls that the hook answers.
func (h *hook) Provides(call byte) bool {
	switch call {
	case mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnSessionEstablish, mochi.OnSessionEstablished, mochi.OnDisconnect,
		mochi.OnPublish, mochi.OnPacketRead, mochi.OnPacketEncode, mochi.OnPacketSent, mochi.OnPublishDropped:
		return true
	}
	return false
}

func (h *hook) connection(cl *mochi.Client) *connection {
	c, ok := h.clients.Load(cl)
	if !ok {
		return nil
	}
	return c.(*connection)
}

// OnConnectAuthenticate logs a client in.
func (h *hook) OnConnectAuthenticate(cl *mochi.Client, pk packets.Packet) bool {
	r := h.s.users.login(string(pk.Connect.Username), string(pk.Connect.Password))
	if r == nil {
		h.s.b.metrics.refused.WithLabelValues("login").Inc()
		h.s.b.log.Warn("MQTT login refused", "user", string(pk.Connect.Username), "remote", cl.Net.Remote)
		return false
	}
	h.clients.Store(cl, &connection{rights: r, id: fmt.Sprintf("%s#%d", cl.ID, h.serial.Add(1))})
	return true
}

// OnSessionEstablish takes away a will that its client may not publish.
func (h *hook) OnSessionEstablish(cl *mochi.Client, _ packets.Packet) {
	if w := cl.Properties.Will; w.Flag != 0 && !h.mayPublish(cl, w.TopicName) {
		h.s.b.metrics.refused.WithLabelValues("will").Inc()
		cl.Properties.Will = mochi.Will{}
	}
}

// OnSessionEstablished tells that a client is there.
func (h *hook) OnSessionEstablished(cl *mochi.Client, _ packets.Packet) {
	c := h.connection(cl)
	if c == nil {
		return
	}
	c.established.Store(true)
	h.s.b.metrics.clients.Inc()
	if f := h.s.b.opts.OnClient; f != nil {
		f(c.user, c.id, true)
	}
}

// OnDisconnect tells that a client went.
func (h *hook) OnDisconnect(cl *mochi.Client, _ error, _ bool) {
	gone, ok := h.clients.LoadAndDelete(cl)
	if !ok {
		return
	}
	if c := gone.(*connection); c.established.Load() {
		h.s.b.metrics.clients.Dec()
		if f := h.s.b.opts.OnClient; f != nil {
			f(c.user, c.id, false)
		}
	}
}

// mayPublish tells whether a client's own message may go out on topic. Requests may not be
// wills: nobody would wait for their answers.
func (h *hook) mayPublish(cl *mochi.Client, topic string) bool {
	c := h.connection(cl)
	return c != nil && c.mayWrite(topic) && h.s.b.classify(topic) == Open
}

// OnACLCheck answers for filters and for topics that are about to be delivered. Publications
// are judged by OnPublish: mochi would end the connection of a 3.1.1 client that may not.
func (h *hook) OnACLCheck(cl *mochi.Client, topic string, write bool) bool {
	if write || cl.Net.Inline {
		return true
	}
	c := h.connection(cl)
	if c == nil {
		// A session without a connection: what it subscribed to was judged then.
		return true
	}
	if c.mayRead(topic) {
		return true
	}
	h.s.b.metrics.refused.WithLabelValues("read").Inc()
	return false
}

// OnPublish decides what becomes of a client's message.
func (h *hook) OnPublish(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	pk.Created = h.s.stamp()
	if cl.Net.Inline {
		return pk, nil
	}
	h.s.b.metrics.received.Inc()
	c := h.connection(cl)
	class := h.s.b.classify(pk.TopicName)
	switch {
	case c == nil || class == Owned || !c.mayWrite(pk.TopicName):
		h.s.b.metrics.refused.WithLabelValues("publish").Inc()
		if cl.Properties.ProtocolVersion == 5 && pk.FixedHeader.Qos == 1 {
			return pk, packets.ErrNotAuthorized
		}
		return pk, packets.CodeSuccessIgnore // acknowledged and dropped
	case class == Request:
		h.s.b.handle(h.incoming(c, pk))
		pk.FixedHeader.Retain = false
	}
	return pk, nil
}

// incoming is a request as the Handler gets it.
func (h *hook) incoming(c *connection, pk packets.Packet) *Incoming {
	in := &Incoming{
		Topic: pk.TopicName, Payload: pk.Payload, QoS: pk.FixedHeader.Qos, Retain: pk.FixedHeader.Retain,
		Client: c.id, User: c.user,
	}
	topic := pk.Properties.ResponseTopic
	if topic == "" {
		return in
	}
	if in.Refused = h.s.b.refuseResponseTopic(topic, c.rights); in.Refused != "" {
		return in
	}
	correlation := pk.Properties.CorrelationData
	in.HasReply = true
	in.reply = func(payload []byte, code int) { h.s.answer(topic, correlation, payload, code) }
	return in
}

// OnPacketRead gives SUBSCRIBE and UNSUBSCRIBE another packet ID where theirs is that of a
// message on its way to the client: the two number apart [MQTT5 2.2.1], mochi takes them for
// one and answers 0x91.
func (h *hook) OnPacketRead(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	if pk.FixedHeader.Type != packets.Subscribe && pk.FixedHeader.Type != packets.Unsubscribe {
		return pk, nil
	}
	if _, clash := cl.State.Inflight.Get(pk.PacketID); !clash {
		return pk, nil
	}
	if c := h.connection(cl); c != nil {
		pk.PacketID = c.swapID(cl, pk.PacketID)
	}
	return pk, nil
}

// swapID finds a number that nothing on its way has, and remembers the client's own for the
// answer.
func (c *connection) swapID(cl *mochi.Client, own uint16) uint16 {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := uint16(65535); id > 0; id-- {
		_, inflight := cl.State.Inflight.Get(id)
		if _, taken := c.swapped[id]; !inflight && !taken {
			if c.swapped == nil {
				c.swapped = make(map[uint16]uint16)
			}
			c.swapped[id] = own
			return id
		}
	}
	return own
}

// OnPacketEncode puts a swapped packet ID back.
func (h *hook) OnPacketEncode(cl *mochi.Client, pk packets.Packet) packets.Packet {
	if pk.FixedHeader.Type != packets.Suback && pk.FixedHeader.Type != packets.Unsuback {
		return pk
	}
	if c := h.connection(cl); c != nil {
		c.mu.Lock()
		if own, swapped := c.swapped[pk.PacketID]; swapped {
			delete(c.swapped, pk.PacketID)
			pk.PacketID = own
		}
		c.mu.Unlock()
	}
	return pk
}

// OnPacketSent counts what was handed to a connection.
func (h *hook) OnPacketSent(*mochi.Client, packets.Packet, []byte) { h.s.sent.Add(1) }

// OnPublishDropped counts what did not fit a client's queue.
func (h *hook) OnPublishDropped(*mochi.Client, packets.Packet) { h.s.b.metrics.dropped.Inc() }
