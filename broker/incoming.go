package broker

import "strings"

// Incoming is one request from a client of the embedded broker or from a link.
type Incoming struct {
	Topic   string
	Payload []byte // may be kept
	QoS     byte
	Retain  bool   // the sender wanted it retained; it never is
	Client  string // unique for the connection; empty from a link
	User    string // empty: anonymous, or from a link
	Link    string // name of the link that it came by; empty: the embedded broker
	// HasReply is set when the sender named a Response Topic [MQTT5 4.10] that may be
	// used: the answer goes there by Reply, and nowhere else.
	HasReply bool
	// Refused says why the Response Topic that the sender named may not be used.
	Refused string

	reply func(payload []byte, code int)
}

// Reply publishes the answer to the Response Topic, with the request's Correlation Data
// and the user property code. Without HasReply it does nothing.
func (in *Incoming) Reply(payload []byte, code int) {
	if in.reply != nil {
		in.reply(payload, code)
	}
}

// refuseResponseTopic says why answers may not go to topic, or nothing.
func (b *Broker) refuseResponseTopic(topic string, write *rights) string {
	switch {
	case strings.ContainsAny(topic, "+#\x00"):
		return "the Response Topic holds a wildcard; name one topic"
	case len(topic) > maxTopic:
		return "the Response Topic is too long"
	}
	switch b.classify(topic) {
	case Owned:
		return "the Response Topic is the bridge's own; use a topic of your own"
	case Request:
		return "the Response Topic is a command's; use a topic of your own"
	}
	if !write.mayWrite(topic) {
		return "the Response Topic lies beyond what this user may write"
	}
	return ""
}

// maxTopic is the longest UTF-8 string of MQTT [MQTT5 1.5.4].
const maxTopic = 65535
