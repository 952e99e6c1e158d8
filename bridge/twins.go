package bridge

import (
	"net/http"
	"sync"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// The bounds of what is remembered of alarms.
const (
	twinWindow = 10 * time.Second // between an alarm's MESSAGE and its NOTIFY
	twinsMost  = 64               // alarms of one device; the oldest go first
)

// twins knows the alarms that came lately, so that one that its device sends both by MESSAGE and
// by NOTIFY, as some with a subscription do, is one event. Of each alarm as many events come as
// of the method that brought it more often: two equal MESSAGEs are two alarms.
type twins struct {
	mu      sync.Mutex // guards devices, and what it holds
	devices map[gb28181.ID][]*twin
}

func newTwins() *twins { return &twins{devices: make(map[gb28181.ID][]*twin)} }

// alarmKey is what tells alarms of one device apart, in its own words.
type alarmKey struct {
	subject, time          string
	method, kind, priority int
}

// twin is one alarm that became an event.
type twin struct {
	key    alarmKey
	method string // SIP method that brought it
	at     time.Time
	paired bool              // its other half has come
	code   int               // of its answer; 0: it is being stored
	half   *fleet.Inbound    // the other half, which waits for that answer
	then   func(stored bool) // of the other half
}

func keyOfAlarm(in *fleet.Inbound, a *gb28181.Alarm) alarmKey {
	return alarmKey{subject: in.Message.DeviceID, time: a.Time, method: a.Method, kind: a.Type, priority: a.Priority}
}

// first takes an alarm in. It is nil for the other half of one that came before, which is answered
// as that one is: then is told once it is stored.
func (t *twins) first(in *fleet.Inbound, a *gb28181.Alarm, then func(stored bool)) *twin {
	key := keyOfAlarm(in, a)
	t.mu.Lock()
	list := t.devices[in.Device]
	for len(list) > 0 && (in.At.Sub(list[0].at) > twinWindow || len(list) >= twinsMost) {
		list = list[1:]
	}
	for _, other := range list {
		if other.key != key || other.paired || other.method == in.Method {
			continue
		}
		other.paired = true
		code := other.code
		if code == 0 {
			other.half, other.then = in, then
		}
		t.devices[in.Device] = list
		t.mu.Unlock()
		if code != 0 {
			in.Answer(code)
			then(code == http.StatusOK)
		}
		return nil
	}
	one := &twin{key: key, method: in.Method, at: in.At}
	t.devices[in.Device] = append(list, one)
	t.mu.Unlock()
	return one
}

// answered tells how the event of an alarm went. One that was not stored is forgotten, so that
// its repetition is tried anew, by whichever method.
func (t *twins) answered(device gb28181.ID, one *twin, code int) {
	t.mu.Lock()
	one.code = code
	half, then := one.half, one.then
	one.half, one.then = nil, nil
	if code != http.StatusOK {
		one.paired = true
	}
	t.mu.Unlock()
	if half != nil {
		half.Answer(code)
		then(code == http.StatusOK)
	}
}

// sweep forgets what is over.
func (t *twins) sweep(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for device, list := range t.devices {
		if now.Sub(list[len(list)-1].at) > twinWindow {
			delete(t.devices, device)
		}
	}
}
