package sip

import (
	"bytes"
	"math"
)

// maxHead bounds start line and headers together, in bytes.
const maxHead = 16 << 10

// fault says what is wrong with a received message. Its text is the metric label.
type fault string

const (
	fine         fault = ""
	faultIdle    fault = "keepalive_bytes" // CRLF, NUL, "jaK": they keep a NAT open
	faultNotSIP  fault = "not_sip"
	faultVersion fault = "version"
	faultBroken  fault = "broken"
	faultAddress fault = "address" // From or To can't be read; the library may know better
	faultLarge   fault = "too_large"
)

// code is the status that answers a request with fault f; 0: none.
func (f fault) code() int {
	switch f {
	case faultBroken, faultAddress:
		return 400
	case faultVersion:
		return 505
	case faultLarge:
		return 413
	}
	return 0
}

// inbound is one received message, request or response, as scanned. It is reused: a read
// loop has one, and its Request is what the Handler sees.
type inbound struct {
	Request
	status   int    // of a response, else 0
	reason   []byte // of a response
	cseqName []byte // the method in CSeq
	length   int    // Content-Length; -1: absent
	head     int    // bytes up to the body

	lengthBad bool // Content-Length is no number, or two that differ
}

// reset forgets the last message and keeps its memory.
func (m *inbound) reset() {
	vias, extensions := m.vias[:0], m.extensions[:0]
	*m = inbound{length: -1}
	m.vias, m.extensions, m.Expires = vias, extensions, -1
}

// scan reads the head of b. Everything it finds aliases b; folded lines are unfolded in place.
// The body is not looked at. After a fault m holds what was found before it, so that an answer
// may still be possible.
func (m *inbound) scan(b []byte) fault {
	m.reset()
	line, pos, ok := nextLine(b, 0)
	if !ok {
		return faultNotSIP
	}
	f := m.startLine(line)
	if f != fine && f != faultVersion {
		return f
	}
	expires := -1
	for {
		if pos > maxHead {
			return faultLarge
		}
		if line, pos, ok = nextLine(b, pos); !ok {
			return orElse(f, faultBroken) // the head has no end
		}
		if len(line) == 0 {
			break
		}
		name, value, ok := cutHeader(line)
		if !ok {
			continue // a line without a colon harms nobody
		}
		if g := m.header(name, value, &expires); f == fine {
			f = g
		}
	}
	m.head = pos
	if m.Expires < 0 {
		m.Expires = expires
	}
	return orElse(f, m.check())
}

func orElse(f, g fault) fault {
	if f != fine {
		return f
	}
	return g
}

// nextLine returns the logical line at pos without its end, and where the next begins. The ends
// of a line that is continued [RFC3261 7.3.1] become blanks.
func nextLine(b []byte, pos int) (line []byte, next int, ok bool) {
	start := pos
	for {
		i := bytes.IndexByte(b[pos:], '\n')
		if i < 0 {
			return nil, pos, false
		}
		end := pos + i
		next = end + 1
		if end > start && b[end-1] == '\r' {
			end--
		}
		if end == start || next == len(b) || b[next] != ' ' && b[next] != '\t' {
			return b[start:end], next, true
		}
		for j := end; j < next; j++ {
			b[j] = ' '
		}
		pos = next
	}
}

// startLine reads a request line or a status line.
func (m *inbound) startLine(l []byte) fault {
	word, rest, ok := bytes.Cut(l, space)
	if !ok {
		return faultNotSIP
	}
	if hasPrefixFold(word, "sip/") {
		code, reason, _ := bytes.Cut(bytes.TrimLeft(rest, " "), space)
		n, ok := number(code, 699)
		if !ok || n < 100 || !equalFold(word, "sip/2.0") {
			return faultNotSIP
		}
		m.status, m.reason = int(n), trim(reason)
		return fine
	}
	rest = trim(rest)
	i := bytes.LastIndexByte(rest, ' ')
	if i < 0 || !isToken(word) || !hasPrefixFold(rest[i+1:], "sip/") {
		return faultNotSIP
	}
	m.Method, m.URI = intern(word), trim(rest[:i])
	switch {
	case !equalFold(rest[i+1:], "sip/2.0"):
		return faultVersion
	case len(m.URI) == 0 || bytes.IndexByte(m.URI, ' ') >= 0:
		return faultBroken
	}
	return fine
}

