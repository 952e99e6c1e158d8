package sip

import "bytes"

// datagram scans one UDP datagram, body included.
func (m *inbound) datagram(b []byte, maxBody int) fault {
	b = skipIdle(b)
	if len(b) == 0 {
		m.reset()
		return faultIdle
	}
	f := m.scan(b)
	if m.head == 0 {
		return f
	}
	body, ok := cutBody(b[m.head:], m.length)
	m.Body = body
	if f == fine && len(body) > maxBody {
		return faultLarge
	}
	return orElse(f, when(!ok, faultBroken))
}

// skipIdle drops what devices send to keep a NAT open, alone or in front of a message:
// CRLF [RFC5626 3.5.1], NUL, and the "jaK" of one vendor.
func skipIdle(b []byte) []byte {
	for len(b) > 0 {
		switch {
		case b[0] == '\r' || b[0] == '\n' || b[0] == 0 || b[0] == ' ':
			b = b[1:]
		case len(b) >= 3 && string(b[:3]) == "jaK":
			b = b[3:]
		default:
			return b
		}
	}
	return b
}

// cutBody takes the body out of the rest of a datagram [RFC3261 18.3]. Without a length it is
// all of the rest. Devices count wrong, some in characters: where only the other reading ends
// like XML, that one is taken. A body shorter than its length is else not ok.
func cutBody(rest []byte, length int) (body []byte, ok bool) {
	switch {
	case length < 0 || length == len(rest):
		return rest, true
	case length > len(rest):
		return rest, closed(rest)
	case length > 0 && !closed(rest[:length]) && closed(rest):
		return rest, true
	}
	return rest[:length], true
}

// closed tells whether b ends like an XML document.
func closed(b []byte) bool {
	return bytes.HasSuffix(bytes.TrimRight(b, " \t\r\n\x00"), []byte(">"))
}
