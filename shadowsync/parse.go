package shadowsync

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxParseDepth bounds the parser's own recursion; the limit for documents is far below.
const maxParseDepth = 512

var errTooDeep = errors.New("too many levels")

// parseJSON reads one JSON value, all of text and nothing behind it. Numbers are json.Number
// and keep all their digits; of a key that is given twice the last one counts. text must be
// valid UTF-8. The values share no memory with text.
//
// It is not encoding/json because a document is parsed for each update: this takes a third
// of the time.
func parseJSON(text []byte) (any, error) {
	p := parser{s: text}
	p.blanks()
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	p.blanks()
	if p.i < len(p.s) {
		return nil, p.unexpected("after the end")
	}
	return v, nil
}

type parser struct {
	s []byte
	i int
}

func (p *parser) blanks() {
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case ' ', '\t', '\r', '\n':
			p.i++
		default:
			return
		}
	}
}

func (p *parser) unexpected(where string) error {
	if p.i >= len(p.s) {
		return errors.New("unexpected end")
	}
	r, _ := utf8.DecodeRune(p.s[p.i:])
	return fmt.Errorf("unexpected %q %s at byte %d", r, where, p.i)
}

func (p *parser) value(depth int) (any, error) {
	if depth > maxParseDepth {
		return nil, errTooDeep
	}
	if p.i >= len(p.s) {
		return nil, p.unexpected("")
	}
	switch c := p.s[p.i]; {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		return p.text()
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	switch rest := p.s[p.i:]; {
	case bytes.HasPrefix(rest, []byte("true")):
		p.i += 4
		return true, nil
	case bytes.HasPrefix(rest, []byte("false")):
		p.i += 5
		return false, nil
	case bytes.HasPrefix(rest, []byte("null")):
		p.i += 4
		return nil, nil
	}
	return nil, p.unexpected("as a value")
}

func (p *parser) object(depth int) (any, error) {
	p.i++
	m := make(map[string]any)
	p.blanks()
	if p.i < len(p.s) && p.s[p.i] == '}' {
		p.i++
		return m, nil
	}
	for {
		if p.i >= len(p.s) || p.s[p.i] != '"' {
			return nil, p.unexpected("as a key")
		}
		key, err := p.text()
		if err != nil {
			return nil, err
		}
		p.blanks()
		if p.i >= len(p.s) || p.s[p.i] != ':' {
			return nil, p.unexpected("behind a key")
		}
		p.i++
		p.blanks()
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		m[key] = v
		more, err := p.more('}')
		if err != nil || !more {
			return m, err
		}
	}
}

func (p *parser) array(depth int) (any, error) {
	p.i++
	a := []any{}
	p.blanks()
	if p.i < len(p.s) && p.s[p.i] == ']' {
		p.i++
		return a, nil
	}
	for {
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		a = append(a, v)
		more, err := p.more(']')
		if err != nil || !more {
			return a, err
		}
	}
}

// more reads the comma before the next element, or the end.
func (p *parser) more(end byte) (bool, error) {
	p.blanks()
	if p.i < len(p.s) {
		switch p.s[p.i] {
		case ',':
			p.i++
			p.blanks()
			return true, nil
		case end:
			p.i++
			return false, nil
		}
	}
	return false, p.unexpected("behind a value")
}

func (p *parser) number() (any, error) {
	start := p.i
	if p.s[p.i] == '-' {
		p.i++
	}
	if p.i < len(p.s) && p.s[p.i] == '0' {
		p.i++
	} else if p.digits() == 0 {
		return nil, p.unexpected("in a number")
	}
	if p.i < len(p.s) && p.s[p.i] == '.' {
		p.i++
		if p.digits() == 0 {
			return nil, p.unexpected("in a number")
		}
	}
	if p.i < len(p.s) && (p.s[p.i] == 'e' || p.s[p.i] == 'E') {
		p.i++
		if p.i < len(p.s) && (p.s[p.i] == '+' || p.s[p.i] == '-') {
			p.i++
		}
		if p.digits() == 0 {
			return nil, p.unexpected("in a number")
		}
	}
	return json.Number(p.s[start:p.i]), nil
}

func (p *parser) digits() int {
	start := p.i
	for p.i < len(p.s) && p.s[p.i] >= '0' && p.s[p.i] <= '9' {
		p.i++
	}
	return p.i - start
}

func (p *parser) text() (string, error) {
	p.i++
	start := p.i
	for p.i < len(p.s) {
		switch c := p.s[p.i]; {
		case c == '"':
			s := string(p.s[start:p.i])
			p.i++
			return s, nil
		case c == '\\':
			return p.escapedText(start)
		case c < 0x20:
			return "", p.unexpected("in a text")
		}
		p.i++
	}
	return "", p.unexpected("")
}

// escapedText reads on at the first backslash of a text that began at start.
func (p *parser) escapedText(start int) (string, error) {
	b := append([]byte(nil), p.s[start:p.i]...)
	for p.i < len(p.s) {
		switch c := p.s[p.i]; {
		case c == '"':
			p.i++
			return string(b), nil
		case c < 0x20:
			return "", p.unexpected("in a text")
		case c != '\\':
			b = append(b, c)
			p.i++
			continue
		}
		p.i++
		if p.i >= len(p.s) {
			break
		}
		if at := strings.IndexByte(`"\/bfnrt`, p.s[p.i]); at >= 0 {
			b = append(b, "\"\\/\b\f\n\r\t"[at])
			p.i++
			continue
		}
		r, ok := p.unicodeEscape()
		if !ok {
			return "", p.unexpected("in an escape")
		}
		if utf16.IsSurrogate(r) {
			low := rune(utf8.RuneError)
			if p.i+1 < len(p.s) && p.s[p.i] == '\\' {
				back := p.i
				p.i++
				if low, ok = p.unicodeEscape(); !ok || utf16.DecodeRune(r, low) == utf8.RuneError {
					p.i = back // what follows stands for itself
					low = utf8.RuneError
				}
			}
			r = utf16.DecodeRune(r, low)
		}
		b = utf8.AppendRune(b, r)
	}
	return "", p.unexpected("")
}

// unicodeEscape reads u and four hexadecimal digits.
func (p *parser) unicodeEscape() (rune, bool) {
	if p.i+5 > len(p.s) || p.s[p.i] != 'u' {
		return 0, false
	}
	for _, c := range p.s[p.i+1 : p.i+5] {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(string(p.s[p.i+1:p.i+5]), 16, 16)
	if err != nil {
		return 0, false
	}
	p.i += 5
	return rune(n), true
}
