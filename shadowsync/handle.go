package shadowsync

import "time"

// Request is one message on a request topic.
type Request struct {
	Topic   string
	Payload []byte // not kept
	Client  string // the connection, for the limit of requests in flight; empty: none
	// Reply, when set, takes the answer instead of the accepted or rejected topic (MQTT 5
	// response topic). code is 200 or that of the refusal. It must not block.
	Reply func(payload []byte, code int)
	// Forbidden, when set, is why the request is refused with 403.
	Forbidden string
}

// Handle takes a request and returns true, or false when the topic is not a request topic of
// the service. It waits for nothing but a shadow that is not in memory, which it reads: that
// costs who asks for it and not the writer, which all wait for. What does not fit is answered
// with 429 at once. Each request gets exactly one answer.
func (s *Service) Handle(r Request) bool {
	k, op, ok := ParseTopic(s.cfg.Prefix, r.Topic)
	if !ok || !op.Request() {
		return false
	}
	if op == OpHistory {
		s.handleHistory(k, r)
		return true
	}
	j := &job{op: op, key: k, client: true, conn: r.Client, reply: r.Reply}
	j.refused = s.check(j, r)
	refused := s.rate.refuse(k.Thing, time.Now())
	if refused == nil {
		if j.refused == nil {
			s.warm(k)
		}
		refused = s.queue.request(j)
	}
	if refused != nil {
		j.refused, j.conn = refused, "" // it was never counted
		s.answerRejected(j)
	}
	return true
}

// warm brings k into memory, if there is such a shadow. What goes wrong the writer will see.
func (s *Service) warm(k Key) { _, _ = s.cache.get(k) }

// check makes the checks that need no document, in the order of device-shadow 9, and fills in
// what was asked.
func (s *Service) check(j *job, r Request) (refused *Error) {
	names := checkNames(j.key)
	if j.op == OpUpdate {
		j.request, refused = parseRequest(r.Payload, s.cfg.ClientReported)
	} else {
		j.request.token, refused = parseBare(r.Payload)
	}
	switch {
	case r.Forbidden != "":
		return &Error{403, r.Forbidden}
	case names != nil:
		return names
	case s.cfg.Things == ThingsDevices && s.opts.KnownThing != nil && !s.opts.KnownThing(j.key.Thing):
		return errNoThing
	}
	return refused
}
