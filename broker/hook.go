package broker

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

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
	session     *session
	present     bool                   // the session was there before
	granted     []packets.Subscription // of the SUBSCRIBE being worked on: whose retained messages follow; the reader's own
}

func newHook(s *server) *hook { return &hook{s: s} }

// ID names the hook in mochi's log.
func (h *hook) ID() string { return "gb2mqtt" }

// Provides lists the calls that the hook answers.
func (h *hook) Provides(call byte) bool {
	switch call {
	case mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnSessionEstablish, mochi.OnSessionEstablished, mochi.OnDisconnect,
		mochi.OnPublish, mochi.OnPacketRead, mochi.OnSubscribe, mochi.OnSubscribed, mochi.OnUnsubscribed, mochi.OnPacketProcessed,
		mochi.OnWill, mochi.OnClientExpired, mochi.OnPacketEncode:
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

// OnSessionEstablish opens the session, and takes away a will that its client may not
// publish.
func (h *hook) OnSessionEstablish(cl *mochi.Client, pk packets.Packet) {
	if w := cl.Properties.Will; w.Flag != 0 && !h.mayPublish(cl, w.TopicName) {
		h.s.b.metrics.refused.WithLabelValues("will").Inc()
		cl.Properties.Will = mochi.Will{}
	}
	if c := h.connection(cl); c != nil {
		c.session, c.present = h.s.open(cl, c.rights, pk.Connect.Clean)
	}
}

// OnSessionEstablished tells that a client is there, and sends what waited for it.
func (h *hook) OnSessionEstablished(cl *mochi.Client, _ packets.Packet) {
	h.s.topics.changed() // it may have taken over subscriptions
	c := h.connection(cl)
	if c == nil {
		return
	}
	c.established.Store(true)
	h.s.b.metrics.clients.Inc()
	if f := h.s.b.opts.OnClient; f != nil {
		f(c.user, c.id, true)
	}
	conn, _ := cl.Net.Conn.(*queuedConn)
	conn.attach(c.session)
	c.session.attach(cl, conn)
}

// OnDisconnect tells that a client went.
func (h *hook) OnDisconnect(cl *mochi.Client, _ error, expire bool) {
	gone, ok := h.clients.LoadAndDelete(cl)
	if !ok {
		return
	}
	c := gone.(*connection)
	if !c.established.Load() {
		return
	}
	h.s.b.metrics.clients.Dec()
	if f := h.s.b.opts.OnClient; f != nil {
		f(c.user, c.id, false)
	}
	h.awaitTakeover(cl, c.session)
	conn, _ := cl.Net.Conn.(*queuedConn)
	if c.session.detach(conn) && expire {
		h.s.end(c.session)
	}
}

// awaitTakeover waits until mochi knows that a client's place was taken, where it was: it
// would take its successor for the one that went, and forget it.
func (h *hook) awaitTakeover(cl *mochi.Client, ss *session) {
	for begun := time.Now(); h.s.sessions.get(cl.ID) != ss && !cl.IsTakenOver() && time.Since(begun) < lastWords; {
		time.Sleep(time.Millisecond)
	}
}

// OnPacketEncode tells the truth about the session: mochi takes one of another user for the
// client's own [MQTT5 3.2.2.1.1].
func (h *hook) OnPacketEncode(cl *mochi.Client, pk packets.Packet) packets.Packet {
	if pk.FixedHeader.Type == packets.Connack {
		c := h.connection(cl)
		pk.SessionPresent = pk.SessionPresent && c != nil && c.present
	}
	return pk
}

// OnClientExpired ends a session that was left for too long.
func (h *hook) OnClientExpired(cl *mochi.Client) {
	h.s.mochi.UnsubscribeClient(cl)
	if ss := h.s.sessions.get(cl.ID); ss != nil {
		h.s.end(ss)
	}
}

// OnWill publishes a will our way, and leaves mochi nothing to publish.
func (h *hook) OnWill(cl *mochi.Client, w mochi.Will) (mochi.Will, error) {
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: w.Qos, Retain: w.Retain},
		TopicName:   w.TopicName, Payload: w.Payload, Origin: cl.ID, Created: time.Now().Unix(),
		Properties: packets.Properties{User: w.User},
	}
	if w.WillDelayInterval == 0 {
		h.s.route(pk, nil)
		return mochi.Will{}, nil
	}
	h.s.sessions.mu.Lock()
	defer h.s.sessions.mu.Unlock()
	h.s.sessions.late[cl.ID] = time.AfterFunc(time.Duration(w.WillDelayInterval)*time.Second, func() { h.s.route(pk, nil) })
	return mochi.Will{}, nil
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
	h.s.b.metrics.received.Inc()
	c := h.connection(cl)
	class := h.s.b.classify(pk.TopicName)
	switch {
	case c == nil || class == Owned || !c.mayWrite(pk.TopicName):
		h.s.b.metrics.refused.WithLabelValues("publish").Inc()
		if cl.Properties.ProtocolVersion == 5 && pk.FixedHeader.Qos > 0 {
			return pk, h.notAuthorized(cl, pk)
		}
		return pk, packets.CodeSuccessIgnore // acknowledged and dropped
	}
	var in *Incoming
	if class == Request {
		in = h.incoming(c, pk)
		pk.FixedHeader.Retain = false
	}
	stored := h.s.routeStored(pk) // first: who follows requests sees them before their answers
	if in != nil {
		h.s.b.handle(in)
	}
	if err := stored(); err != nil {
		h.s.b.log.Error("MQTT message not acknowledged: it is not stored for all who want it", "topic", pk.TopicName, "client", cl.ID, "err", err)
		return pk, packets.ErrRejectPacket
	}
	if conn, ours := cl.Net.Conn.(*queuedConn); ours && class == Request && pk.FixedHeader.Qos == 1 && h.s.awaitsAnswer(cl.ID, pk) {
		conn.holdNextAck()
	}
	return pk, packets.CodeSuccessIgnore // acknowledged; it went our way
}

