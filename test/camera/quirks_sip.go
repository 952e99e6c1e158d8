package camera

import (
	"regexp"
	"strings"
)

// compactName maps the long header names to their compact form [RFC3261 7.3.3].
var compactName = map[string]string{"Via": "v", "From": "f", "To": "t", "Call-ID": "i", "Contact": "m", "Content-Length": "l", "Content-Type": "c"}

var fromDomain = regexp.MustCompile(`(?m)^(From: <sip:[^@]*)@[^>]*`)

// wear gives a SIP message the looks that the device's quirks have; at is its own address.
func (c *Config) wear(raw []byte, stream bool, at string) []byte {
	if len(c.Quirks) == 0 {
		return raw
	}
	head, body, _ := strings.Cut(string(raw), "\r\n\r\n")
	isRequest := !strings.HasPrefix(head, "SIP/2.0")
	if c.has(FromItsAddress) && isRequest {
		head = fromDomain.ReplaceAllString(head, "$1@"+at)
	}
	lines := strings.Split(head, "\r\n")
	kept := lines[:1]
	for _, line := range lines[1:] {
		if line = c.wearLine(line, stream, isRequest); line != "" {
			kept = append(kept, line)
		}
	}
	if c.has(RouteItself) && isRequest {
		kept = append(kept, "Route: <sip:"+c.ID+"@"+at+";lr>")
	}
	end := "\r\n"
	if c.has(LFLineEnds) {
		end = "\n"
	}
	return []byte(strings.Join(kept, end) + end + end + body)
}

// wearLine changes one header line; "" leaves it out.
func (c *Config) wearLine(line string, stream, isRequest bool) string {
	name, value, _ := strings.Cut(line, ": ")
	switch {
	case name == "Content-Type" && c.has(NoContentType),
		name == "Content-Length" && c.has(NoContentLength) && !stream,
		(name == "Max-Forwards" || name == "User-Agent") && c.has(BareHeaders):
		return ""
	case name == "Via" && c.has(BareHeaders) && isRequest:
		value = strings.Replace(value, ";rport", "", 1)
	case name == "Call-ID" && c.has(BareHeaders) && isRequest:
		value, _, _ = strings.Cut(value, "@")
	case name == "Contact" && c.has(ContactNowhere):
		value = "<sip:0.0.0.0:5060>"
	}
	if short := compactName[name]; short != "" && c.has(CompactHeaders) {
		name = short
	}
	return name + ": " + value
}
