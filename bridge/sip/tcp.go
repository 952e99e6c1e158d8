package sip

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// The bounds of TCP: whoever exceeds one loses his connection, and only he.
const (
	maxConnections = 100_000
	maxUnsent      = 512 << 10        // bytes that wait for a peer which does not read
	writeLimit     = 10 * time.Second // for the system to take what is written
	messageLimit   = 30 * time.Second // for a message to become whole, and for the first to come
	acceptPause    = 50 * time.Millisecond
	firstBuffer    = 4 << 10
	restBuffer     = 16 << 10 // a larger buffer is given back once it is empty
)

var (
	errGone  = errors.New("the connection is closed")
	errStuck = errors.New("the peer does not read")
)

// tcpConn is a connection that a device made. Its read loop owns it: it ends last.
type tcpConn struct {
	e    *Endpoint
	conn net.Conn
	path Path
	done chan struct{} // closed when the read loop ends
	used atomic.Int64  // Unix ns of the last read

	mu       sync.Mutex // guards all below; never held across I/O
	out      []byte     // waits to be written
	spare    []byte
	flushing bool
	dead     bool
	flushers sync.WaitGroup // Add only with mu held and not dead
}

// accept takes connections until l is closed.
func (e *Endpoint) accept(l *net.TCPListener) {
	for {
		conn, err := l.AcceptTCP()
		if err == nil {
			e.adopt(conn)
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		e.m.drop(dropAccept)
		e.log.Warn("can't accept a TCP connection; are there file descriptors left?", "err", err)
		if !e.pause(acceptPause) {
			return
		}
	}
}

// adopt gives a new connection its number and its read loop.
func (e *Endpoint) adopt(conn *net.TCPConn) {
	c := &tcpConn{e: e, conn: conn, done: make(chan struct{})}
	c.path = Path{
		Network: TCP,
		Remote:  unmap(conn.RemoteAddr().(*net.TCPAddr).AddrPort()),
		Local:   unmap(conn.LocalAddr().(*net.TCPAddr).AddrPort()),
	}
	e.mu.Lock()
	full := len(e.conns) >= maxConnections
	if e.stopping || full {
		e.mu.Unlock()
		if full {
			e.m.drop(dropConnections)
		}
		conn.Close()
		return
	}
	e.lastConn++
	c.path.Conn = e.lastConn
	e.conns[c.path.Conn] = c
	e.mu.Unlock()
	e.m.connections.Inc()
	c.used.Store(time.Now().UnixNano())
	// accept holds e.wg, so it can't be waited out before
	e.wg.Go(func() { pprof.Do(context.Background(), c.labels(), func(context.Context) { c.run() }) })
}

// run reads until the connection ends, and clears up.
func (c *tcpConn) run() {
	c.read()
	c.kill()
	close(c.done)
	c.flushers.Wait()
	c.e.mu.Lock()
	delete(c.e.conns, c.path.Conn)
	stopping := c.e.stopping
	c.e.mu.Unlock()
	c.e.m.connections.Dec()
	if !stopping {
		c.e.h.Closed(c.path)
	}
}

// name tells c from every other connection of this process.
func (c *tcpConn) name() string {
	return "sip tcp " + c.path.Remote.String() + " #" + strconv.FormatUint(c.path.Conn, 10)
}

// labels tie the goroutines of c to it, in profiles.
func (c *tcpConn) labels() pprof.LabelSet { return pprof.Labels("conn", c.name()) }

// Connection is a TCP connection of a device, for who looks after those that nobody owns.
type Connection struct {
	Name  string // the value of "conn" in the labels of its goroutines; unique
	Path  Path
	Used  time.Time // something was read from it, or it came
	Close func()    // does not block
}

// Connections calls each for every TCP connection, without a lock held.
func (e *Endpoint) Connections(each func(Connection)) {
	e.mu.Lock()
	conns := make([]*tcpConn, 0, len(e.conns))
	for _, c := range e.conns {
		conns = append(conns, c)
	}
	e.mu.Unlock()
	for _, c := range conns {
		each(Connection{Name: c.name(), Path: c.path, Used: time.Unix(0, c.used.Load()), Close: c.kill})
	}
}

// kill ends the connection; its read loop does the rest.
func (c *tcpConn) kill() {
	c.mu.Lock()
	dead := c.dead
	c.dead, c.out = true, nil
	c.mu.Unlock()
	if !dead {
		c.conn.Close() // its error has no reader: the connection is given up
	}
}

// read takes messages off the connection and answers them.
func (c *tcpConn) read() {
	l := newLane(c.e)
	s := splitter{maxBody: c.e.cfg.MaxBody}
	buf := make([]byte, firstBuffer)
	n, want := 0, 0
	heard := false
	since := time.Now() // since when a message is waited for
	for {
		deadline := time.Time{} // between messages a device may be silent; the system probes it
		if n > 0 || !heard {
			deadline = since.Add(messageLimit)
		}
		if err := c.conn.SetReadDeadline(deadline); err != nil {
			return
		}
		buf = room(buf, n, want)
		got, err := c.conn.Read(buf[n:])
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				c.e.m.drop(dropSlow)
			}
			return
		}
		if n == 0 && heard {
			since = time.Now()
		}
		n += got
		c.used.Store(time.Now().UnixNano())
		done, more, messages, ok := c.consume(l, &s, buf[:n])
		if !ok {
			return
		}
		n = copy(buf, buf[done:n])
		want = more
		if messages > 0 {
			heard, since = true, time.Now()
		}
	}
}

