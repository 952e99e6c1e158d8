package sip

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// What is asked of the system for each UDP socket: with a smaller read buffer a burst of some
// hundred devices is lost, and a batch of answers must fit into the other. The system may give
// less (net.core.rmem_max, wmem_max).
const (
	readBuffer  = 8 << 20
	writeBuffer = 1 << 20
)

// Listen opens all sockets, or none. A port of 0 is chosen by the system; UDP and TCP on one
// host then get the same one where that is possible. Addrs tells which.
func (e *Endpoint) Listen() error {
	for i, l := range e.cfg.Listen {
		n, host, err := parseListen(l)
		if err == nil {
			err = e.open(n, host)
		}
		if err != nil {
			_ = e.closeSockets() // the error that matters is the first
			e.udp, e.listeners, e.bound = nil, nil, nil
			return fmt.Errorf("sip.listen[%d]: %s: %w", i, l, err)
		}
	}
	return nil
}

// open binds one address.
func (e *Endpoint) open(n Network, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if port != "0" {
		return e.bind(n, addr, host)
	}
	if p, ok := e.sibling(n, host); ok {
		if e.bind(n, net.JoinHostPort(host, strconv.Itoa(int(p))), host) == nil {
			return nil
		}
	}
	return e.bind(n, addr, host)
}

// sibling finds the port that the other transport has been given on host.
func (e *Endpoint) sibling(n Network, host string) (uint16, bool) {
	for i, b := range e.bound {
		_, addr, err := parseListen(e.cfg.Listen[i])
		if err != nil || b.Network == n {
			continue
		}
		if h, p, err := net.SplitHostPort(addr); err == nil && h == host && p == "0" {
			return b.Addr.Port(), true
		}
	}
	return 0, false
}

// bind opens one socket. An IPv4 address gets an IPv4 socket, so that peers' addresses look
// the same everywhere.
func (e *Endpoint) bind(n Network, addr, host string) error {
	family := ""
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is4() {
		family = "4"
	}
	if n == UDP {
		pc, err := new(net.ListenConfig).ListenPacket(context.Background(), "udp"+family, addr)
		if err != nil {
			return err
		}
		c := pc.(*net.UDPConn)
		if err := c.SetReadBuffer(readBuffer); err != nil {
			e.log.Warn("the read buffer of a UDP socket can't be set; bursts may be lost", "addr", addr, "err", err)
		}
		if err := c.SetWriteBuffer(writeBuffer); err != nil {
			e.log.Warn("the write buffer of a UDP socket can't be set; bursts of answers may wait", "addr", addr, "err", err)
		}
		s := &udpSocket{e: e, local: unmap(c.LocalAddr().(*net.UDPAddr).AddrPort())}
		if s.packets, err = newPackets(c); err != nil {
			return err
		}
		e.udp = append(e.udp, s)
		e.bound = append(e.bound, Bound{UDP, s.local})
		return nil
	}
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp"+family, addr)
	if err != nil {
		return err
	}
	l := ln.(*net.TCPListener)
	e.listeners = append(e.listeners, l)
	e.bound = append(e.bound, Bound{TCP, unmap(l.Addr().(*net.TCPAddr).AddrPort())})
	return nil
}

// unmap writes an IPv4 address as one.
func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
