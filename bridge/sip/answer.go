package sip

import (
	"net/netip"
	"strconv"
	"time"
)

// agent is what we call ourselves in User-Agent and Server.
const agent = "gb2mqtt"

// allow lists the methods that we know [GB28181-2022 9.2.3 b, and those of 9.1 and 9.11].
const allow = "INVITE, ACK, INFO, CANCEL, BYE, OPTIONS, MESSAGE, REGISTER, SUBSCRIBE, NOTIFY"

// dateForm is the Date of a registration's 200: local time of Beijing without a zone
// [GB28181-2022 9.10.3]. Devices set their clocks by it.
const dateForm = "2006-01-02T15:04:05.000"

var beijing = time.FixedZone("UTC+8", 8*60*60)

// appendAnswer writes the response to r as the standard wants it. It depends on nothing but
// its arguments and this process, so that a repeated request gets the same answer (but for Date).
func appendAnswer(b []byte, r *Request, a Answer, now time.Time) []byte {
	b = append(b, "SIP/2.0 "...)
	b = strconv.AppendInt(b, int64(a.Code), 10)
	b = append(b, ' ')
	b = append(b, reason(a.Code)...)
	b = append(b, "\r\n"...)
	for i, v := range r.vias {
		b = append(b, "Via: "...)
		if i == 0 {
			b = appendVia(b, v, r.Path.Remote)
		} else {
			b = append(b, v...)
		}
		b = append(b, "\r\n"...)
	}
	b = appendHeader(b, "From", r.From)
	b = appendTo(b, r)
	b = appendHeader(b, "Call-ID", r.CallID)
	b = appendHeader(b, "CSeq", r.cseq)
	b = appendOutcome(b, r, a, now)
	return append(b, "Server: "+agent+"\r\nContent-Length: 0\r\n\r\n"...)
}

// appendOutcome writes the headers that depend on the answer.
func appendOutcome(b []byte, r *Request, a Answer, now time.Time) []byte {
	registered := a.Code == 200 && r.Method == "REGISTER"
	switch {
	case a.Code == 423:
		b = appendInt(b, "Min-Expires", a.Expires)
	case registered:
		if a.Expires > 0 && len(r.contact) > 0 {
			b = appendContact(b, r.contact, a.Expires)
		}
		b = appendInt(b, "Expires", a.Expires)
		if !a.NoDate {
			b = append(b, "Date: "...)
			b = now.In(beijing).AppendFormat(b, dateForm)
			b = append(b, "\r\n"...)
		}
	case a.Expires > 0:
		b = appendInt(b, "Expires", a.Expires)
	}
	if a.Code == 302 {
		b = append(b, "Contact: <"...)
		b = append(b, a.Contact...)
		b = append(b, ">\r\n"...)
	}
	if a.Code == 401 {
		for _, c := range a.Challenges {
			b = append(b, "WWW-Authenticate: "...)
			b = append(b, c...)
			b = append(b, "\r\n"...)
		}
	}
	if a.RetryAfter > 0 && (a.Code == 403 || a.Code == 503) {
		b = appendInt(b, "Retry-After", int((a.RetryAfter+time.Second-1)/time.Second))
	}
	if a.GBVersion != "" {
		b = append(b, "X-GB-Ver: "...)
		b = append(b, a.GBVersion...)
		b = append(b, "\r\n"...)
	}
	if a.Code == 405 || a.Code == 200 && r.Method == "OPTIONS" {
		b = append(b, "Allow: "+allow+"\r\n"...)
	}
	return b
}

// appendVia copies the topmost Via with the address that the request came from: rport and
// received where rport stands [RFC3581 4], else received where it differs [RFC3261 18.2.1].
func appendVia(b, via []byte, from netip.AddrPort) []byte {
	top, more := cutParam(via, ',')
	sentBy, params := cutParam(top, ';')
	b = append(b, trim(sentBy)...)
	received := !sameHost(sentBy, from.Addr())
	for len(params) > 0 {
		var p []byte
		p, params = cutParam(params, ';')
		name, _ := cutParam(p, '=')
		switch name = trim(name); {
		case len(name) == 0, equalFold(name, "received"):
		case equalFold(name, "rport"):
			received = true
			b = append(b, ";rport="...)
			b = strconv.AppendUint(b, uint64(from.Port()), 10)
		default:
			b = append(b, ';')
			b = append(b, trim(p)...)
		}
	}
	if received {
		b = append(b, ";received="...)
		b = from.Addr().WithZone("").AppendTo(b)
	}
	if len(more) > 0 {
		b = append(b, ',')
		b = append(b, more...)
	}
	return b
}

