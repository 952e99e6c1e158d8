package sip

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ghettovoice/gosip/sip/parser"
	"github.com/prometheus/client_golang/prometheus"
)

// benchLane is a lane without sockets.
func benchLane(b testing.TB, h Handler) *lane {
	e, err := New(testConfig(), h, silence(), prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	return newLane(e)
}

var benchPeer = netip.MustParseAddrPort("192.168.1.64:5060")

func TestAnsweredKeepaliveAllocatesNothing(t *testing.T) {
	l := benchLane(t, handler(ok200))
	msg := []byte(keepalive("z9hG4bK1"))
	s := &udpSocket{e: l.e}
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() { l.datagram(s, msg, benchPeer, now) }); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
	if len(l.out) == 0 {
		t.Error("no answer")
	}
}

// BenchmarkKeepalive is the whole way of a keepalive but for the system calls and the fleet.
func BenchmarkKeepalive(b *testing.B) {
	l := benchLane(b, handler(ok200))
	msg := []byte(keepalive("z9hG4bK1"))
	s := &udpSocket{e: l.e}
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		l.datagram(s, msg, benchPeer, now)
	}
}

// BenchmarkKeepaliveUDP is the same over a loopback socket, one in flight.
func BenchmarkKeepaliveUDP(b *testing.B) {
	e := serve(b, testConfig(), handler(ok200))
	p := dial(b, e, UDP)
	msg := []byte(keepalive("z9hG4bK1"))
	in := make([]byte, 2048)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.conn.Write(msg); err != nil {
			b.Fatal(err)
		}
		if _, err := p.conn.Read(in); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRegister is a REGISTER with its digest checked, the challenge before it included.
func BenchmarkRegister(b *testing.B) {
	auth := NewAuthenticator(realm, []string{"MD5"}, time.Minute)
	var st NonceState
	l := benchLane(b, handler(func(r *Request) Answer {
		if auth.Verify(r, deviceID, password, &st, r.Received) != OK {
			return Answer{Code: 401, Challenges: auth.Challenges(deviceID, Offer{From: benchPeer.Addr()})}
		}
		return Answer{Code: 200, Expires: 3600}
	}))
	c := newClient(b, auth.Challenges(deviceID, Offer{From: benchPeer.Addr()})[0])
	c.qop = false // its credentials stand still; each is a repetition then
	first := []byte(message("REGISTER", "z9hG4bK1", "r", 1, "", "Contact: <sip:a@b>"))
	second := []byte(message("REGISTER", "z9hG4bK2", "r", 2, "", "Contact: <sip:a@b>", "Authorization: "+c.authorization()))
	s := &udpSocket{e: l.e}
	b.ReportAllocs()
	for b.Loop() {
		l.datagram(s, first, benchPeer, time.Now())
		l.datagram(s, second, benchPeer, time.Now())
	}
}

// BenchmarkScan and BenchmarkLibrary are the two ways to read a keepalive.
func BenchmarkScan(b *testing.B) {
	var m inbound
	msg := []byte(keepalive("z9hG4bK1"))
	b.ReportAllocs()
	for b.Loop() {
		m.datagram(msg, 65535)
	}
}

func BenchmarkLibrary(b *testing.B) {
	p := parser.NewPacketParser(silent{})
	msg := []byte(keepalive("z9hG4bK1"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := library(p, msg); err != nil {
			b.Fatal(err)
		}
	}
}
