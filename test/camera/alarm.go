package camera

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Alarm is what a device reports [GB28181-2022 A.2.5.3].
type Alarm struct {
	Channel     string    // the device itself when empty
	Priority    int       // 1 (worst) … 4; 1 when 0
	Method      int       // 1 phone, 2 device, 3 SMS, 4 GPS, 5 video, 6 fault, 7 other; 5 when 0
	Type        int       // within the method; 0: left out
	EventType   int       // of an intrusion: 1 enter, 2 leave; 0: left out
	Time        time.Time // now when zero; sent as UTC+8
	Description string
	Longitude   float64 // with Latitude; left out when both are 0
	Latitude    float64
	Notify      bool // as a NOTIFY in the subscription to alarms; else as a MESSAGE
}

// Alarm raises an alarm and returns the code of its SIP answer. The platform's Response to
// it arrives among Received. One to Notify that nobody has subscribed to, or not to its kind,
// ends with ErrNotSubscribed.
func (d *Device) Alarm(ctx context.Context, a Alarm) (code int, err error) {
	r, err := d.wait(ctx, func(done func(reply)) { d.alarm(a, done) })
	return r.code(), err
}

// alarm sends a; a guarded target is in state ALARM from then on until it is reset.
func (d *Device) alarm(a Alarm, done func(reply)) {
	orDefault(&a.Channel, d.cfg.ID)
	orDefault(&a.Priority, 1)
	orDefault(&a.Method, 5)
	if a.Time.IsZero() {
		a.Time = time.Now()
	}
	var place, kind string
	if a.Longitude != 0 || a.Latitude != 0 {
		place = tag("Longitude", decimal(a.Longitude)) + tag("Latitude", decimal(a.Latitude))
	}
	if a.EventType != 0 {
		kind = group("AlarmTypeParam", tag("EventType", strconv.Itoa(a.EventType)))
	}
	if a.Type != 0 {
		kind = group("Info", tag("AlarmType", strconv.Itoa(a.Type))+kind)
	}
	d.mu.Lock()
	guarded := d.state.target(a.Channel).Guard
	if guarded {
		d.state.target(a.Channel).Alarm = true
	}
	guarded = guarded || d.state.target(d.cfg.ID).Guard
	d.mu.Unlock()
	done = orNobody(done)
	if !guarded && d.cfg.has(AlarmOnlyGuarded) {
		done(reply{err: ErrNotGuarded})
		return
	}
	sn := strconv.Itoa(d.NextSN())
	body := frame("Notify", "Alarm", sn, a.Channel, tag("AlarmPriority", strconv.Itoa(a.Priority)),
		tag("AlarmMethod", strconv.Itoa(a.Method)), tag("AlarmTime", clockTime(a.Time)),
		tag("AlarmDescription", a.Description), place, kind)
	if !a.Notify {
		if d.cfg.has(RepeatsAlarm) {
			d.repeatAlarm(sn, d.encode(body), alarmRepeats)
		}
		d.begin(outgoing{method: "MESSAGE", kind: KindAlarm, body: d.encode(body)}, done)
		return
	}
	s := d.subscribed("Alarm")
	if s == nil || !d.wants(s, a) {
		done(reply{err: ErrNotSubscribed})
		return
	}
	d.push(s, notice{kind: KindAlarm, body: body, done: done})
}

// alarmFilter is what a SUBSCRIBE to alarms wants to hear of.
type alarmFilter struct {
	from, to int    // AlarmPriority; 0: without a bound
	methods  string // joined by "/"; "" and "0": all
}

func readAlarmFilter(r *Request) alarmFilter {
	f := alarmFilter{methods: r.Element("AlarmMethod")}
	f.from, _ = strconv.Atoi(r.Element("StartAlarmPriority")) // what is no number filters nothing
	f.to, _ = strconv.Atoi(r.Element("EndAlarmPriority"))
	return f
}

// wants tells whether s is to hear of a.
func (d *Device) wants(s *subscription, a Alarm) bool {
	d.mu.Lock()
	f := s.filter
	d.mu.Unlock()
	switch {
	case a.Priority < f.from, f.to != 0 && a.Priority > f.to:
		return false
	case f.methods == "", f.methods == "0":
		return true
	}
	return slices.Contains(strings.Split(f.methods, "/"), strconv.Itoa(a.Method))
}
