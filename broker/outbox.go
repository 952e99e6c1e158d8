package broker

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// embeddedOutbox is the embedded broker's name among the receivers of events.
const embeddedOutbox = "embedded"

// tidyInterval is how often what is too old is looked for.
const tidyInterval = time.Minute

// outbox keeps the events of one receiver in the journal until it has taken them.
type outbox struct {
	name    string
	limits  Outbox
	journal Journal
	log     *slog.Logger
	dropped *prometheus.CounterVec // by why
	grown   chan struct{}          // capacity 1: there is more in the journal
	work    chan struct{}          // capacity 1: for tidy

	mu      sync.Mutex     // guards what follows; never held across I/O
	taken   map[uint64]int // bytes of what is to be removed from the journal
	bytes   int            // in the journal, once tidy has counted
	counted bool
	last    uint64   // the newest event that was counted
	early   []stored // until tidy has counted
}

// stored is an event that has come into the journal.
type stored struct {
	seq  uint64
	size int
}

func newOutbox(name string, limits Outbox, j Journal, log *slog.Logger) *outbox {
	limits.MaxAge = cmp.Or(limits.MaxAge, defaultOutboxAge)
	limits.MaxBytes = cmp.Or(limits.MaxBytes, defaultOutboxBytes)
	return &outbox{
		name: name, limits: limits, journal: j, log: log, grown: make(chan struct{}, 1), work: make(chan struct{}, 1),
		taken: make(map[uint64]int),
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// append stores an event; done is called once it is durable.
func (o *outbox) append(event []byte, done func(error)) {
	o.journal.Append(o.name, event, func(seq uint64, err error) {
		if err == nil {
			o.add(stored{seq, len(event)})
		}
		done(err)
		signal(o.grown)
	})
}

// add counts an event that was stored, and has tidy drop some if that was too much.
func (o *outbox) add(e stored) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.counted {
		o.early = append(o.early, e)
		return
	}
	o.addLocked(e)
	if o.bytes > o.limits.MaxBytes {
		signal(o.work)
	}
}

func (o *outbox) addLocked(e stored) {
	if e.seq > o.last { // or it was seen in the journal
		o.bytes += e.size
	}
}

// drain gives all events to take, in order, now and whenever there are more, until ctx ends or
// take fails. An event leaves the journal once take has called taken. What was stored before
// begun goes out late, and says so.
func (o *outbox) drain(ctx context.Context, begun time.Time, take func(ctx context.Context, m Message, taken func()) error) error {
	last := uint64(0)
	for {
		var failed error
		err := o.journal.Each(o.name, last, func(seq uint64, raw []byte) bool {
			last = seq
			if o.isTaken(seq) {
				return true
			}
			m, err := decodeEvent(raw, begun, time.Now())
			if err != nil {
				o.log.Error("stored event skipped: it can't be read", "receiver", o.name, "seq", seq, "err", err)
				o.take(seq, len(raw))
				return true
			}
			failed = take(ctx, m, func() { o.take(seq, len(raw)) })
			return failed == nil && ctx.Err() == nil
		})
		switch {
		case failed != nil:
			return failed
		case err != nil:
			o.log.Error("events not read from the journal", "receiver", o.name, "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-o.grown:
		}
	}
}

func (o *outbox) isTaken(seq uint64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, taken := o.taken[seq]
	return taken
}

func (o *outbox) take(seq uint64, size int) {
	o.mu.Lock()
	o.taken[seq] = size
	o.mu.Unlock()
	signal(o.work)
}

// tidy removes from the journal what was taken, and the oldest of what is too old or too
// much, until ctx ends.
func (o *outbox) tidy(ctx context.Context) {
	tick := time.NewTicker(tidyInterval)
	defer tick.Stop()
	o.count(ctx)
	o.trim(time.Now())
	for {
		select {
		case <-ctx.Done():
			o.removeTaken()
			return
		case <-o.work:
			o.removeTaken()
			o.mu.Lock()
			over := o.bytes > o.limits.MaxBytes
			o.mu.Unlock()
			if over {
				o.trim(time.Now())
			}
		case now := <-tick.C:
			o.removeTaken()
			o.trim(now)
		}
	}
}

// count adds up what the run before has left, and what has come since.
func (o *outbox) count(ctx context.Context) {
	total, last := 0, uint64(0)
	err := o.journal.Each(o.name, 0, func(seq uint64, raw []byte) bool {
		total, last = total+len(raw), seq
		return ctx.Err() == nil
	})
	if err != nil {
		o.log.Error("events not counted in the journal", "receiver", o.name, "err", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes, o.last, o.counted = total, last, true
	for _, e := range o.early {
		o.addLocked(e)
	}
	o.early = nil
}

// removeTaken takes out of the journal what was taken, all of it in one go.
func (o *outbox) removeTaken() {
	o.mu.Lock()
	seqs := slices.Collect(maps.Keys(o.taken))
	o.mu.Unlock()
	if len(seqs) == 0 {
		return
	}
	if err := o.journal.Remove(o.name, seqs...); err != nil {
		o.log.Error("events stay in the journal and may be sent once more; their ids tell", "receiver", o.name, "events", len(seqs), "err", err)
		return
	}
	o.mu.Lock()
	for _, seq := range seqs {
		o.bytes -= o.taken[seq]
		delete(o.taken, seq)
	}
	o.mu.Unlock()
}

// trimPart is how many bytes of MaxBytes are freed beyond need, so that not each event trims.
const trimPart = 16

// trim drops the oldest events that are too old or too many, and tells.
func (o *outbox) trim(now time.Time) {
	o.mu.Lock()
	excess := 0
	if o.bytes > o.limits.MaxBytes {
		excess = o.bytes - o.limits.MaxBytes + o.limits.MaxBytes/trimPart
	}
	o.mu.Unlock()
	dropped := map[string]int{}
	err := o.journal.Each(o.name, 0, func(seq uint64, raw []byte) bool {
		if o.isTaken(seq) {
			return true
		}
		var e storedEvent
		old := json.Unmarshal(raw, &e) == nil && now.UnixMilli()-e.At > o.limits.MaxAge.Milliseconds()
		switch {
		case old:
			dropped["age"]++
		case excess > 0:
			dropped["size"]++
		default:
			return false
		}
		excess -= len(raw)
		o.take(seq, len(raw))
		return true
	})
	if err != nil {
		o.log.Error("events not read from the journal", "receiver", o.name, "err", err)
	}
	for why, n := range dropped {
		o.dropped.WithLabelValues(why).Add(float64(n))
		o.log.Warn("oldest stored events dropped", "receiver", o.name, "events", n, "why", why)
	}
	o.removeTaken()
}

// storedEvent is an event as the journal has it.
type storedEvent struct {
	Topic   string          `json:"topic"`
	Payload json.RawMessage `json:"payload"`
	QoS     byte            `json:"qos"`
	At      int64           `json:"at"` // Unix ms
}

// lateAfter is from which age on an event is marked as sent late.
const lateAfter = 2 * time.Second

// encodeEvent renders an event for the journal. Events are JSON.
func encodeEvent(m Message) ([]byte, error) {
	return json.Marshal(storedEvent{m.Topic, m.Payload, m.QoS, time.Now().UnixMilli()})
}

// decodeEvent reads an event back, marked with sent_at when it goes out late.
func decodeEvent(raw []byte, begun, now time.Time) (Message, error) {
	var e storedEvent
	if err := json.Unmarshal(raw, &e); err != nil {
		return Message{}, err
	}
	m := Message{Topic: e.Topic, Payload: e.Payload, QoS: e.QoS, Event: true}
	late := e.At < begun.UnixMilli() || now.UnixMilli()-e.At > lateAfter.Milliseconds()
	if late && bytes.HasPrefix(m.Payload, []byte("{")) && len(m.Payload) > 2 {
		mark := strconv.AppendInt([]byte(`{"sent_at":`), now.UnixMilli(), 10)
		m.Payload = append(append(mark, ','), m.Payload[1:]...)
	}
	return m, nil
}