// sameHost tells whether the sent-by of a Via, "SIP/2.0/UDP host:port", names ip.
func sameHost(sentBy []byte, ip netip.Addr) bool {
	host := trim(sentBy)
	for i := len(host) - 1; i >= 0; i-- {
		if host[i] == ' ' || host[i] == '\t' {
			host = host[i+1:]
			break
		}
	}
	var buf [64]byte
	want := ip.WithZone("").AppendTo(buf[:0])
	if ip.Is6() && len(host) > 0 && host[0] == '[' {
		host = host[1:]
		return len(host) > len(want) && string(host[:len(want)]) == string(want) && host[len(want)] == ']'
	}
	return len(host) >= len(want) && string(host[:len(want)]) == string(want) && (len(host) == len(want) || host[len(want)] == ':')
}

func appendHeader(b []byte, name string, value []byte) []byte {
	if len(value) == 0 {
		return b
	}
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

func appendInt(b []byte, name string, value int) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = strconv.AppendInt(b, int64(value), 10)
	return append(b, "\r\n"...)
}

// appendTo adds a tag where there is none [RFC3261 8.2.6.2]; the same request gets the same.
func appendTo(b []byte, r *Request) []byte {
	if len(r.To) == 0 {
		return b
	}
	b = append(b, "To: "...)
	b = append(b, r.To...)
	if len(r.ToTag) == 0 {
		b = append(b, ";tag="...)
		b = strconv.AppendUint(b, tagOf(r), 16)
	}
	return append(b, "\r\n"...)
}

// appendContact repeats the binding with the expiry that it was granted [RFC3261 10.3 step 8].
func appendContact(b, contact []byte, expires int) []byte {
	uri, params := contact, []byte(nil)
	if open := indexOutside(contact, '<', true); open >= 0 {
		for i := open; i < len(contact); i++ {
			if contact[i] == '>' {
				uri, params = contact[:i+1], contact[i+1:]
				break
			}
		}
	} else {
		uri, params = cutTop(contact, ';')
	}
	b = append(b, "Contact: "...)
	b = append(b, trim(uri)...)
	for len(params) > 0 {
		var p []byte
		p, params = cutParam(params, ';')
		name, _ := cutParam(p, '=')
		if p = trim(p); len(p) == 0 || equalFold(trim(name), "expires") {
			continue
		}
		b = append(b, ';')
		b = append(b, p...)
	}
	b = append(b, ";expires="...)
	b = strconv.AppendInt(b, int64(expires), 10)
	return append(b, "\r\n"...)
}

// reason returns the phrase of a status [RFC3261 21].
func reason(code int) string {
	switch code {
	case 100:
		return "Trying"
	case 200:
		return "OK"
	case 302:
		return "Moved Temporarily"
	case 400:
		return "Bad Request"
	case 401:
		return "Unauthorized"
	case 403:
		return "Forbidden"
	case 404:
		return "Not Found"
	case 405:
		return "Method Not Allowed"
	case 408:
		return "Request Timeout"
	case 413:
		return "Request Entity Too Large"
	case 415:
		return "Unsupported Media Type"
	case 423:
		return "Interval Too Brief"
	case 480:
		return "Temporarily Unavailable"
	case 481:
		return "Call/Transaction Does Not Exist"
	case 487:
		return "Request Terminated"
	case 488:
		return "Not Acceptable Here"
	case 489:
		return "Bad Event"
	case 500:
		return "Server Internal Error"
	case 501:
		return "Not Implemented"
	case 503:
		return "Service Unavailable"
	case 505:
		return "Version Not Supported"
	}
	return "Unspecified"
}