// room returns buf, which holds n bytes, with place for more: for want bytes in all, where
// that is known.
func room(buf []byte, n, want int) []byte {
	size := len(buf)
	switch {
	case n == 0 && size > restBuffer:
		size = firstBuffer
	case want > size:
		size = want
	case n == size:
		size = 2 * n
	}
	if size == len(buf) {
		return buf
	}
	b := make([]byte, size)
	copy(b, buf[:n])
	return b
}

// consume deals with all whole messages in b, and returns how much of b is done with, how long
// b must become for the next one, and how many there were. ok is false when the stream is lost.
func (c *tcpConn) consume(l *lane, s *splitter, b []byte) (done, want, messages int, ok bool) {
	for {
		what, n, more, f := s.next(b[done:], &l.in)
		switch what {
		case stepMore:
			return done + n, more, messages, true
		case stepGarbage:
			c.e.m.drop(dropGarbage)
		case stepSkipped:
		case stepMessage:
			messages++
			if !c.flush(l.dispatch(f, b[done:done+n], c.path, time.Now())) {
				return 0, 0, 0, false
			}
		case stepFatal:
			l.in.Path, l.in.Received = c.path, time.Now()
			c.flush(l.refuse(f))
			return 0, 0, 0, false
		}
		done += n
	}
}

// write queues b and returns at once.
func (c *tcpConn) write(b []byte) error {
	start, err := c.enqueue(b)
	if start {
		go pprof.Do(context.Background(), c.labels(), func(context.Context) {
			defer c.flushers.Done()
			c.drain()
		})
	}
	return err
}

// flush writes b, and what waits, from the read loop: a peer that does not read holds up his
// own requests alone. It returns false when the connection is lost.
func (c *tcpConn) flush(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	start, err := c.enqueue(b)
	if start {
		defer c.flushers.Done()
		return c.drain()
	}
	return err == nil
}

// enqueue puts b behind what waits. The caller that is told to start owns the writing until
// drain returns, and calls flushers.Done.
func (c *tcpConn) enqueue(b []byte) (start bool, err error) {
	c.mu.Lock()
	if c.dead {
		c.mu.Unlock()
		return false, errGone
	}
	if len(c.out)+len(b) > maxUnsent {
		c.mu.Unlock()
		c.e.m.drop(dropStuck)
		c.kill()
		return false, errStuck
	}
	defer c.mu.Unlock()
	c.out = append(c.out, b...)
	if c.flushing {
		return false, nil
	}
	c.flushing = true
	c.flushers.Add(1)
	return true, nil
}

// drain writes until nothing waits.
func (c *tcpConn) drain() bool {
	for {
		c.mu.Lock()
		if len(c.out) == 0 {
			c.flushing = false
			ok := !c.dead
			c.mu.Unlock()
			return ok
		}
		b := c.out
		c.out, c.spare = c.spare[:0], nil
		c.mu.Unlock()

		err := c.conn.SetWriteDeadline(time.Now().Add(writeLimit))
		if err == nil {
			_, err = c.conn.Write(b)
		}
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				c.e.m.drop(dropStuck)
			}
			c.kill()
		}
		c.mu.Lock()
		if cap(b) <= restBuffer {
			c.spare = b[:0]
		}
		c.mu.Unlock()
	}
}

func (c *tcpConn) gone() <-chan struct{} { return c.done }
func (c *tcpConn) reliable() bool        { return true }
