package sip

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ghettovoice/gosip/sip"
	"github.com/ghettovoice/gosip/sip/parser"
)

// odd is a well-formed MESSAGE in the strangest clothes that devices wear.
const odd = "MESSAGE sip:34020000002000000001@3402000000 SIP/2.0\n" +
	"v : SIP/2.0/UDP 192.168.1.64:5060;rport;branch=z9hG4bK1,\n SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK0\n" +
	"VIA: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKx\n" +
	"f\t:\"cam \\\"<sip:no@where>\\\"\" <sip:34020000001320000001:pw@192.168.1.64:5060;transport=udp>;x=1; TAG = \"a b\"\n" +
	"t: sip:34020000002000000001@3402000000;tag=own\n" +
	"i: 1011047669\n" +
	"CSEQ:   4294967295\n\t MESSAGE\n" +
	"m: <sip:34020000001320000001@0.0.0.0>;expires=99;q=1, <sip:b@c>;expires=1\n" +
	"expires: 60\n" +
	"c: text/xml\n" +
	"no colon here\n" +
	"l: 5\n" +
	"\n<a/>\n"

func TestScanReadsWhatDevicesWrite(t *testing.T) {
	var m inbound
	if f := m.datagram([]byte(odd), 100); f != fine {
		t.Fatal(f)
	}
	for _, c := range []struct{ name, got, want string }{
		{"method", m.Method, "MESSAGE"},
		{"uri", string(m.URI), "sip:34020000002000000001@3402000000"},
		{"from user", string(m.FromUser), "34020000001320000001"},
		{"from tag", string(m.FromTag), "a b"},
		{"to user", string(m.ToUser), "34020000002000000001"},
		{"to tag", string(m.ToTag), "own"},
		{"call id", string(m.CallID), "1011047669"},
		{"cseq", strconv.Itoa(int(m.CSeq)), "4294967295"},
		{"branch", string(m.Branch), "z9hG4bK1"},
		{"vias", strconv.Itoa(len(m.vias)), "2"},
		{"expires", strconv.Itoa(m.Expires), "99"},
		{"content type", string(m.ContentType), "text/xml"},
		{"body", string(m.Body), "<a/>\n"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, c.got, c.want)
		}
	}
}

// What vendors add is nobody's business here, and is passed on: bounded, in whatever case.
func TestHeadersOfVendorsAreKept(t *testing.T) {
	var m inbound
	for range 2 { // the second time into the memory of the first
		msg := message("MESSAGE", "b", "a", 1, "<a/>", "X-Acme-Site: north ", "x-GB-ver: 2.0", "X-Acme-Site: south", "x-empty:",
			"X-Long: "+strings.Repeat("x", 2*maxExtensionValue), "Xylophone: 1", "X-Odd: \xff")
		if f := m.datagram([]byte(msg), 100); f != fine {
			t.Fatal(f)
		}
		want := map[string]string{"X-Acme-Site": "north", "x-empty": "", "X-Long": strings.Repeat("x", maxExtensionValue), "X-Odd": "\uFFFD"}
		if got := m.Extensions(); !maps.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := m.Keep().Request().Extensions(); !maps.Equal(got, want) {
			t.Errorf("kept are %q", got)
		}
	}
	many := make([]string, 5*maxExtensions)
	for i := range many {
		many[i] = fmt.Sprintf("X-%d: %d", i, i)
	}
	if m.datagram([]byte(message("MESSAGE", "b", "a", 1, "", many...)), 100); len(m.Extensions()) != maxExtensions {
		t.Errorf("%d are kept, want %d", len(m.Extensions()), maxExtensions)
	}
	if m.datagram([]byte(keepalive("b")), 1000); m.Extensions() != nil {
		t.Errorf("of a message without: %q", m.Extensions())
	}
}

