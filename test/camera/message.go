package camera

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
)

// message is one SIP message as it came in. All its texts share one copy of the datagram.
type message struct {
	method  string // of a request
	uri     string
	code    int // of an answer; 0: this is a request
	reason  string
	headers []header
	body    string
}

// header is one header line: the long name in lower case, and the value.
type header struct{ name, value string }

// longName maps the compact header names [RFC3261 7.3.3].
var longName = map[string]string{"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact",
	"l": "content-length", "c": "content-type", "e": "content-encoding", "s": "subject", "k": "supported"}

var errNotSIP = errors.New("not a SIP message")

// parseMessage reads one whole message: a datagram, or what frameLength measured on TCP.
func parseMessage(raw []byte) (*message, error) {
	text := strings.TrimLeft(string(raw), "\r\n")
	head, body, found := strings.Cut(text, "\r\n\r\n")
	if !found {
		head = strings.TrimRight(head, "\r\n")
	}
	start, rest, _ := strings.Cut(head, "\r\n")
	m := &message{body: body}
	first, other, ok := strings.Cut(start, " ")
	if !ok {
		return nil, errNotSIP
	}
	if first == "SIP/2.0" {
		code, reason, _ := strings.Cut(other, " ")
		n, err := strconv.Atoi(code)
		if err != nil || n < 100 || n > 699 {
			return nil, errNotSIP
		}
		m.code, m.reason = n, reason
	} else {
		uri, version, _ := strings.Cut(other, " ")
		if version != "SIP/2.0" {
			return nil, errNotSIP
		}
		m.method, m.uri = first, uri
	}
	m.headers = make([]header, 0, 12)
	for line := range strings.SplitSeq(rest, "\r\n") {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		name = strings.ToLower(strings.TrimSpace(name))
		if long, short := longName[name]; short {
			name = long
		}
		m.headers = append(m.headers, header{name, strings.TrimSpace(value)})
	}
	if n, err := strconv.Atoi(m.header("content-length")); err == nil && n >= 0 && n < len(m.body) {
		m.body = m.body[:n]
	}
	return m, nil
}

// header returns the first value of a header, "" when it is absent.
func (m *message) header(name string) string {
	for _, h := range m.headers {
		if h.name == name {
			return h.value
		}
	}
	return ""
}

// branch returns the branch of the topmost Via, which names the transaction [RFC3261 17.1.3].
func (m *message) branch() string { return param(m.header("via"), "branch") }

// param returns a header value's ;name=value parameter.
func param(value, name string) string {
	for part := range strings.SplitSeq(value, ";") {
		if k, v, ok := strings.Cut(part, "="); ok && strings.EqualFold(strings.TrimSpace(k), name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// user returns the user part of the first sip: URI in a header value or Request-URI.
func user(value string) string {
	_, rest, ok := strings.Cut(value, "sip:")
	if !ok {
		return ""
	}
	if end := strings.IndexAny(rest, "@>;"); end >= 0 && rest[end] == '@' {
		return rest[:end]
	}
	return ""
}

// maxFrame bounds one message on a TCP connection.
const maxFrame = 1 << 20

// frameLength returns how many bytes of buf the next message of a TCP stream takes, 0 when
// more must be read. Blank lines before it belong to it [RFC3261 7.5].
func frameLength(buf []byte) (int, error) {
	lead := len(buf) - len(bytes.TrimLeft(buf, "\r\n"))
	end := bytes.Index(buf[lead:], []byte("\r\n\r\n"))
	if end < 0 {
		if len(buf) > maxFrame {
			return 0, errors.New("a SIP head beyond 1 MiB")
		}
		return 0, nil
	}
	size := 0
	for line := range bytes.SplitSeq(buf[lead:lead+end], []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		name = bytes.TrimSpace(name)
		if bytes.EqualFold(name, []byte("Content-Length")) || bytes.EqualFold(name, []byte("l")) {
			n, err := strconv.Atoi(string(bytes.TrimSpace(value)))
			if err != nil || n < 0 || n > maxFrame {
				return 0, errors.New("a Content-Length that is no length: " + strconv.Quote(string(value)))
			}
			size = n
		}
	}
	total := lead + end + 4 + size
	if total > len(buf) {
		return 0, nil
	}
	return total, nil
}
