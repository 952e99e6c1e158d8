package broker

import (
	"errors"
	"slices"
	"sync"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// storeTimeout is how long the PUBACK of a message waits for the store.
const storeTimeout = 30 * time.Second

var errStoreSlow = errors.New("the store did not take the message within 30 s")

// sessionTable is all sessions by client ID.
type sessionTable struct {
	mu   sync.RWMutex // guards what follows; never held across I/O
	all  map[string]*session
	late map[string]*time.Timer // wills that wait for their delay, by client ID
}

func (t *sessionTable) get(id string) *session {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.all[id]
}

// drop takes ss out, unless another one has taken its place.
func (t *sessionTable) drop(ss *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all[ss.id] == ss {
		delete(t.all, ss.id)
	}
}

// stopWills gives up the wills that wait: their clients lost nothing but the broker.
func (t *sessionTable) stopWills() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, late := range t.late {
		late.Stop()
	}
}

// route gives pk to all who subscribed to it. stored, where given, is called once when it is
// safe for all sessions that last, and where it is retained.
func (s *server) route(pk packets.Packet, stored func(error)) {
	var all *gathered
	if stored != nil {
		all = &gathered{left: 1, done: stored}
	}
	if pk.FixedHeader.Retain && !s.holds(pk.TopicName) {
		safe := func(error) {}
		if all != nil {
			all.add()
			safe = all.one
		}
		s.retain(pk, safe)
	}
	for _, to := range s.topics.of(pk.TopicName) {
		ss := s.sessions.get(to.client)
		switch {
		case ss == nil:
		case all == nil:
			ss.deliver(&pk, to.sub, nil)
		default:
			all.add()
			if !ss.deliver(&pk, to.sub, all.one) {
				all.one(nil)
			}
		}
	}
	if all != nil {
		all.one(nil)
	}
}

// gathered calls done once, when all that was added has been told.
type gathered struct {
	mu   sync.Mutex
	left int
	errs []error
	done func(error)
}

func (g *gathered) add() {
	g.mu.Lock()
	g.left++
	g.mu.Unlock()
}

func (g *gathered) one(err error) {
	g.mu.Lock()
	if err != nil {
		g.errs = append(g.errs, err)
	}
	g.left--
	last, all := g.left == 0, errors.Join(g.errs...)
	g.mu.Unlock()
	if last {
		g.done(all)
	}
}

// routeStored is route for a client's message. stored returns when it may be acknowledged.
func (s *server) routeStored(pk packets.Packet) (stored func() error) {
	if pk.FixedHeader.Qos == 0 || s.store == nil || !pk.FixedHeader.Retain && len(s.topics.of(pk.TopicName)) == 0 {
		s.route(pk, nil)
		return func() error { return nil }
	}
	done := make(chan error, 1)
	s.route(pk, func(err error) { done <- err })
	return func() error {
		select {
		case err := <-done: // nobody who lasts wanted it
			return err
		default:
		}
		late := time.NewTimer(storeTimeout)
		defer late.Stop()
		select {
		case err := <-done:
			return err
		case <-late.C:
			return errStoreSlow
		}
	}
}

// persistent tells whether a client's session outlives its connection [MQTT5 3.1.2.11.2].
func persistent(cl *mochi.Client) bool {
	if cl.Properties.ProtocolVersion == 5 {
		return cl.Properties.Props.SessionExpiryInterval > 0
	}
	return !cl.Properties.Clean
}

