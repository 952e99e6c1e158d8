package faults

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// client is one address that has sent, with its socket towards the platform.
type client struct {
	from netip.AddrPort
	conn *net.UDPConn
}

// sockBuffer is asked for on each socket; the system may give less.
const sockBuffer = 4 << 20

func (p *Proxy) listenUDP() error {
	at, err := net.ResolveUDPAddr("udp", p.cfg.Listen)
	if err != nil {
		return err
	}
	if p.udp, err = net.ListenUDP("udp", at); err != nil {
		return err
	}
	return errors.Join(p.udp.SetReadBuffer(sockBuffer), p.udp.SetWriteBuffer(sockBuffer))
}

// readUDP carries what cameras send.
func (p *Proxy) readUDP() error {
	buf := make([]byte, 65535)
	for {
		n, from, err := p.udp.ReadFromUDPAddrPort(buf)
		if err != nil {
			return err
		}
		c, err := p.client(netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
		if err != nil {
			return err
		}
		if c == nil {
			p.count.refused.Add(1)
			continue
		}
		p.carry(buf[:n], p.up, c.send)
	}
}

// client returns the one of that address, new when it has not sent before; nil when there
// are too many.
func (p *Proxy) client(from netip.AddrPort) (*client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.clients[from]; c != nil || len(p.clients) >= p.cfg.Clients {
		return c, nil
	}
	if p.closed {
		return nil, net.ErrClosed
	}
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(p.target))
	if err != nil {
		return nil, err
	}
	c := &client{from: from, conn: conn}
	p.clients[from] = c
	p.wg.Go(func() { p.readClient(c) })
	return c, nil
}

// send passes one datagram on to the platform. A datagram that can't be sent is lost, as
// on any network.
func (c *client) send(b []byte) { _, _ = c.conn.Write(b) }

// readClient carries what the platform sends to c, until its socket is closed.
func (p *Proxy) readClient(c *client) {
	buf := make([]byte, 65535)
	back := func(b []byte) { _, _ = p.udp.WriteToUDPAddrPort(b, c.from) } // lost when it can't be sent
	for {
		n, err := c.conn.Read(buf)
		switch {
		case err == nil:
			p.carry(buf[:n], p.down, back)
		case errors.Is(err, syscall.ECONNREFUSED): // nobody listens there now
		default:
			return
		}
	}
}

// carry does to one datagram what chance has for it. b is the caller's again on return.
func (p *Proxy) carry(b []byte, d *dice, send func([]byte)) {
	f := p.now.Load()
	if f.Cut {
		p.count.cut.Add(1)
		return
	}
	is := d.roll(*f)
	if is.lost {
		p.count.lost.Add(1)
		return
	}
	if is.reordered {
		p.count.reordered.Add(1)
	}
	copies := is.late[:1]
	if is.twice {
		p.count.duplicated.Add(1)
		copies = is.late[:]
	}
	for _, wait := range copies {
		if wait == 0 {
			send(b)
			p.count.passed.Add(1)
			continue
		}
		own := append([]byte(nil), b...)
		if !p.queue.after(wait, func() { p.arrive(own, send) }) {
			p.count.overflowed.Add(1)
		}
	}
}

// arrive sends what was late, unless the cable was cut meanwhile.
func (p *Proxy) arrive(b []byte, send func([]byte)) {
	if p.now.Load().Cut {
		p.count.cut.Add(1)
		return
	}
	send(b)
	p.count.passed.Add(1)
}
