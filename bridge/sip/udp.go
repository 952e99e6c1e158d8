package sip

import (
	"errors"
	"net"
	"net/netip"
	"time"
)

// udpSocket is one of our UDP sockets.
type udpSocket struct {
	e     *Endpoint
	local netip.AddrPort
	*packets
}

// readPause keeps a socket that only fails from being read in a tight loop.
const readPause = 10 * time.Millisecond

// answerBuffer is the room for an answer; a longer one gets more, and keeps it.
const answerBuffer = 1 << 10

// readDatagrams serves s until it is closed, a batch of datagrams at a time. Datagrams of one
// peer are dealt with in the order of their arrival.
func (e *Endpoint) readDatagrams(s *udpSocket) {
	b, l := newBatch(s.packets), newLane(e)
	for {
		n, err := b.read()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			e.m.drop(dropRead)
			if !e.pause(readPause) {
				return
			}
			continue
		}
		now := time.Now()
		for i := range n {
			raw, from := b.datagram(i)
			l.out = b.room()
			if out := l.datagram(s, raw, from, now); out != nil {
				b.answer(i, out)
			}
		}
		if lost := b.flush(); lost > 0 {
			e.m.dropped.WithLabelValues(dropWrite).Add(float64(lost))
		}
	}
}

// datagram deals with one datagram and returns what to send back.
func (l *lane) datagram(s *udpSocket, b []byte, from netip.AddrPort, now time.Time) []byte {
	f := l.in.datagram(b, l.e.cfg.MaxBody)
	return l.dispatch(f, b, Path{Network: UDP, Remote: from, Local: s.local}, now)
}

// pause waits for d; false: the endpoint is stopping.
func (e *Endpoint) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-e.stop:
		return false
	}
}

// socket finds the UDP socket for p: the one that the device talks to, since it may not
// listen to another address; else, after a change of sip.listen, one of the same family.
func (e *Endpoint) socket(p Path) *udpSocket {
	if p.Network != UDP || !p.Remote.IsValid() {
		return nil
	}
	var other *udpSocket
	for _, s := range e.udp {
		if s.local == p.Local {
			return s
		}
		if other == nil && (s.local.Addr().Is4() == p.Remote.Addr().Is4() || s.local.Addr() == netip.IPv6Unspecified()) {
			other = s
		}
	}
	return other
}

// udpLink sends from a socket of ours to one peer.
type udpLink struct {
	s  *udpSocket
	to netip.AddrPort
}

func (l udpLink) write(b []byte) error  { return l.s.send(b, l.to) }
func (l udpLink) gone() <-chan struct{} { return nil }
func (l udpLink) reliable() bool        { return false }