// notAuthorized answers a PUBLISH with QoS 1 or 2 itself: mochi knows no refusing PUBREC.
func (h *hook) notAuthorized(cl *mochi.Client, pk packets.Packet) error {
	answer := packets.Puback
	if pk.FixedHeader.Qos == 2 {
		answer = packets.Pubrec
	}
	// A connection that has ended needs no answer.
	_ = cl.WritePacket(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: answer}, PacketID: pk.PacketID, ReasonCode: packets.ErrNotAuthorized.Code,
	})
	return packets.ErrRejectPacket
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

// OnPacketRead takes the PUBACKs: the messages are ours. What is left for mochi acknowledges
// nothing.
func (h *hook) OnPacketRead(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	if pk.FixedHeader.Type == packets.Publish && !mochi.IsValidFilter(pk.TopicName, true) && strings.HasPrefix(pk.TopicName, "$") {
		pk.TopicName = "$" // mochi would leave $SYS/… unanswered; it is refused as all below $ is
	}
	if pk.FixedHeader.Type != packets.Puback {
		return pk, nil
	}
	if c := h.connection(cl); c != nil && c.session != nil {
		c.session.acked(pk.PacketID)
	}
	pk.PacketID = 0
	return pk, nil
}

// OnSubscribe grants QoS 1 where 2 is wanted [MQTT5 3.8.4], and keeps mochi from sending
// retained messages: they go the session's way.
func (h *hook) OnSubscribe(cl *mochi.Client, pk packets.Packet) packets.Packet {
	c := h.connection(cl)
	if c == nil {
		return pk
	}
	c.granted = nil
	pk.Filters = slices.Clone(pk.Filters)
	for i := range pk.Filters {
		f := &pk.Filters[i]
		_, existed := cl.State.Subscriptions.Get(f.Filter)
		wanted := *f
		if wanted.RetainHandling == 1 && existed || mochi.IsSharedFilter(f.Filter) { // [MQTT5 3.3.1.3]
			wanted.RetainHandling = 2
		}
		wanted.Qos = min(wanted.Qos, 1)
		c.granted = append(c.granted, wanted)
		f.Qos, f.RetainHandling = wanted.Qos, 2
	}
	return pk
}

// OnSubscribed keeps what was granted.
func (h *hook) OnSubscribed(cl *mochi.Client, _ packets.Packet, codes []byte) {
	h.s.topics.changed()
	c := h.connection(cl)
	if c == nil {
		return
	}
	for i := range c.granted {
		if i >= len(codes) || codes[i] >= packets.ErrUnspecifiedError.Code {
			c.granted[i].RetainHandling = 2
			continue
		}
		c.session.subscribed(c.granted[i])
	}
}

// OnPacketProcessed sends retained messages once the SUBACK is out.
func (h *hook) OnPacketProcessed(cl *mochi.Client, pk packets.Packet, err error) {
	if pk.FixedHeader.Type != packets.Subscribe || err != nil {
		return
	}
	if c := h.connection(cl); c != nil {
		for _, sub := range c.granted {
			if sub.RetainHandling != 2 {
				c.session.wish(sub)
			}
		}
		c.granted = nil
	}
}

// OnUnsubscribed forgets subscriptions.
func (h *hook) OnUnsubscribed(cl *mochi.Client, pk packets.Packet) {
	h.s.topics.changed()
	c := h.connection(cl)
	if c == nil || c.session == nil {
		return
	}
	for _, f := range pk.Filters {
		c.session.unsubscribed(f.Filter)
	}
}
