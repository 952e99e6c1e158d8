package sip

import (
	"crypto/subtle"
	"encoding/hex"
	"strconv"
	"strings"
)

// credentials are the parts of an Authorization header that the digest needs.
type credentials struct {
	username, realm, nonce, uri, response string
	algorithm, cnonce                     string
	nc                                    string // as sent: it is hashed so
	qopValue                              string // as sent
	qop                                   bool
	count                                 uint32 // nc
}

// parseCredentials reads `Digest name=value, name="value", …`. It is tolerant of case, blanks,
// missing quotes and unknown names; a name that comes twice, a wrong scheme, a qop other than
// auth, or a part missing that the digest needs is not ok.
func parseCredentials(header []byte) (c credentials, ok bool) {
	s := strings.TrimSpace(string(header))
	scheme, s, _ := strings.Cut(s, " ")
	if !strings.EqualFold(scheme, "Digest") {
		return c, false
	}
	var seen uint16
	for {
		var name, value string
		if name, value, s, ok = nextParam(s); !ok {
			return c, false
		}
		if name == "" {
			break
		}
		bit, into := c.field(name)
		if into == nil {
			continue
		}
		if seen&bit != 0 {
			return c, false
		}
		seen |= bit
		*into = value
	}
	if c.username == "" || c.nonce == "" || c.uri == "" || c.response == "" {
		return c, false
	}
	if c.qopValue == "" {
		return c, true
	}
	if !strings.EqualFold(c.qopValue, "auth") || c.cnonce == "" || len(c.nc) > 8 {
		return c, false
	}
	n, err := strconv.ParseUint(c.nc, 16, 32)
	c.count, c.qop = uint32(n), true
	return c, err == nil
}

// field returns where the value of the named part belongs, and its bit; nil for other parts.
func (c *credentials) field(name string) (bit uint16, into *string) {
	switch strings.ToLower(name) {
	case "username":
		return 1 << 0, &c.username
	case "realm":
		return 1 << 1, &c.realm
	case "nonce":
		return 1 << 2, &c.nonce
	case "uri":
		return 1 << 3, &c.uri
	case "response":
		return 1 << 4, &c.response
	case "algorithm":
		return 1 << 5, &c.algorithm
	case "cnonce":
		return 1 << 6, &c.cnonce
	case "nc":
		return 1 << 7, &c.nc
	case "qop":
		return 1 << 8, &c.qopValue
	}
	return 0, nil
}

// nextParam takes `name=value` from the front of s, its comma included. At the end name is
// empty; ok is false where there is no name, no = or no closing quote.
func nextParam(s string) (name, value, rest string, ok bool) {
	s = strings.TrimLeft(s, " \t,")
	if s == "" {
		return "", "", "", true
	}
	name, s, ok = strings.Cut(s, "=")
	name = strings.TrimSpace(name)
	if !ok || name == "" || strings.ContainsAny(name, "\", \t") {
		return "", "", "", false
	}
	s = strings.TrimLeft(s, " \t")
	if !strings.HasPrefix(s, `"`) {
		value, rest, _ = strings.Cut(s, ",")
		return name, strings.TrimSpace(value), rest, true
	}
	return quoted(name, s[1:])
}

// quoted reads the rest of a quoted value; a backslash takes the next byte as it is.
func quoted(name, s string) (_, value, rest string, ok bool) {
	end := strings.IndexAny(s, `"\`)
	if end >= 0 && s[end] == '"' {
		return name, s[:end], s[end+1:], true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return name, b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", "", false
}

// matches tells whether the response is that of password [RFC3261 22.4, RFC 2617 3.2.2].
// The URI is the header's own: on many devices it differs from the Request-URI.
func (c *credentials) matches(alg algorithm, method, password string) bool {
	ha1 := alg.hex(c.username, c.realm, password)
	ha2 := alg.hex(method, c.uri)
	want := ""
	if c.qop {
		want = alg.hex(ha1, c.nonce, c.nc, c.cnonce, c.qopValue, ha2)
	} else {
		want = alg.hex(ha1, c.nonce, ha2)
	}
	return subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(c.response))) == 1
}

// hex returns the hex digest of the parts with colons between them.
func (a algorithm) hex(parts ...string) string {
	h := a.new()
	for i, p := range parts {
		if i > 0 {
			h.Write([]byte{':'})
		}
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil))
}
