package shadowsync

import (
	"sync"
	"time"
)

// Bounds of what waits.
const (
	maxClientJobs   = 4096    // requests of clients; beyond it they are answered with 429
	maxOwnJobs      = 1 << 16 // the program's own; beyond it ErrBusy: what is refused is owed (Debts)
	maxMerged       = 64      // patches of one waiting update
	maxInFlight     = 10      // requests of one connection [device-shadow 8]
	maxInFlightText = "10"
)

// job is one request on its way from the queue through the writer to the emitter.
type job struct {
	op  Op
	key Key

	// Of a client.
	client  bool
	request request
	refused *Error // known before the document is looked at
	conn    string
	payload []byte // of a request for history
	reply   func(payload []byte, code int)

	// Of the program.
	makes          []func() map[string]any // the patches, made when the writer comes to it
	patches        []map[string]any
	dones          []func(Document, error)
	deleted        func(error)
	flushed        chan struct{}
	owed, caughtUp bool // pays what was owed; at is since when

	// Found by the writer.
	at              time.Time
	before, after   *shadow // after is nil when nothing was written
	reportedChanged bool
	denied          *Error // what the document says against it
	failure         error  // of the store or of a limit; for the program's own jobs
	held            bool   // it failed, and is tried again
}

// queue holds what waits for the writer, in order and within bounds.
type queue struct {
	wake chan struct{} // holds a token when jobs has grown or closed was set
	most int           // of the program's own jobs

	mu       sync.Mutex // guards all below; never held across I/O or a callback
	jobs     []*job
	clients  int            // of jobs
	inFlight map[string]int // begun and not answered, by connection
	open     map[Key]*job   // waiting reports that take further patches
	closed   bool
	added    uint64 // jobs so far
	worked   uint64 // jobs that the writer has applied
	busy     uint64 // added when a report was refused last
}

func newQueue() *queue {
	return &queue{wake: make(chan struct{}, 1), most: maxOwnJobs, inFlight: make(map[string]int), open: make(map[Key]*job)}
}

// request adds a client's job, or says why it is not taken.
func (q *queue) request(j *job) *Error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return errInternal
	case j.conn != "" && q.inFlight[j.conn] >= maxInFlight:
		return &Error{429, "Too many requests: " + maxInFlightText + " shadow requests of this connection are not answered yet; wait for answers"}
	case q.clients >= maxClientJobs:
		return &Error{429, "Too many requests: the service has 4096 waiting; try again in a moment"}
	}
	if j.conn != "" {
		q.inFlight[j.conn]++
	}
	q.clients++
	if j.op != OpGet {
		delete(q.open, j.key) // a later patch is later than this request
	}
	q.add(j)
	return nil
}

// answered counts one request of a connection as answered.
func (q *queue) answered(conn string) {
	if conn == "" {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.inFlight[conn]--; q.inFlight[conn] <= 0 {
		delete(q.inFlight, conn)
	}
}

// report adds a patch: to the update that waits for this shadow, or as a new one.
func (q *queue) report(k Key, patch func() map[string]any, sealed bool, done func(Document, error)) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrStopped
	}
	j := q.open[k]
	if j == nil || sealed {
		if len(q.jobs)-q.clients >= q.most {
			q.busy = q.added
			return ErrBusy
		}
		j = &job{op: OpUpdate, key: k}
		q.add(j)
	}
	j.makes = append(j.makes, patch)
	if done != nil {
		j.dones = append(j.dones, done)
	}
	if sealed || len(j.makes) >= maxMerged {
		delete(q.open, k)
	} else {
		q.open[k] = j
	}
	return nil
}

// own adds another job of the program.
func (q *queue) own(j *job) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return ErrStopped
	case len(q.jobs)-q.clients >= q.most:
		return ErrBusy
	}
	delete(q.open, j.key)
	q.add(j)
	return nil
}

func (q *queue) add(j *job) {
	q.jobs = append(q.jobs, j)
	q.added++
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take takes up to most jobs.
func (q *queue) take(most int) []*job {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(most, len(q.jobs))
	taken := q.jobs[:n:n]
	q.jobs = q.jobs[n:]
	for _, j := range taken {
		if j.client {
			q.clients--
		}
		if q.open[j.key] == j {
			delete(q.open, j.key)
		}
	}
	if len(q.jobs) == 0 {
		q.jobs = nil
	} else {
		q.signal()
	}
	return taken
}

// done counts jobs that were applied.
func (q *queue) done(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.worked += uint64(n)
}

// caughtUp tells that whatever waited when a report was refused last has been applied.
func (q *queue) caughtUp() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.worked >= q.busy
}

// close takes nothing any more; what waits stays.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

func (q *queue) depth() float64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return float64(len(q.jobs))
}
