package faults

import (
	"context"
	"net"
	"sync"
	"time"
)

// piece is what was read of a stream at once, and when it may be written.
type piece struct {
	at    time.Time
	bytes []byte
}

// Bounds of one direction of a connection: beyond them its sender has to wait.
const (
	pieceBytes = 16 << 10
	pieces     = 64
)

func (p *Proxy) listenTCP() error {
	at, err := net.ResolveTCPAddr("tcp", p.cfg.Listen)
	if err != nil {
		return err
	}
	p.tcp, err = net.ListenTCP("tcp", at)
	return err
}

// accept joins every connection to one of its own with the platform.
func (p *Proxy) accept(ctx context.Context) error {
	for {
		near, err := p.tcp.AcceptTCP()
		if err != nil {
			return err
		}
		p.mu.Lock()
		switch {
		case p.closed:
			_ = near.Close()
		case len(p.conns) >= 2*p.cfg.Clients:
			p.count.refused.Add(1)
			_ = near.Close()
		default:
			p.conns[near] = struct{}{}
			p.wg.Go(func() { p.join(ctx, near) })
		}
		p.mu.Unlock()
	}
}

// join carries both directions of a connection until one of them ends; the bytes that are
// on their way then still arrive.
func (p *Proxy) join(ctx context.Context, near *net.TCPConn) {
	defer p.forget(near)
	if !p.open(ctx) { // during a cut no connection is made
		return
	}
	far, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(p.target))
	if err != nil {
		return // the camera sees its connection closed, as where nobody listens
	}
	p.mu.Lock()
	p.conns[far] = struct{}{}
	if p.closed {
		_ = far.Close()
	}
	p.mu.Unlock()
	defer p.forget(far)
	var both sync.WaitGroup
	both.Go(func() { p.stream(ctx, near, far, p.up) })
	both.Go(func() { p.stream(ctx, far, near, p.down) })
	both.Wait()
}

// forget closes a connection that is over.
func (p *Proxy) forget(c *net.TCPConn) {
	_ = c.Close()
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

// stream carries one direction: a reader that gives each piece its time, and a writer that
// keeps it. The end of from is passed on as the end of to.
func (p *Proxy) stream(ctx context.Context, from, to *net.TCPConn, d *dice) {
	under := make(chan piece, pieces)
	var writer sync.WaitGroup
	writer.Go(func() {
		broken := false
		for next := range under {
			if !broken && p.due(ctx, next.at) {
				if _, err := to.Write(next.bytes); err != nil {
					broken = true
					_ = from.CloseRead() // nobody takes more: the reader ends
					continue
				}
				p.count.passed.Add(1)
			}
		}
		_ = to.CloseWrite()
	})
	var last time.Time
	buf := make([]byte, pieceBytes)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			f := *p.now.Load()
			is := d.roll(f)
			wait := is.late[1] // the copy's: nothing is held back in a stream
			if is.lost {
				p.count.lost.Add(1)
				wait += retransmit
			}
			if at := time.Now().Add(wait); at.After(last) {
				last = at
			}
			under <- piece{last, append([]byte(nil), buf[:n]...)}
		}
		if err != nil {
			break
		}
	}
	close(under)
	writer.Wait()
}

// due waits until at, and until no cut is on; false: the proxy has ended.
func (p *Proxy) due(ctx context.Context, at time.Time) bool {
	if wait := time.Until(at); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return false
		}
	}
	return p.open(ctx)
}

// open waits for the end of a cut; false: the proxy has ended.
func (p *Proxy) open(ctx context.Context) bool {
	for {
		p.mu.Lock()
		cut, changed := p.now.Load().Cut, p.changed
		p.mu.Unlock()
		if !cut {
			return ctx.Err() == nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}