func TestScanNamesWhatIsWrong(t *testing.T) {
	good := keepalive("z9hG4bK1")
	cut := func(header string) string {
		i := strings.Index(good, header+":")
		return good[:i] + good[i+strings.Index(good[i:], "\n")+1:]
	}
	change := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	for _, c := range []struct {
		name, msg string
		want      fault
	}{
		{"good", good, fine},
		{"CRLF", "\r\n\r\n", faultIdle},
		{"NUL", "\x00", faultIdle},
		{"jaK", "jaK", faultIdle},
		{"nothing", "", faultIdle},
		{"noise", "GET / HTTP/1.1\r\n\r\n", faultNotSIP},
		{"TLS", "\x16\x03\x01\x02\x00\x01", faultNotSIP},
		{"behind keep-alive bytes", "\r\n\r\n" + good, fine},
		{"no From", cut("From"), faultBroken},
		{"no To", cut("To"), faultBroken},
		{"no Via", cut("Via"), faultBroken},
		{"no Call-ID", cut("Call-ID"), faultBroken},
		{"no CSeq", cut("CSeq"), faultBroken},
		{"no Max-Forwards", cut("Max-Forwards"), fine},
		{"no Content-Length", cut("Content-Length"), fine},
		{"CSeq of another method", change("20 MESSAGE", "20 NOTIFY"), faultBroken},
		{"CSeq without a method", change("20 MESSAGE", "20"), faultBroken},
		{"CSeq no number", change("20 MESSAGE", "-1 MESSAGE"), faultBroken},
		{"version", change("SIP/2.0\r", "SIP/3.0\r"), faultVersion},
		{"no URI", change("MESSAGE sip:34020000002000000001@3402000000 ", "MESSAGE  "), faultNotSIP},
		{"negative length", change("Content-Length: ", "Content-Length: -"), faultBroken},
		{"garbled length", change("Content-Length: ", "Content-Length: x"), faultBroken},
		{"two lengths", change("Content-Length: ", "Content-Length: 1\r\nContent-Length: "), faultBroken},
		{"length over the datagram, body complete", change("Content-Length: ", "Content-Length: 9"), fine},
		{"length over the datagram, body cut", change("Content-Length: ", "Content-Length: 9")[:len(good)-9], faultBroken},
		{"From that is no SIP URI", change("From: <sip:", "From: <tel:"), faultAddress},
		{"head without end", good[:100], faultBroken},
		{"head too large", change("Max-Forwards: 70", "X: "+strings.Repeat("x", maxHead)), faultLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m inbound
			if got := m.datagram([]byte(c.msg), 1000); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestBodyBeyondTheLimitIsTooLarge(t *testing.T) {
	var m inbound
	if f := m.datagram([]byte(keepalive("z9hG4bK1")), 20); f != faultLarge {
		t.Errorf("got %q, want %q", f, faultLarge)
	}
}

func TestExpiryIsContactsThenTheHeaders(t *testing.T) {
	for _, c := range []struct {
		extra string
		want  int
		star  bool
	}{
		{"X: y", -1, false},
		{"Expires: 3600", 3600, false},
		{"Expires: 0", 0, false},
		{"Expires: soon", -1, false},
		{"Expires: 99999999999999999999", math.MaxInt32, false},
		{"Contact: <sip:a@b>;expires=5\r\nExpires: 3600", 5, false},
		{"Expires: 3600\r\nContact: <sip:a@b>;Expires=\"0\"", 0, false},
		{"Contact: sip:a@b;expires=7", 7, false},
		{"Contact: *\r\nExpires: 0", 0, true},
	} {
		var m inbound
		if f := m.datagram([]byte(message("REGISTER", "z9hG4bK1", "c", 1, "", c.extra)), 100); f != fine {
			t.Fatal(f)
		}
		if m.Expires != c.want || m.ContactStar != c.star {
			t.Errorf("%q: got %d, %v; want %d, %v", c.extra, m.Expires, m.ContactStar, c.want, c.star)
		}
	}
}

// seeds are messages for the fuzzers.
var seeds = []string{
	odd,
	strings.ReplaceAll(odd, "\n", "\r\n"),
	keepalive("z9hG4bK1"),
	message("REGISTER", "z9hG4bK1", "c@h", 1, "", "Contact: <sip:a@b>;expires=5", "Expires: 3600", "X-GB-Ver: 3.0",
		`Authorization: Digest username="a", realm="b"`, "User-Agent: IP Camera"),
	message("NOTIFY", "z9hG4bK1", "c@h", 1, keepaliveBody, "Event: Catalog", "Subscription-State: active;expires=9"),
	"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 1.2.3.4:5060;branch=z9hG4bKa;rport=1;received=1.1.1.1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n",
	"MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP [2001:db8::1]:5060;branch=z9hG4bKa\r\nFrom: \"x\" <sip:%41@[::1]>;tag=1\r\nTo: sips:a@b\r\nCall-ID: x\r\nCSeq: 1 MESSAGE\r\n\r\nabc",
}

// FuzzScan holds the scan against the library: where both read a request, they read the same.
func FuzzScan(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	p := parser.NewPacketParser(silent{})
	f.Fuzz(func(t *testing.T, data []byte) {
		var m inbound
		got := m.datagram(bytes.Clone(data), 64<<10)
		if got == faultAddress {
			_ = m.fallback(p, data)
		}
		if m.status == 0 && m.answerable() {
			appendAnswer(nil, &m.Request, Answer{Code: 401, Challenges: []string{"x"}}, m.Received)
		}
		if got != fine || m.status != 0 || !crlfOnly(skipIdle(data)) {
			return
		}
		msg, err := library(p, data)
		if err != nil {
			return
		}
		req, ok := msg.(sip.Request)
		if !ok {
			return
		}
		for _, d := range differences(&m, req) {
			t.Error(d)
		}
	})
}

// differences tells where m and the library disagree. What the library skips for not being
// able to read it is no disagreement.
func differences(m *inbound, req sip.Request) (out []string) {
	differ := func(what string, got []byte, want string) {
		if normal(string(got)) != normal(want) {
			out = append(out, fmt.Sprintf("%s: scan %q, library %q", what, got, want))
		}
	}
	if !strings.EqualFold(m.Method, string(req.Method())) {
		out = append(out, fmt.Sprintf("method: scan %q, library %q", m.Method, req.Method()))
	}
	if from, ok := req.From(); ok && plain(m.From) && addressForm.Match(m.From) {
		differ("from user", m.FromUser, string(textOf(from.Address.User())))
		differ("from tag", m.FromTag, string(paramOf(from.Params, "tag")))
	}
	if to, ok := req.To(); ok && plain(m.To) && addressForm.Match(m.To) {
		differ("to user", m.ToUser, string(textOf(to.Address.User())))
		differ("to tag", m.ToTag, string(paramOf(to.Params, "tag")))
	}
	if cseq, ok := req.CSeq(); ok && cseq.SeqNo != m.CSeq {
		out = append(out, fmt.Sprintf("cseq: scan %d, library %d", m.CSeq, cseq.SeqNo))
	}
	if id, ok := req.CallID(); ok && id.Value() != string(m.CallID) && plain(m.CallID) {
		differ("call id", m.CallID, id.Value())
	}
	if hop, ok := req.ViaHop(); ok && hop.Params != nil && plain(m.vias[0]) && viaForm.Match(m.vias[0]) {
		differ("branch", m.Branch, string(paramOf(hop.Params, "branch")))
	}
	return out
}

// crlfOnly tells whether all lines of a head end as the library knows it, with CRLF.
func crlfOnly(b []byte) bool {
	head, _, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	return ok && !bytes.ContainsAny(bytes.ReplaceAll(head, []byte("\r\n"), nil), "\r\n")
}

// viaForm and addressForm are headers by the grammar. The library cuts what is none at another
// place, or skips it and takes the next of that name.
var (
	viaForm     = regexp.MustCompile(`^(?i)SIP/2\.0/[a-z]+\s+[a-z0-9.-]+(:[0-9]{1,4})?(;[^\s;=]+(=[^\s;=]*)?)*$`)
	addressForm = regexp.MustCompile(`^(?i)(<sips?:([0-9a-z]+@)?[0-9a-z.]+>|sips?:([0-9a-z]+@)?[0-9a-z.]+)(;[^\s;=]+(=[^\s;=]*)?)*$`)
)

// plain tells whether a value is such that the library reads it by the grammar: it knows no
// quoted strings in parameters, no lists and no control bytes.
func plain(v []byte) bool {
	for _, c := range v {
		if c < ' ' && c != '\t' || c >= 0x7f || strings.IndexByte("\"\\,?%", c) >= 0 {
			return false
		}
	}
	return true
}

// normal is s with its white space made one blank each.
func normal(s string) string { return strings.Join(strings.Fields(s), " ") }
