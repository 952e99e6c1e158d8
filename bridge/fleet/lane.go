package fleet

import (
	"sync"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// The bounds of what waits to be decoded. A device that floods fills its own share first.
const (
	laneCount = 16
	laneDepth = 1024
	deviceMax = 64
)

// lane decodes what some of the devices say, in order. Its goroutine belongs to Run.
type lane struct {
	mu     sync.Mutex // guards jobs and closed
	jobs   []job
	closed bool
	wake   chan struct{} // capacity 1: there are jobs, or the end
}

// job is a message on its way through a lane.
type job struct {
	id      gb28181.ID
	pending *sip.Pending
	key     uint64
	at      time.Time
	queued  interface{ Add(int32) int32 }
}

// enqueue gives r to its device's lane, or says whose queue is full.
func (f *Fleet) enqueue(id gb28181.ID, r *sip.Request, key uint64, now time.Time) (full string) {
	sh := f.shardOf(id)
	sh.mu.RLock()
	s := sh.sessions.get(id)
	sh.mu.RUnlock()
	if s.queued.Add(1) > deviceMax {
		s.queued.Add(-1)
		return droppedDevice
	}
	l := &f.lanes[(uint(id[19])+uint(id[18])*10+uint(id[17])*100)%laneCount]
	if !l.push(job{id: id, pending: r.Keep(), key: key, at: now, queued: &s.queued}) {
		s.queued.Add(-1)
		return droppedLane
	}
	return ""
}

func (l *lane) push(j job) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.jobs) >= laneDepth {
		return false
	}
	l.jobs = append(l.jobs, j)
	l.signal()
	return true
}

func (l *lane) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// close lets nothing more in; what waits is still done.
func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.signal()
}

// waiting counts what waits in all lanes.
func (f *Fleet) waiting() (n int) {
	for i := range f.lanes {
		l := &f.lanes[i]
		l.mu.Lock()
		n += len(l.jobs)
		l.mu.Unlock()
	}
	return n
}

// work does what comes into l until it is closed and empty.
func (f *Fleet) work(l *lane) {
	for {
		l.mu.Lock()
		jobs, closed := l.jobs, l.closed
		l.jobs = nil
		l.mu.Unlock()
		for _, j := range jobs {
			f.do(j)
			j.queued.Add(-1)
		}
		if len(jobs) > 0 {
			continue
		}
		if closed {
			return
		}
		<-l.wake
	}
}

// do decodes a message, answers it, and tells what it says.
func (f *Fleet) do(j job) {
	r := j.pending.Request()
	m, err := gb28181.Decode(r.Body)
	if r.Method == "NOTIFY" {
		m.AsNotify()
	}
	in := &Inbound{Device: j.id, Method: r.Method, Message: m, Headers: r.Extensions(), Err: err, At: j.at}
	answer := func(code int) {
		if code >= 500 {
			f.recent.Forget(j.key)
		} else {
			f.recent.Done(j.key, code)
		}
		a := sip.Answer{Code: code}
		if code == 503 {
			a.RetryAfter = retryBusy
		}
		j.pending.Answer(a)
	}
	switch {
	case err != nil:
		f.metrics.refusals.WithLabelValues(refusedUnreadable).Inc()
		answer(400)
	case onceOnly(m):
		var once sync.Once
		in.answer = func(code int) { once.Do(func() { answer(code) }) }
	default:
		answer(200)
	}
	if k, ok := m.Body.(*gb28181.Keepalive); ok && err == nil {
		f.troubled.note(j.id, k)
	}
	sh := f.shardOf(j.id)
	sh.mu.Lock()
	var none gb28181.Encoding
	if s := sh.sessions.get(j.id); s != nil && err == nil && m.Encoding != none && m.Encoding != s.encoding {
		s.encoding = m.Encoding
		sh.markLocked(s)
	}
	sh.facts = append(sh.facts, func() { f.sink.Message(in) })
	sh.unlockAndTell()
}
