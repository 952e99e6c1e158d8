package sip

import "bytes"

// maxGarbage bounds what may stand between two messages of a stream, in bytes: the body of a
// message without a Content-Length, say.
const maxGarbage = 128 << 10

// maxSkipped bounds the body of a message that is refused for its size and passed over, in
// bytes; behind a longer one the stream is given up.
const maxSkipped = 16 << 20

// step says what a splitter found at the front of its buffer.
type step uint8

const (
	stepMore    step = iota // the message has no end yet
	stepMessage             // a whole message, scanned
	stepGarbage             // something skipped that is no message
	stepSkipped             // a part of a body that was refused for its size
	stepFatal               // where the next message begins can't be known any more
)

// splitter cuts a TCP stream into messages [RFC3261 18.3]. Its result does not depend on how
// the stream came in pieces. It keeps no bytes: the caller holds them and drops what was taken.
type splitter struct {
	maxBody int
	garbage int // bytes skipped since the last message
	skip    int // bytes of a refused body that are still to come
}

// next looks at the front of b. It returns how many bytes are done with, and for stepMessage
// the message, scanned into m, with its fault (a body that is too large comes as a message
// without it, and is passed over: the device keeps its connection, and with it its presence);
// for stepFatal the fault that ends the stream.
// At stepMore, done may be positive too (keep-alive bytes), and want is the length that b must
// grow to, as far as that is known.
func (s *splitter) next(b []byte, m *inbound) (what step, done, want int, f fault) {
	if s.skip > 0 && len(b) > 0 {
		done = min(s.skip, len(b))
		s.skip -= done
		return stepSkipped, done, 0, fine
	}
	rest := skipIdle(b)
	done = len(b) - len(rest)
	if len(rest) == 0 {
		return stepMore, done, 0, fine
	}
	eol := bytes.IndexByte(rest, '\n')
	if eol < 0 {
		if len(rest) > maxHead {
			return stepFatal, done, 0, faultNotSIP
		}
		return stepMore, done, 0, fine
	}
	if !isStartLine(rest[:eol]) {
		if s.garbage += eol + 1; s.garbage > maxGarbage {
			return stepFatal, done, 0, faultNotSIP
		}
		return stepGarbage, done + eol + 1, 0, faultNotSIP
	}
	s.garbage = 0
	end := headEnd(rest)
	switch {
	case end > maxHead, end < 0 && len(rest) > maxHead:
		m.scan(rest[:min(len(rest), maxHead)])
		return stepFatal, done, 0, faultLarge
	case end < 0:
		return stepMore, done, 0, fine
	}
	f = m.scan(rest[:end])
	body := max(0, m.length) // none means none [RFC3261 20.14]
	switch {
	case m.lengthBad:
		return stepFatal, done, 0, faultBroken
	case body > max(s.maxBody, maxSkipped):
		return stepFatal, done, 0, faultLarge
	case body > s.maxBody:
		m.Body, s.skip = nil, body
		return stepMessage, done + end, 0, faultLarge
	case len(rest) < end+body:
		return stepMore, done, end + body, fine
	}
	m.Body = rest[end : end+body]
	return stepMessage, done + end + body, 0, f
}

// isStartLine tells whether a line can begin a message: it names SIP at one of its ends.
func isStartLine(l []byte) bool {
	l = bytes.TrimRight(l, " \t\r")
	if hasPrefixFold(l, "sip/") {
		return true
	}
	i := bytes.LastIndexByte(l, ' ')
	return i > 0 && hasPrefixFold(l[i+1:], "sip/")
}

// headEnd returns the length of a head, its empty line included, or -1.
func headEnd(b []byte) int {
	for pos := 0; ; {
		i := bytes.IndexByte(b[pos:], '\n')
		if i < 0 {
			return -1
		}
		pos += i + 1
		switch {
		case pos < len(b) && b[pos] == '\n':
			return pos + 1
		case pos+1 < len(b) && b[pos] == '\r' && b[pos+1] == '\n':
			return pos + 2
		}
	}
}
