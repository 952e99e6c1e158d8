package bridge

import (
	"encoding/json"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/gb2mqtt/gb2mqtt/broker"
)

// event is one thing that happened to a device or a channel.
type event struct {
	kind    string // the last level of its topic: "alarm", "presence"
	device  string
	channel string // "" when it is the device's own
	at      time.Time
	fields  map[string]any
}

// eventNumber tells events of one device and one millisecond apart.
var eventNumber atomic.Uint64

// message renders e. Its id stays the same however often it is sent, over restarts too, so
// that a reader can drop what it has seen: device, milliseconds, number.
func (t topics) message(e event) broker.Message {
	body := make(map[string]any, len(e.fields)+4)
	maps.Copy(body, e.fields)
	ts := e.at.UnixMilli()
	body["id"] = fmt.Sprintf("%s-%d-%d", e.device, ts, eventNumber.Add(1))
	body["ts"] = ts
	body["device"] = e.device
	if e.channel != "" {
		body["channel"] = e.channel
	}
	return broker.Message{
		Topic:   t.of(e.device, e.channel, "event/"+e.kind),
		Payload: mustJSON(body), QoS: 1,
	}
}

// mustJSON renders what was built from JSON types by us; that it can't fail is ours to keep.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("bridge: %T is not JSON: %v", v, err))
	}
	return b
}
