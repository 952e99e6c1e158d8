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
	conn  *net.UDPConn
	local netip.AddrPort
}

// readPause keeps a socket that only fails from being read in a tight loop.
const readPause = 10 * time.Millisecond

// readDatagrams serves s until it is closed. Datagrams of one peer are dealt with in the order
// of their arrival.
func (e *Endpoint) readDatagrams(s *udpSocket) {
	l := newLane(e)
	buf := make([]byte, 64<<10)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(buf)
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
		if out := l.datagram(s, buf[:n], unmap(from), time.Now()); out != nil {
			if _, err := s.conn.WriteToUDPAddrPort(out, from); err != nil {
				e.m.drop(dropWrite)
			}
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

func (l udpLink) write(b []byte) error {
	_, err := l.s.conn.WriteToUDPAddrPort(b, l.to)
	return err
}

func (l udpLink) gone() <-chan struct{} { return nil }
func (l udpLink) reliable() bool        { return false }