// open finds or makes the session of a client that logs in. A session of another user is not
// its own, whatever the client ID.
func (s *server) open(cl *mochi.Client, r *rights, clean bool) (ss *session, present bool) {
	s.sessions.mu.Lock()
	if late := s.sessions.late[cl.ID]; late != nil {
		late.Stop() // [MQTT5 3.1.3.2.2]
		delete(s.sessions.late, cl.ID)
	}
	old := s.sessions.all[cl.ID]
	foreign := old != nil && old.record.User != r.user
	ss = old
	if old == nil || clean || foreign || !old.persistent {
		ss = &session{s: s, id: cl.ID, ids: make(map[uint16]bool), record: sessionRecord{User: r.user}}
		s.sessions.all[cl.ID] = ss
	}
	s.sessions.mu.Unlock()
	if ss != old && old != nil {
		s.end(old)
		if existing, there := s.mochi.Clients.Get(cl.ID); there && (foreign || !old.persistent) {
			s.mochi.UnsubscribeClient(existing) // or mochi would hand its subscriptions on
		}
	}
	ss.mu.Lock()
	ss.cl, ss.conn = nil, nil // what comes from now on is for the new connection
	ss.rights, ss.persistent = r, persistent(cl)
	ss.record.Version, ss.record.Expiry = cl.Properties.ProtocolVersion, cl.Properties.Props.SessionExpiryInterval
	ss.saveLocked()
	ss.mu.Unlock()
	return ss, ss == old
}

// end forgets a session for good.
func (s *server) end(ss *session) {
	ss.mu.Lock()
	was := ss.persistent
	messages := append(ss.unacked, ss.waiting...)
	ss.persistent, ss.cl, ss.unacked, ss.waiting, ss.wishes, ss.streams, ss.bytes = false, nil, nil, nil, nil, nil, 0
	ss.mu.Unlock()
	if was && s.store != nil {
		s.store.removeAll(ss.id, messages)
	}
	s.sessions.drop(ss)
}

func (ss *session) saveLocked() {
	if ss.persistent && ss.s.store != nil {
		ss.s.store.saveRecord(ss.id, ss.record)
	}
}

// subscribed keeps what a client has subscribed to.
func (ss *session) subscribed(sub packets.Subscription) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.record.Subs = append(withoutFilter(ss.record.Subs, sub.Filter), sub)
	ss.saveLocked()
}

func (ss *session) unsubscribed(filter string) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.record.Subs = withoutFilter(ss.record.Subs, filter)
	ss.wishes = slices.DeleteFunc(ss.wishes, func(w retainedWish) bool { return w.sub.Filter == filter })
	ss.unstreamLocked(filter)
	ss.saveLocked()
}

func withoutFilter(subs []packets.Subscription, filter string) []packets.Subscription {
	return slices.DeleteFunc(slices.Clone(subs), func(s packets.Subscription) bool { return s.Filter == filter })
}

// restore reads the sessions of the run before. Their expiry counts anew from now, so that
// the bridge's own absence ends none.
func (s *server) restore() error {
	records, messages, retained, err := s.store.load()
	if err != nil {
		return err
	}
	s.restoreKept(retained)
	for id, r := range records {
		rights := s.users.rightsOf(r.User)
		if rights == nil {
			s.store.removeAll(id, messages[id])
			s.b.log.Warn("MQTT session ended: its user is no more", "client", id, "user", r.User)
			continue
		}
		ss := &session{s: s, id: id, rights: rights, record: r, persistent: true, ids: make(map[uint16]bool), waiting: messages[id]}
		for _, d := range ss.waiting {
			ss.bytes += d.size
			ss.seq = d.seq
		}
		s.sessions.all[id] = ss
		cl := s.mochi.NewClient(nil, "", id, false)
		cl.Properties.ProtocolVersion, cl.Properties.Username = r.Version, []byte(r.User)
		cl.Properties.Props.SessionExpiryInterval, cl.Properties.Props.SessionExpiryIntervalFlag = r.Expiry, r.Version == 5
		cl.Stop(packets.ErrServerShuttingDown) // it is away, from now on
		s.mochi.Clients.Add(cl)
		for _, sub := range r.Subs {
			s.mochi.Topics.Subscribe(id, sub)
			cl.State.Subscriptions.Add(sub.Filter, sub)
		}
	}
	return nil
}
