package camera

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// contentType is what bodies are sent as [GB28181-2022 A.1].
const contentType = "Application/MANSCDP+xml"

// element is one element of a MANSCDP body.
type element struct {
	name     string
	text     string
	children []*element
}

// child returns the text of the first child of that name, trimmed; "" when it is absent.
func (e *element) child(name string) string {
	if c := e.find(name); c != nil {
		return c.text
	}
	return ""
}

// find returns the first child of that name, nil when it is absent.
func (e *element) find(name string) *element {
	for _, c := range e.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

// decodeText turns a body's bytes into UTF-8 text: what is valid UTF-8 stays, everything
// else is read as GB 18030, which holds GB 2312 and GBK [GB28181-2022 6.10].
func decodeText(body string) string {
	if utf8.ValidString(body) {
		return body
	}
	if text, err := simplifiedchinese.GB18030.NewDecoder().String(body); err == nil {
		return text
	}
	return strings.ToValidUTF8(body, "\uFFFD")
}

// parseBody reads a MANSCDP body.
func parseBody(body string) (*element, error) {
	d := xml.NewDecoder(strings.NewReader(decodeText(body)))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // decoded above
	var root *element
	var open []*element
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && root != nil && len(open) == 0 {
			return root, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read MANSCDP body: %w", err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			e := &element{name: t.Name.Local}
			switch {
			case len(open) > 0:
				parent := open[len(open)-1]
				parent.children = append(parent.children, e)
			case root == nil:
				root = e
			default:
				return nil, errors.New("read MANSCDP body: two roots")
			}
			open = append(open, e)
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text += string(t)
			}
		case xml.EndElement:
			last := open[len(open)-1]
			last.text = strings.TrimSpace(last.text)
			open = open[:len(open)-1]
		}
	}
}

// encodeBody puts the declaration before a body and encodes both. GB2312 is declared over
// GBK bytes, as most cameras do.
func encodeBody(text, encoding string) string {
	text = `<?xml version="1.0" encoding="` + strings.ToUpper(encoding) + "\"?>\r\n" + text + "\r\n"
	if encoding == "utf-8" {
		return text
	}
	out, err := simplifiedchinese.GB18030.NewEncoder().String(text)
	if err != nil { // a text that is not valid UTF-8: its broken bytes become U+FFFD
		out, _ = simplifiedchinese.GB18030.NewEncoder().String(strings.ToValidUTF8(text, "\uFFFD"))
	}
	return out
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

// tag returns <name>value</name> with the value escaped, "" when there is no value.
func tag(name, value string) string {
	if value == "" {
		return ""
	}
	return "<" + name + ">" + escaper.Replace(value) + "</" + name + ">\r\n"
}

// group returns an element with these inside.
func group(name string, inner ...string) string {
	return "<" + name + ">\r\n" + strings.Join(inner, "") + "</" + name + ">\r\n"
}

// numbered returns an element whose Num tells how many items are inside.
func numbered(name string, items []string) string {
	return "<" + name + ` Num="` + strconv.Itoa(len(items)) + "\">\r\n" + strings.Join(items, "") + "</" + name + ">\r\n"
}

// counted returns SumNum and the list: all items of an answer that takes one packet.
func counted(list string, items []string) []string {
	return []string{tag("SumNum", strconv.Itoa(len(items))), numbered(list, items)}
}

// digit writes a flag.
func digit(on bool) string {
	if on {
		return "1"
	}
	return "0"
}

// number reads the whole number in a child of that name, from low to high. What is absent
// changes nothing, unless it must be there.
func (e *element) number(name string, low, high int, must bool, to *int) error {
	text := e.child(name)
	if text == "" && !must {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return fmt.Errorf("%s %s %q: %d to %d is wanted", e.name, name, text, low, high)
	}
	*to = n
	return nil
}

// write renders e as it was read, with the Num that its kind of list wants.
func (e *element) write() string {
	if len(e.children) == 0 {
		return tag(e.name, e.text)
	}
	inner := make([]string, len(e.children))
	for i, c := range e.children {
		inner[i] = c.write()
	}
	if e.name == "RegionList" || e.name == "VideoParamAttribute" {
		return numbered(e.name, inner)
	}
	return group(e.name, inner...)
}

// beijing is the zone of all times in bodies [GB28181-2022 9.10].
var beijing = time.FixedZone("UTC+8", 8*3600)

// localTime is how bodies write a time, UTC+8 without a zone.
const localTime = "2006-01-02T15:04:05"

// clockTime writes a time so.
func clockTime(t time.Time) string { return t.In(beijing).Format(localTime) }

// decimal writes a number with as many digits as it has.
func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// frame returns a whole body: root, CmdType, SN, DeviceID and the rest [GB28181-2022 A.2].
func frame(root, cmd, sn, id string, rest ...string) string {
	return "<" + root + ">\r\n" + tag("CmdType", cmd) + tag("SN", sn) + tag("DeviceID", id) + strings.Join(rest, "") + "</" + root + ">"
}
