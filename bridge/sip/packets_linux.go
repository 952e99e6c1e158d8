package sip

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// packets is a UDP socket that the runtime's poller does not know: each datagram sent would
// ring the poller for room to write, which costs more than the whole of our own work on it. Its
// reader blocks in the system, on a thread of its own.
type packets struct {
	file   *os.File
	raw    syscall.RawConn // of file: the descriptor stays open while it is used
	ip6    bool            // it takes IPv6 addresses, IPv4 ones mapped into them
	closed atomic.Bool
}

// newPackets takes conn over.
func newPackets(conn *net.UDPConn) (*packets, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd, domain := -1, 0
	inner := raw.Control(func(old uintptr) {
		if domain, err = unix.GetsockoptInt(int(old), unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil {
			return
		}
		if fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0); err == nil {
			err = unix.SetNonblock(fd, false)
		}
	})
	if err := errors.Join(inner, err, conn.Close()); err != nil {
		if fd >= 0 {
			err = errors.Join(err, unix.Close(fd))
		}
		return nil, err
	}
	p := &packets{file: os.NewFile(uintptr(fd), "udp"), ip6: domain == unix.AF_INET6}
	p.raw, err = p.file.SyscallConn()
	return p, err
}

// close ends the reader too.
func (p *packets) close() error {
	p.closed.Store(true)
	// An unconnected socket says that it is not connected, and wakes its reader all the same.
	if err := p.raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RDWR) }); err != nil {
		return err
	}
	return p.file.Close()
}

// send sends b to a peer.
func (p *packets) send(b []byte, to netip.AddrPort) error {
	var sent error
	err := p.raw.Control(func(fd uintptr) { sent = unix.Sendto(int(fd), b, 0, p.sockaddr(to)) })
	return errors.Join(err, sent)
}

// sockaddr writes a as the system wants it for p.
func (p *packets) sockaddr(a netip.AddrPort) unix.Sockaddr {
	if !p.ip6 {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().Unmap().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: zoneNumber(a.Addr().Zone())}
}

// zoneNumber reads a zone as addressOf writes it; 0: none.
func zoneNumber(zone string) uint32 {
	n, err := strconv.ParseUint(zone, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

const (
	// batchSize is how many datagrams one system call takes at most. Beyond some thirty the
	// price of the call itself is gone, and the first answer of a batch waits for its last.
	batchSize = 32
	// slotSize holds the largest datagram. It is no multiple of a page: else the fronts of all
	// slots would share a few lines of the processor's cache.
	slotSize = 64<<10 + 17*64
)

// batch reads and answers datagrams of one socket, many with one system call (recvmmsg,
// sendmmsg), without an allocation. Its loop owns it.
type batch struct {
	*packets
	in, out ring
	got     int // datagrams of the last read
	put     int // answers that wait for flush
	sent    int // of them, done with
	lost    int
	errno   syscall.Errno
	receive func(fd uintptr) bool // bound once: a new closure would be an allocation
	write   func(fd uintptr) bool
}

// ring is what the system fills or sends: the buffers, and where they came from or go.
type ring struct {
	messages [batchSize]mmsghdr
	vectors  [batchSize]unix.Iovec
	peers    [batchSize]unix.RawSockaddrInet6 // the first bytes alone where it is IPv4
	buffers  [batchSize][]byte
}

// mmsghdr is the system's struct of that name.
type mmsghdr struct {
	header unix.Msghdr
	length uint32
}

// newBatch returns a batch for p.
func newBatch(p *packets) *batch {
	b := &batch{packets: p}
	b.receive, b.write = b.receiveFrom, b.sendTo
	block := make([]byte, batchSize*slotSize) // pages that are never written cost nothing
	for i := range batchSize {
		b.in.buffers[i] = block[i*slotSize : (i+1)*slotSize : (i+1)*slotSize]
		b.in.point(i, b.in.buffers[i])
		b.out.buffers[i] = make([]byte, 0, answerBuffer)
	}
	return b
}

// point makes message i one of bytes.
func (r *ring) point(i int, bytes []byte) {
	v := &r.vectors[i]
	v.Base = unsafe.SliceData(bytes)
	v.SetLen(len(bytes))
	h := &r.messages[i].header
	h.Iov = v
	h.SetIovlen(1)
	h.Name = (*byte)(unsafe.Pointer(&r.peers[i]))
	h.Namelen = unix.SizeofSockaddrInet6
}

// read waits for datagrams and returns how many there are, at least one, or net.ErrClosed.
func (b *batch) read() (int, error) {
	for i := range b.got {
		b.in.messages[i].header.Namelen = unix.SizeofSockaddrInet6 // the system has set it
	}
	b.got = 0
	err := b.raw.Read(b.receive)
	switch {
	case b.closed.Load(): // the end of the socket came as an empty datagram
		return 0, net.ErrClosed
	case err != nil:
		return 0, err
	case b.errno != 0:
		return 0, b.errno
	}
	return b.got, nil
}

// receiveFrom waits for the first datagram and takes what else is there.
func (b *batch) receiveFrom(fd uintptr) bool {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.in.messages)), batchSize, unix.MSG_WAITFORONE, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if b.errno = errno; errno == 0 {
			b.got = int(n)
		}
		return true
	}
}

// datagram returns what was read as number i, good until the next read, and who sent it.
func (b *batch) datagram(i int) ([]byte, netip.AddrPort) {
	return b.in.buffers[i][:b.in.messages[i].length], addressOf(&b.in.peers[i])
}

// room returns the empty buffer for the next answer.
func (b *batch) room() []byte { return b.out.buffers[b.put][:0] }

// answer has out, which may be what room returned, sent to the peer of datagram i.
func (b *batch) answer(i int, out []byte) {
	b.out.buffers[b.put] = out
	b.out.peers[b.put] = b.in.peers[i]
	b.out.point(b.put, out)
	b.out.messages[b.put].header.Namelen = b.in.messages[i].header.Namelen
	b.put++
}

// flush sends all answers and returns how many the system did not take.
func (b *batch) flush() (lost int) {
	b.sent, b.lost = 0, 0
	for b.sent < b.put {
		if err := b.raw.Write(b.write); err != nil { // closed
			b.lost += b.put - b.sent
			break
		}
	}
	b.put = 0
	return b.lost
}

// sendTo sends what is left, as far as the system goes with one call.
func (b *batch) sendTo(fd uintptr) bool {
	n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&b.out.messages[b.sent])), uintptr(b.put-b.sent), 0, 0, 0)
	switch errno {
	case 0:
		b.sent += int(n)
	case unix.EINTR:
	default: // of the first one: its peer can't be reached
		b.sent++
		b.lost++
	}
	return true
}

// addressOf reads a peer's address. An IPv4 address is written as one.
func addressOf(a *unix.RawSockaddrInet6) netip.AddrPort {
	if a.Family == unix.AF_INET {
		a4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(a))
		return netip.AddrPortFrom(netip.AddrFrom4(a4.Addr), portOf(&a4.Port))
	}
	ip := netip.AddrFrom16(a.Addr).Unmap()
	if a.Scope_id != 0 && ip.Is6() {
		ip = ip.WithZone(strconv.FormatUint(uint64(a.Scope_id), 10))
	}
	return netip.AddrPortFrom(ip, portOf(&a.Port))
}

// portOf reads a port, which is in the network's order whatever the machine's is.
func portOf(p *uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(p))
	return uint16(b[0])<<8 | uint16(b[1])
}
