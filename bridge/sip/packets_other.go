//go:build !linux

package sip

import (
	"net"
	"net/netip"
)

// packets is a UDP socket.
type packets struct{ conn *net.UDPConn }

// newPackets takes conn over.
func newPackets(conn *net.UDPConn) (*packets, error) { return &packets{conn}, nil }

// close ends the reader too.
func (p *packets) close() error { return p.conn.Close() }

// send sends b to a peer.
func (p *packets) send(b []byte, to netip.AddrPort) error {
	_, err := p.conn.WriteToUDPAddrPort(b, to)
	return err
}

// batch reads and answers the datagrams of one socket, one with each system call: there is no
// call for many here. Its loop owns it.
type batch struct {
	conn *net.UDPConn
	in   []byte
	got  int
	from netip.AddrPort // as the system wrote it
	out  []byte
	put  bool
}

// newBatch returns a batch for p.
func newBatch(p *packets) *batch {
	return &batch{conn: p.conn, in: make([]byte, 64<<10), out: make([]byte, 0, answerBuffer)}
}

// read waits for a datagram.
func (b *batch) read() (n int, err error) {
	b.got, b.from, err = b.conn.ReadFromUDPAddrPort(b.in)
	return 1, err
}

// datagram returns what was read, good until the next read, and who sent it.
func (b *batch) datagram(int) ([]byte, netip.AddrPort) { return b.in[:b.got], unmap(b.from) }

// room returns the empty buffer for the answer.
func (b *batch) room() []byte { return b.out[:0] }

// answer has out, which may be what room returned, sent to the datagram's peer.
func (b *batch) answer(_ int, out []byte) { b.out, b.put = out, true }

// flush sends the answer and returns how many the system did not take.
func (b *batch) flush() (lost int) {
	if !b.put {
		return 0
	}
	b.put = false
	if _, err := b.conn.WriteToUDPAddrPort(b.out, b.from); err != nil {
		return 1
	}
	return 0
}
