package broker

import (
	"errors"
	"net"
	"sync"
	"time"
)

// lastWords is how long a connection that is closed may take to send what waits.
const lastWords = time.Second

var errSlow = errors.New("the client does not read what it is sent")

// queuedConn is a client's connection whose Write never waits for the client: a goroutine of
// its own sends what was written. Mochi writes under the client's lock, without a deadline,
// so that one client that stops reading would hold up all who publish to it.
type queuedConn struct {
	net.Conn
	limit   int // bytes that may wait
	dropped func()
	slow    func()

	mu      sync.Mutex // guards what follows; never held across I/O
	waiting []byte
	sending int // bytes of the write under way
	closed  bool
	err     error
	wake    chan struct{} // capacity 1
	done    chan struct{} // closed when the writer has ended and the connection with it
	session *session      // goes on when what waits has become less
	holdAck bool          // the next PUBACK waits for the answer
	held    func(*queuedConn)
}

// attach names the session that is told when there is room again.
func (q *queuedConn) attach(ss *session) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.session = ss
}

func newQueuedConn(c net.Conn, limit int, dropped, slow func(), held func(*queuedConn)) *queuedConn {
	q := &queuedConn{Conn: c, limit: limit, dropped: dropped, slow: slow, held: held, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go q.send()
	return q
}

// Write takes one MQTT packet. Beyond the limit a QoS 0 publication is dropped; anything else
// must not be lost, so the client is: it finds its QoS 1 messages in its session.
func (q *queuedConn) Write(b []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.err != nil:
		return 0, q.err
	case q.closed:
		return 0, net.ErrClosed
	case len(q.waiting)+q.sending+len(b) > q.limit:
		if b[0]>>4 == 3 && b[0]&0x06 == 0 { // PUBLISH, QoS 0 [MQTT5 3.3.1]
			q.dropped()
			return len(b), nil
		}
		q.giveUpLocked()
		return 0, errSlow
	}
	q.waiting = append(q.waiting, b...)
	if q.holdAck && b[0]>>4 == 4 { // PUBACK [MQTT5 3.4.1]
		q.holdAck = false
		q.held(q)
		return len(b), nil
	}
	q.signal()
	return len(b), nil
}

// holdNextAck lets the next PUBACK wait for what is written next, or until held's owner calls
// flush.
func (q *queuedConn) holdNextAck() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.holdAck = true
}

// flush sends what waits, if anything.
func (q *queuedConn) flush() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) > 0 {
		q.signal()
	}
}

// giveUp ends the connection of a client that does not read.
func (q *queuedConn) giveUp() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.giveUpLocked()
	}
}

func (q *queuedConn) giveUpLocked() {
	q.err, q.closed, q.waiting = errSlow, true, nil
	q.slow()
	go q.Conn.Close() // unblocks the writer and the reader; may wait for a TLS alert
	q.signal()
}

func (q *queuedConn) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// send writes what waits, all of it at once, until the connection ends.
func (q *queuedConn) send() {
	defer close(q.done)
	var spare []byte
	for range q.wake {
		for {
			q.mu.Lock()
			out := q.waiting
			q.waiting, q.sending = spare[:0], len(out)
			closed, session := q.closed, q.session
			q.mu.Unlock()
			if len(out) == 0 {
				if closed {
					q.Conn.Close()
					return
				}
				spare = out
				if session == nil || !session.pull(q) {
					break
				}
				continue
			}
			_, err := q.Conn.Write(out)
			q.mu.Lock()
			q.sending = 0
			if err != nil {
				q.err, q.closed, q.waiting = err, true, nil
			}
			session = q.session
			q.mu.Unlock()
			if session != nil {
				session.drained()
			}
			if spare = out; cap(spare) > 64<<10 {
				spare = nil // a burst is no reason to keep its memory
			}
		}
	}
}

// Close sends what waits, for at most lastWords, and ends the connection. It does not wait.
func (q *queuedConn) Close() error {
	q.mu.Lock()
	already := q.closed
	q.closed = true
	q.mu.Unlock()
	if already {
		return nil
	}
	now := time.Now()
	err := errors.Join(q.Conn.SetReadDeadline(now), q.Conn.SetWriteDeadline(now.Add(lastWords)))
	q.signal()
	return err
}

// pending is how many bytes have not been handed to the system yet.
func (q *queuedConn) pending() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) + q.sending
}
