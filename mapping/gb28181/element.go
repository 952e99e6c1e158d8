package gb28181

import (
	"errors"
	"strconv"
	"strings"
)

// Element is one element of a body, as it was read.
type Element struct {
	Name     string // as the device spells it, without a namespace prefix
	Attrs    []Attr
	Text     string // its own text, trimmed; entities resolved
	Children []*Element
}

// Attr is an attribute.
type Attr struct{ Name, Value string }

// The bounds of a tree; limits.body bounds the rest.
const maxDepth = 32

// What Decode and ParseTree return.
var (
	// ErrDoctype: a document type can define entities without bound; no device needs one.
	ErrDoctype = errors.New("the body has a <!DOCTYPE>, which is refused")
	// ErrUnreadable: the body is no MANSCDP message, whatever is forgiven.
	ErrUnreadable = errors.New("the body is not a readable MANSCDP message")
)

// Child returns the first child called name, spelt so or, failing that, in another case;
// nil when there is none.
func (e *Element) Child(name string) *Element {
	if e == nil {
		return nil
	}
	var folded *Element
	for _, c := range e.Children {
		if c.Name == name {
			return c
		}
		if folded == nil && strings.EqualFold(c.Name, name) {
			folded = c
		}
	}
	return folded
}

// Value returns the text of the first child that has one of names, in their order; "" when
// none has.
func (e *Element) Value(names ...string) string {
	for _, name := range names {
		if c := e.Child(name); c != nil && c.Text != "" {
			return c.Text
		}
	}
	return ""
}

// Find returns the first element called name below e at any depth, the nearest first.
func (e *Element) Find(name string) *Element {
	if e == nil {
		return nil
	}
	for level := e.Children; len(level) > 0; {
		var next []*Element
		for _, c := range level {
			if strings.EqualFold(c.Name, name) {
				return c
			}
			next = append(next, c.Children...)
		}
		level = next
	}
	return nil
}

// Attr returns the value of an attribute, in whatever case it is spelt.
func (e *Element) Attr(name string) string {
	for _, a := range e.Attrs {
		if strings.EqualFold(a.Name, name) {
			return a.Value
		}
	}
	return ""
}

// reader reads a tree from text. It forgives what cameras get wrong: stray < and &, end tags
// too many or missing within the root, anything behind the root. It looks at each byte a
// bounded number of times.
type reader struct {
	text   string
	pos    int
	open   []*Element // from the root to the element that is read
	texts  [][]byte   // of the open elements
	root   *Element
	faulty bool // something had to be forgiven
}

// parseTree reads the first element of text. closed is false when its end is missing.
func parseTree(text string) (root *Element, closed, faulty bool, err error) {
	r := &reader{text: text}
	for r.pos < len(r.text) {
		if r.root != nil && len(r.open) == 0 {
			return r.root, true, r.faulty, nil
		}
		lt := strings.IndexByte(r.text[r.pos:], '<')
		if lt < 0 {
			r.addText(r.text[r.pos:])
			break
		}
		r.addText(r.text[r.pos : r.pos+lt])
		r.pos += lt
		if err := r.markup(); err != nil {
			return nil, false, true, err
		}
	}
	closed = r.root != nil && len(r.open) == 0
	r.dropBroken()
	for len(r.open) > 0 {
		r.close()
	}
	return r.root, closed, r.faulty || !closed, nil
}

// markup reads what begins with the < at pos.
func (r *reader) markup() error {
	rest := r.text[r.pos:]
	switch {
	case strings.HasPrefix(rest, "<?"):
		r.skip("?>", 2)
	case strings.HasPrefix(rest, "<!--"):
		r.skip("-->", 4)
	case strings.HasPrefix(rest, "<![CDATA["):
		end := strings.Index(rest, "]]>")
		if end < 0 {
			r.stray()
			return nil
		}
		r.addRaw(rest[len("<![CDATA["):end])
		r.pos += end + len("]]>")
	case len(rest) >= 9 && strings.EqualFold(rest[:9], "<!DOCTYPE"):
		return ErrDoctype
	case strings.HasPrefix(rest, "</"):
		r.endTag()
	default:
		r.startTag()
	}
	return nil
}

func (r *reader) skip(end string, from int) {
	i := strings.Index(r.text[r.pos+from:], end)
	if i < 0 {
		r.stray()
		return
	}
	r.pos += from + i + len(end)
}

// stray takes a < that begins nothing as text.
func (r *reader) stray() {
	r.faulty = true
	r.addRaw("<")
	r.pos++
}

