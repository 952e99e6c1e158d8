package broker

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strconv"
	"time"
)

// embeddedOutbox is the embedded broker's name among the receivers of events.
const embeddedOutbox = "embedded"

// outbox keeps the events of one receiver in the journal until it has taken them.
type outbox struct {
	name    string
	journal Journal
	log     *slog.Logger
	grown   chan struct{} // capacity 1: there is more in the journal
}

func newOutbox(name string, j Journal, log *slog.Logger) *outbox {
	return &outbox{name: name, journal: j, log: log, grown: make(chan struct{}, 1)}
}

// append stores an event; done is called once it is durable.
func (o *outbox) append(event []byte, done func(error)) {
	o.journal.Append(o.name, event, func(_ uint64, err error) {
		done(err)
		select {
		case o.grown <- struct{}{}:
		default:
		}
	})
}

// drain gives all events to take, in order, now and whenever there are more, until ctx ends or
// take fails. An event leaves the journal once take has called taken.
func (o *outbox) drain(ctx context.Context, take func(ctx context.Context, m Message, taken func()) error) error {
	last := uint64(0)
	for {
		var failed error
		err := o.journal.Each(o.name, last, func(seq uint64, raw []byte) bool {
			last = seq
			m, err := decodeEvent(raw, time.Now())
			if err != nil {
				o.log.Error("stored event skipped: it can't be read", "receiver", o.name, "seq", seq, "err", err)
				o.remove(seq)
				return true
			}
			failed = take(ctx, m, func() { o.remove(seq) })
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

func (o *outbox) remove(seq uint64) {
	if err := o.journal.Remove(o.name, seq); err != nil {
		o.log.Error("event stays in the journal and will be sent once more; its id tells", "receiver", o.name, "seq", seq, "err", err)
	}
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
func decodeEvent(raw []byte, now time.Time) (Message, error) {
	var e storedEvent
	if err := json.Unmarshal(raw, &e); err != nil {
		return Message{}, err
	}
	m := Message{Topic: e.Topic, Payload: e.Payload, QoS: e.QoS, Event: true}
	if now.UnixMilli()-e.At > lateAfter.Milliseconds() && bytes.HasPrefix(m.Payload, []byte("{")) && len(m.Payload) > 2 {
		mark := strconv.AppendInt([]byte(`{"sent_at":`), now.UnixMilli(), 10)
		m.Payload = append(append(mark, ','), m.Payload[1:]...)
	}
	return m, nil
}
