package test

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// raw speaks SIP as no simulated camera would: whatever a test writes, from an address of its
// choice.
type raw struct {
	t    testing.TB
	conn net.Conn
	seq  int
	rest []byte // of a TCP stream
}

// dialRaw connects to a listener of the bridge, from a local IP or, where that is empty, any.
func dialRaw(t testing.TB, url, local string) *raw {
	t.Helper()
	network, address, _ := strings.Cut(url, "://")
	d := net.Dialer{}
	if ip := net.ParseIP(local); ip != nil && network == "tcp" {
		d.LocalAddr = &net.TCPAddr{IP: ip}
	} else if ip != nil {
		d.LocalAddr = &net.UDPAddr{IP: ip}
	}
	conn, err := d.Dial(network, address)
	if err != nil {
		t.Fatalf("from %s to %s: %v", local, url, err)
	}
	t.Cleanup(func() { conn.Close() })
	return &raw{t: t, conn: conn}
}

// answer is a SIP response, or a request of the bridge.
type answer struct {
	code    int    // 0: a request
	text    string // all of it
	headers map[string][]string
}

func (a answer) header(name string) string { return strings.Join(a.headers[name], " | ") }

// request is what raw sends. Empty fields take what a device would send.
type request struct {
	method, from, to, callID, cseq, branch, body string
	headers                                      []string
}

// render writes q as it goes over the wire.
func (r *raw) render(q request) []byte {
	r.seq++
	n := strconv.Itoa(r.seq) + "-" + strings.ReplaceAll(r.conn.LocalAddr().String(), ":", "-")
	orElse := func(s, otherwise string) string {
		if s == "" {
			return otherwise
		}
		return s
	}
	network := strings.ToUpper(r.conn.LocalAddr().Network())
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s sip:%s@%s SIP/2.0\r\nVia: SIP/2.0/%s %s;rport;branch=z9hG4bK%s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s %s\r\nMax-Forwards: 70\r\n",
		q.method, serverID, domain, network, r.conn.LocalAddr(), orElse(q.branch, n), q.from,
		orElse(q.to, "<sip:"+serverID+"@"+domain+">"), orElse(q.callID, n), orElse(q.cseq, strconv.Itoa(r.seq)), q.method)
	for _, h := range q.headers {
		b.WriteString(h + "\r\n")
	}
	if q.body != "" {
		b.WriteString("Content-Type: Application/MANSCDP+xml\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(q.body), q.body)
	return b.Bytes()
}

// send writes q and returns its answer; requests of the bridge that come meanwhile are passed over.
func (r *raw) send(q request) answer {
	r.t.Helper()
	if _, err := r.conn.Write(r.render(q)); err != nil {
		r.t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		a := r.read(deadline)
		if a.code >= 200 {
			return a
		}
	}
}

// read returns the next message.
func (r *raw) read(deadline time.Time) answer {
	r.t.Helper()
	for {
		if head, _, whole := bytes.Cut(r.rest, []byte("\r\n\r\n")); whole {
			a := parseAnswer(string(head))
			n, _ := strconv.Atoi(a.header("content-length"))
			if end := len(head) + 4 + n; len(r.rest) >= end {
				a.text, r.rest = string(r.rest[:end]), r.rest[end:]
				return a
			}
		}
		if err := r.conn.SetReadDeadline(deadline); err != nil {
			r.t.Fatal(err)
		}
		buf := make([]byte, 65536)
		n, err := r.conn.Read(buf)
		if err != nil {
			r.t.Fatalf("no answer: %v", err)
		}
		r.rest = append(r.rest, buf[:n]...)
	}
}

func parseAnswer(head string) answer {
	lines := strings.Split(head, "\r\n")
	a := answer{headers: map[string][]string{}}
	if rest, isResponse := strings.CutPrefix(lines[0], "SIP/2.0 "); isResponse {
		a.code, _ = strconv.Atoi(rest[:3])
	}
	for _, l := range lines[1:] {
		name, value, _ := strings.Cut(l, ":")
		name = strings.ToLower(strings.TrimSpace(name))
		a.headers[name] = append(a.headers[name], strings.TrimSpace(value))
	}
	return a
}

// from is the From of a device.
func from(id string) string { return "<sip:" + id + "@" + domain + ">;tag=raw" }

// register goes through the exchange of REGISTER with these headers, and returns its end.
func (r *raw) register(id, password string, headers ...string) answer {
	r.t.Helper()
	q := request{method: "REGISTER", from: from(id), to: "<sip:" + id + "@" + domain + ">", callID: "register-" + id + r.conn.LocalAddr().String(),
		headers: append([]string{"Contact: <sip:" + id + "@" + r.conn.LocalAddr().String() + ">"}, headers...)}
	a := r.send(q)
	if a.code != 401 {
		return a
	}
	challenges := a.headers["www-authenticate"]
	q.headers = append(q.headers, "Authorization: "+digest(id, password, challenges[len(challenges)-1])) // MD5 stands last
	return r.send(q)
}

// digest answers an MD5 challenge without qop, as old stacks do.
func digest(id, password, challenge string) string {
	value := func(name string) string {
		_, rest, _ := strings.Cut(challenge, name+`="`)
		v, _, _ := strings.Cut(rest, `"`)
		return v
	}
	hash := func(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }
	uri := "sip:" + serverID + "@" + domain
	response := hash(hash(id+":"+value("realm")+":"+password) + ":" + value("nonce") + ":" + hash("REGISTER:"+uri))
	return fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", algorithm=MD5`, id, value("realm"), value("nonce"), uri, response)
}