func (r *reader) startTag() {
	name, n := scanName(r.text[r.pos+1:])
	if n == 0 || len(r.open) >= maxDepth {
		r.stray()
		return
	}
	// The tag ends at its > outside quotes; a < before that says that it was no tag.
	i, quote := r.pos+1+n, byte(0)
	for ; i < len(r.text); i++ {
		c := r.text[i]
		if quote != 0 {
			if c == quote {
				quote = 0
			}
			continue
		}
		if c == '"' || c == '\'' {
			quote = c
		}
		if c == '>' || c == '<' {
			break
		}
	}
	if i >= len(r.text) || r.text[i] != '>' {
		r.stray()
		return
	}
	inside := r.text[r.pos+1+n : i]
	r.pos = i + 1
	selfClosed := strings.HasSuffix(inside, "/")
	e := &Element{Name: name, Attrs: parseAttrs(strings.TrimSuffix(inside, "/"))}
	if len(r.open) > 0 {
		parent := r.open[len(r.open)-1]
		parent.Children = append(parent.Children, e)
	} else {
		r.root = e
	}
	r.open = append(r.open, e)
	r.texts = append(r.texts, nil)
	if selfClosed {
		r.close()
	}
}

func (r *reader) endTag() {
	name, n := scanName(r.text[r.pos+2:])
	gt := strings.IndexByte(r.text[r.pos:], '>')
	if n == 0 || gt < 0 {
		r.stray()
		return
	}
	r.pos += gt + 1
	for i := len(r.open) - 1; i >= 0; i-- {
		if strings.EqualFold(r.open[i].Name, name) {
			r.faulty = r.faulty || i != len(r.open)-1
			for len(r.open) > i {
				r.close()
			}
			return
		}
	}
	r.faulty = true // one end tag too many: what was read counts (seen with lower platforms)
}

// dropBroken takes away the item in which a text breaks off: half of it is no item.
func (r *reader) dropBroken() {
	for i := 1; i < len(r.open); i++ {
		if strings.EqualFold(r.open[i].Name, "Item") {
			for len(r.open) > i {
				r.close()
			}
			parent := r.open[i-1]
			parent.Children = parent.Children[:len(parent.Children)-1]
			return
		}
	}
}

// close ends the innermost open element.
func (r *reader) close() {
	last := len(r.open) - 1
	r.open[last].Text = strings.TrimSpace(string(r.texts[last]))
	r.open, r.texts = r.open[:last], r.texts[:last]
}

func (r *reader) addText(s string) {
	if len(r.open) > 0 && strings.TrimSpace(s) != "" { // blanks between elements are nobody's
		r.addRaw(unescape(s))
	}
}

func (r *reader) addRaw(s string) {
	if last := len(r.open) - 1; last >= 0 {
		r.texts[last] = append(r.texts[last], s...)
	}
}

// scanName reads an element's name and returns it without its prefix, and its length.
func scanName(s string) (local string, n int) {
	for n < len(s) {
		c := s[n]
		if !isLetter(c) && (n == 0 || !(c >= '0' && c <= '9' || c == '-' || c == '.' || c == ':')) {
			break
		}
		n++
	}
	local = s[:n]
	if i := strings.LastIndexByte(local, ':'); i >= 0 && i < n-1 && isLetter(local[i+1]) {
		local = local[i+1:]
	}
	return local, n
}

// isLetter tells whether a name can begin with c.
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }

func parseAttrs(s string) []Attr {
	var attrs []Attr
	for {
		s = strings.TrimSpace(s)
		eq := strings.IndexByte(s, '=')
		if eq <= 0 {
			return attrs
		}
		name := strings.TrimSpace(s[:eq])
		s = strings.TrimSpace(s[eq+1:])
		if s == "" || s[0] != '"' && s[0] != '\'' {
			return attrs
		}
		end := strings.IndexByte(s[1:], s[0])
		if end < 0 {
			return attrs
		}
		attrs = append(attrs, Attr{name, unescape(s[1 : 1+end])})
		s = s[end+2:]
	}
}

var entities = map[string]string{"amp": "&", "lt": "<", "gt": ">", "quot": `"`, "apos": "'"}

// unescape resolves the five entities and character references; any other & is itself.
func unescape(s string) string {
	if strings.IndexByte(s, '&') < 0 {
		return s
	}
	var b strings.Builder
	for {
		amp := strings.IndexByte(s, '&')
		if amp < 0 {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:amp])
		s = s[amp:]
		semi := strings.IndexByte(s[:min(len(s), 12)], ';')
		if semi > 0 {
			if text, ok := entity(s[1:semi]); ok {
				b.WriteString(text)
				s = s[semi+1:]
				continue
			}
		}
		b.WriteByte('&')
		s = s[1:]
	}
}

func entity(name string) (string, bool) {
	if text, ok := entities[name]; ok {
		return text, true
	}
	digits, ok := strings.CutPrefix(name, "#")
	if !ok {
		return "", false
	}
	base := 10
	if hex, isHex := strings.CutPrefix(strings.ToLower(digits), "x"); isHex {
		digits, base = hex, 16
	}
	r, err := strconv.ParseUint(digits, base, 21)
	if err != nil || r < ' ' && r != '\t' && r != '\n' && r != '\r' || r >= 0xD800 && r < 0xE000 || r > 0x10FFFF {
		return "", false
	}
	return string(rune(r)), true
}