// cutHeader splits a header line; blanks before the colon are allowed [RFC3261 25.1 HCOLON].
func cutHeader(l []byte) (name, value []byte, ok bool) {
	i := bytes.IndexByte(l, ':')
	if i < 0 {
		return nil, nil, false
	}
	return trim(l[:i]), trim(l[i+1:]), true
}

// header takes one header. Of those that may come once, the first counts.
func (m *inbound) header(name, value []byte, expires *int) fault {
	switch headerOf(name) {
	case hVia:
		m.via(value)
	case hFrom:
		if m.From == nil {
			a, ok := parseAddress(value)
			m.From, m.FromUser, m.FromTag = value, a.user, a.tag
			return when(!ok, faultAddress)
		}
	case hTo:
		if m.To == nil {
			a, ok := parseAddress(value)
			m.To, m.ToUser, m.ToTag = value, a.user, a.tag
			return when(!ok, faultAddress)
		}
	case hCallID:
		if m.CallID == nil {
			m.CallID = value
		}
	case hCSeq:
		if m.cseq == nil {
			return m.sequence(value)
		}
	case hContact:
		if m.contact == nil {
			m.binding(value)
		}
	case hExpires:
		if *expires < 0 {
			*expires = seconds(value)
		}
	case hAuthorization:
		if m.Authorization == nil {
			m.Authorization = value
		}
	case hUserAgent:
		m.UserAgent = first(m.UserAgent, value)
	case hGBVersion:
		m.GBVersion = first(m.GBVersion, value)
	case hContentType:
		m.ContentType = first(m.ContentType, value)
	case hEvent:
		m.Event = first(m.Event, value)
	case hSubscriptionState:
		m.SubscriptionState = first(m.SubscriptionState, value)
	case hExtension:
		if len(m.extensions) < 2*maxExtensions {
			m.extensions = append(m.extensions, name, value)
		}
	case hContentLength:
		n, ok := number(value, math.MaxInt32)
		if !ok || m.length >= 0 && m.length != int(n) {
			m.length, m.lengthBad = 0, true
			return faultBroken
		}
		m.length = int(n)
	}
	return fine
}

// via takes a Via header; the first one tells the branch.
func (m *inbound) via(value []byte) {
	if len(value) == 0 {
		return
	}
	if len(m.vias) == 0 {
		top, _ := cutParam(value, ',')
		_, params := cutParam(top, ';')
		m.Branch, _ = param(params, "branch")
	}
	m.vias = append(m.vias, value)
}

func (m *inbound) sequence(value []byte) fault {
	m.cseq = value
	i := 0
	for i < len(value) && value[i] != ' ' && value[i] != '\t' {
		i++
	}
	if i == len(value) {
		return faultBroken
	}
	n, ok := number(value[:i], math.MaxUint32)
	m.CSeq, m.cseqName = uint32(n), trim(value[i:])
	return when(!ok || !isToken(m.cseqName), faultBroken)
}

// binding takes the Contact header, its first address.
func (m *inbound) binding(value []byte) {
	if len(value) == 1 && value[0] == '*' {
		m.ContactStar = true
		return
	}
	m.contact, _ = cutTop(value, ',')
	if a, ok := parseAddress(m.contact); ok {
		if v, ok := param(a.params, "expires"); ok {
			m.Expires = seconds(v)
		}
	}
}

// check wants what every message must have [RFC3261 8.1.1].
func (m *inbound) check() fault {
	if len(m.vias) == 0 || len(m.CallID) == 0 || len(m.cseq) == 0 || len(m.From) == 0 || len(m.To) == 0 {
		return faultBroken
	}
	return when(m.status == 0 && string(m.cseqName) != m.Method && !equalFold(m.cseqName, m.Method), faultBroken)
}

// answerable tells whether a request, broken as it may be, says enough to be answered: an ACK
// never is [RFC3261 17].
func (m *inbound) answerable() bool {
	return m.status == 0 && m.Method != "" && m.Method != "ACK" && len(m.vias) > 0 && len(m.CallID) > 0 && len(m.cseq) > 0
}

func when(bad bool, f fault) fault {
	if bad {
		return f
	}
	return fine
}

// first keeps the value that came first.
func first(have, value []byte) []byte {
	if have != nil {
		return have
	}
	return value
}
