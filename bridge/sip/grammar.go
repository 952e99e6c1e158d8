package sip

import (
	"bytes"
	"math"
)

var space = []byte{' '}

// address is a From, To or Contact value, taken apart.
type address struct {
	user   []byte // user part of the URI, without a password
	tag    []byte // without quotes
	params []byte // of the header, behind the address: ";tag=…"
}

// parseAddress reads `"name" <sip:user@host;p>;tag=x` and `sip:user@host;tag=x`
// [RFC3261 20.10]. It takes SIP and SIPS URIs; a URI without a user is fine, one with an escaped
// user is left to the library.
func parseAddress(v []byte) (a address, ok bool) {
	uri, params := v, []byte(nil)
	if open := indexOutside(v, '<', true); open >= 0 {
		uri = v[open+1:]
		end := bytes.IndexByte(uri, '>')
		if end < 0 {
			return a, false
		}
		uri, params = uri[:end], trim(uri[end+1:])
	} else {
		uri, params = cutTop(v, ';')
	}
	a.params = params
	a.tag, _ = param(params, "tag")
	uri = trim(uri)
	switch {
	case hasPrefixFold(uri, "sip:"):
		uri = uri[4:]
	case hasPrefixFold(uri, "sips:"):
		uri = uri[5:]
	default:
		return a, false
	}
	at := bytes.IndexByte(uri, '@')
	if at < 0 {
		return a, len(uri) > 0
	}
	a.user = uri[:at]
	if i := bytes.IndexByte(a.user, ':'); i >= 0 {
		a.user = a.user[:i]
	}
	return a, at+1 < len(uri) && bytes.IndexByte(a.user, '%') < 0
}

// param returns the value of a header parameter, without quotes, from ";name=value;…". Its
// value is empty where the parameter has none.
func param(params []byte, name string) (value []byte, ok bool) {
	for len(params) > 0 {
		var p []byte
		p, params = cutParam(params, ';')
		n, v, _ := bytes.Cut(p, []byte{'='})
		if equalFold(trim(n), name) {
			return unquote(trim(v)), true
		}
	}
	return nil, false
}

// unquote takes the quotes off; an escape within stays as it is.
func unquote(v []byte) []byte {
	if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
		return v[1 : len(v)-1]
	}
	return v
}

// cutTop cuts v at the first c that stands in neither quotes nor angle brackets.
func cutTop(v []byte, c byte) (before, after []byte) { return cutAt(v, indexOutside(v, c, true)) }

// cutParam cuts v at the first c that does not stand in quotes: parameters and Via know no
// angle brackets.
func cutParam(v []byte, c byte) (before, after []byte) { return cutAt(v, indexOutside(v, c, false)) }

func cutAt(v []byte, i int) (before, after []byte) {
	if i < 0 {
		return v, nil
	}
	return v[:i], v[i+1:]
}

// indexOutside finds the first c that does not stand in quotes, nor, with angles, in angle
// brackets; c may be the opening bracket itself.
func indexOutside(v []byte, c byte, angles bool) int {
	if (!angles || c == '<') && bytes.IndexByte(v, '"') < 0 {
		return bytes.IndexByte(v, c) // the usual case
	}
	quoted, angled := false, false
	for i := 0; i < len(v); i++ {
		b := v[i]
		switch {
		case quoted:
			if b == '\\' {
				i++
			} else if b == '"' {
				quoted = false
			}
		case b == c && !angled:
			return i
		case b == '"':
			quoted = true
		case b == '<':
			angled = angles
		case b == '>':
			angled = false
		}
	}
	return -1
}

// number reads digits alone, up to limit.
func number(v []byte, limit uint64) (n uint64, ok bool) {
	if len(v) == 0 {
		return 0, false
	}
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n = 10*n + uint64(c-'0'); n > limit {
			return 0, false
		}
	}
	return n, true
}

// seconds reads an expiry; one that is no number counts as absent (-1), one that is out of
// range as the largest [RFC3261 20.19].
func seconds(v []byte) int {
	v = trim(v)
	if n, ok := number(v, math.MaxInt32); ok {
		return int(n)
	}
	for _, c := range v {
		if c < '0' || c > '9' {
			return -1
		}
	}
	if len(v) == 0 {
		return -1
	}
	return math.MaxInt32
}

// isToken tells whether v can be a method [RFC3261 25.1].
func isToken(v []byte) bool {
	for _, c := range v {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || bytes.IndexByte([]byte("-.!%*_+`'~"), c) >= 0) {
			return false
		}
	}
	return len(v) > 0 && len(v) <= 32
}

// trim takes blanks off both ends.
func trim(v []byte) []byte {
	for len(v) > 0 && (v[0] == ' ' || v[0] == '\t') {
		v = v[1:]
	}
	for len(v) > 0 && (v[len(v)-1] == ' ' || v[len(v)-1] == '\t') {
		v = v[:len(v)-1]
	}
	return v
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// equalFold compares ASCII without case.
func equalFold(b []byte, s string) bool {
	return len(b) == len(s) && hasPrefixFold(b, s)
}

func hasPrefixFold(b []byte, s string) bool {
	if len(b) < len(s) {
		return false
	}
	for i := range len(s) {
		if lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}
