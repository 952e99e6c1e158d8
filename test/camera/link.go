package camera

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// link is what a device sends and receives through: a UDP socket, perhaps shared with
// others, or a TCP connection. Whoever opens it starts one goroutine that reads it.
type link struct {
	conn   net.Conn
	stream bool
	local  netip.AddrPort

	send sync.Mutex // one TCP write at a time; UDP needs none
	once sync.Once
}

// sendDeadline is how long a TCP peer that does not read may hold a sender up.
const sendDeadline = 2 * time.Second

// openLink connects to server. UDP sockets are connected too, so that a platform's answer
// from another address is dropped, as many cameras do.
func openLink(ctx context.Context, network, local, server string) (*link, error) {
	d := net.Dialer{}
	if local != "" {
		if _, _, err := net.SplitHostPort(local); err != nil {
			local = net.JoinHostPort(local, "0")
		}
		if network == "tcp" {
			a, err := net.ResolveTCPAddr(network, local)
			if err != nil {
				return nil, fmt.Errorf("local address %q: %w", local, err)
			}
			d.LocalAddr = a
		} else {
			a, err := net.ResolveUDPAddr(network, local)
			if err != nil {
				return nil, fmt.Errorf("local address %q: %w", local, err)
			}
			d.LocalAddr = a
		}
	}
	conn, err := d.DialContext(ctx, network, server)
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		return nil, fmt.Errorf("no more sockets for %s %s: %w; raise `ulimit -n` or share sockets among devices", network, server, err)
	}
	if err != nil {
		return nil, fmt.Errorf("reach the platform: %w; is it listening there?", err)
	}
	at, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &link{conn: conn, stream: network == "tcp", local: netip.AddrPortFrom(at.Addr().Unmap(), at.Port())}, nil
}

// write sends one message. On UDP a refusal by ICMP counts as a lost datagram.
func (l *link) write(b []byte) error {
	if !l.stream {
		_, err := l.conn.Write(b)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return nil
		}
		return err
	}
	l.send.Lock()
	defer l.send.Unlock()
	if err := l.conn.SetWriteDeadline(time.Now().Add(sendDeadline)); err != nil {
		return err
	}
	_, err := l.conn.Write(b)
	return err
}

// read hands every message to receive until the link is closed or, on TCP, breaks.
func (l *link) read(buffer int, receive func([]byte)) error {
	if l.stream {
		return l.readStream(receive)
	}
	buf := make([]byte, buffer)
	for {
		n, err := l.conn.Read(buf)
		switch {
		case err == nil:
			receive(buf[:n])
		case errors.Is(err, net.ErrClosed):
			return err
		case errors.Is(err, syscall.ECONNREFUSED): // nobody listens there now: the next may be heard
		default:
			return err
		}
	}
}

// readStream cuts a TCP stream into messages by Content-Length [RFC3261 18.3].
func (l *link) readStream(receive func([]byte)) error {
	r := bufio.NewReaderSize(l.conn, 2048)
	var buf []byte
	for {
		if _, err := r.Peek(1); err != nil {
			return err
		}
		chunk, err := r.Peek(r.Buffered())
		if err != nil {
			return err
		}
		buf = append(buf, chunk...)
		if _, err := r.Discard(len(chunk)); err != nil {
			return err
		}
		for len(buf) > 0 {
			n, err := frameLength(buf)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			receive(buf[:n])
			buf = buf[n:]
		}
		if len(buf) == 0 {
			buf = nil
		}
	}
}

// close ends the link; its reader returns.
func (l *link) close() {
	l.once.Do(func() { _ = l.conn.Close() }) // nothing is buffered that could still be lost
}
