package test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

func TestPositionsComeAtTheSubscribedInterval(t *testing.T) {
	p := start(t, baseConfig().with("devices.subscribe.position", "1s"))
	flat := newCamera(t, p.udp, 1, nil)
	list := newCamera(t, p.tcp, 2, func(c *camera.Config) {
		c.GBVersion = "3.0"
		c.Places = func(now time.Time) []camera.Place {
			return []camera.Place{{Channel: channelID(2, 0), Longitude: 117.25, Latitude: 31.5, Speed: 36.5, Direction: 270, Altitude: 12, Time: now},
				{Channel: channelID(2, 1), Longitude: 117.5, Latitude: 31.75, Time: now}}
		}
	})
	m := connect(t, p.mqtt, "gb28181/+/event/position", "gb28181/+/+/event/position")
	for d, topics := range map[*camera.Device][]string{
		flat: {"gb28181/" + flat.ID() + "/event/position"},
		list: {"gb28181/" + list.ID() + "/" + channelID(2, 0) + "/event/position", "gb28181/" + list.ID() + "/" + channelID(2, 1) + "/event/position"},
	} {
		register(t, d)
		if s := subscribed(t, d, "MobilePosition"); s.Interval != time.Second {
			t.Errorf("%s is to report every %v, want 1 s", d.ID(), s.Interval)
		}
		for _, topic := range topics {
			mark := 0
			for range 3 { // the first at once, two more at the interval
				m.wait(mark, "position on "+topic, func(msg message) bool { mark++; return msg.topic == topic })
			}
			all := m.messages(topic)
			taken := func(msg message) time.Time {
				e := msg.json(t)
				at, ok := e["capture_time"].(float64)
				if !ok {
					at, _ = e["time"].(float64)
				}
				return time.UnixMilli(int64(at))
			}
			if apart := taken(all[2]).Sub(taken(all[0])); apart < 2*time.Second {
				t.Errorf("three positions on %s were taken within %v, want one a second", topic, apart)
			}
		}
	}
	e := m.messages("gb28181/" + list.ID() + "/" + channelID(2, 0) + "/event/position")[0].json(t)
	for key, want := range map[string]any{"longitude": 117.25, "latitude": 31.5, "speed": 36.5, "direction": 270.0, "altitude": 12.0,
		"device": list.ID(), "channel": channelID(2, 0)} {
		if e[key] != want {
			t.Errorf("the position's %s is %v, want %v", key, e[key], want)
		}
	}
	if at, ok := e["capture_time"].(float64); !ok || time.Since(time.UnixMilli(int64(at))).Abs() > time.Hour {
		t.Errorf("it was taken at %v", e["capture_time"])
	}
	m.reported(list.ID(), channelID(2, 1), "its position", func(r map[string]any) bool { return at(r, "position.longitude") == 117.5 })
}

// Each position is an event; the shadow is written once a second at most.
func TestManyPositionsAreEventsAndFewShadowUpdates(t *testing.T) {
	p := start(t, baseConfig().with("devices.subscribe.position", "1h").with("devices.on_register", []string{}))
	d := newCamera(t, p.udp, 1, nil)
	topic := "gb28181/" + d.ID()
	m := connect(t, p.mqtt, topic+"/#")
	register(t, d)
	subscribed(t, d, "MobilePosition")
	m.wait(0, "the first position", on(topic+"/event/position"))
	const many = 100
	begin, mark := time.Now(), m.mark()
	for i := range many {
		if code, err := d.Position(within(t, 10*time.Second), camera.Place{Longitude: 117 + float64(i)/1000, Latitude: 31}); code != 200 || err != nil {
			t.Fatalf("position %d got %d, %v", i, code, err)
		}
	}
	last := m.wait(mark, "the last position", func(msg message) bool {
		return msg.topic == topic+"/event/position" && at(msg.json(t), "longitude") == 117+float64(many-1)/1000
	})
	took := last.at.Sub(begin)
	if got := len(m.messages(topic + "/event/position")); got != many+1 {
		t.Errorf("%d events, want one of each of %d positions", got, many+1)
	}
	written := map[any]bool{}
	for _, msg := range m.messages(topic + "/state") {
		var state map[string]any
		if err := json.Unmarshal(msg.payload, &state); err != nil {
			t.Fatal(err)
		}
		if longitude := at(state, "position.longitude"); longitude != nil {
			written[longitude] = true
		}
	}
	if most := int(took.Seconds()) + 2; len(written) > most {
		t.Errorf("the shadow had %d positions within %v, want %d at most", len(written), took, most)
	}
}

func TestPTZPositionsAreEventsWhereTheyAreSubscribedTo(t *testing.T) {
	overBoth(t, func(t *testing.T, p *program, server string) {
		d := newCamera(t, server, 1, func(c *camera.Config) { c.GBVersion = "3.0" })
		topic, channel := "gb28181/"+d.ID()+"/", channelID(1, 0)
		m := connect(t, p.mqtt, topic+"#")
		register(t, d)
		m.wait(0, "channel", on(topic+channel+"/presence", "online"))
		m.publish(topic+"cmd/subscribe", map[string]any{"kind": "ptz_position", "expires": 600, "clientToken": "s"})
		m.wait(0, "accepted", token(topic+"cmd/subscribe/accepted", "s"))
		subscribed(t, d, "PTZPosition")
		m.upheld(d.ID(), "ptz_position", "active")
		mark := m.mark()
		m.publish(topic+channel+"/cmd/ptz_precise", map[string]any{"pan": 120.5, "tilt": 15, "zoom": 4})
		e := m.wait(mark, "PTZ position", on(topic+channel+"/event/ptz")).json(t)
		if e["pan"] != 120.5 || e["tilt"] != 15.0 || e["zoom"] != 4.0 || e["channel"] != channel {
			t.Errorf("the event is %v", e)
		}
		m.reported(d.ID(), channel, "where it looks", func(r map[string]any) bool { return at(r, "ptz.pan") == 120.5 && at(r, "ptz.zoom") == 4.0 })
	}, nil)
}

// alarms are the types of each method, and their words [GB28181-2022 A.2.5.3].
var alarms = map[int][]string{
	1: {""}, 2: {"", "video_loss", "tamper", "disk_full", "high_temperature", "low_temperature"}, 3: {""}, 4: {""},
	5: {"", "manual", "motion", "left_object", "removed_object", "tripwire", "intrusion", "wrong_direction", "loitering", "flow_count",
		"density", "video_abnormal", "fast_motion", "covered"},
	6: {"", "disk_fault", "fan_fault"}, 7: {""},
}

func TestAlarmsOfEveryMethodAndTypeAreEventsByMessageAndInTheSubscription(t *testing.T) {
	overBoth(t, func(t *testing.T, p *program, server string) {
		d := newCamera(t, server, 1, nil)
		topic, channel := "gb28181/"+d.ID()+"/", channelID(1, 0)
		m := connect(t, p.mqtt, topic+"#")
		register(t, d)
		m.wait(0, "channel", on(topic+channel+"/presence", "online"))
		subscribed(t, d, "Alarm")
		when := time.Date(2026, 9, 23, 0, 0, 0, 0, time.UTC)
		for _, notify := range []bool{false, true} {
			for method, types := range alarms {
				for kind, word := range types {
					mark := m.mark()
					when = when.Add(time.Second) // each is an alarm of its own
					a := camera.Alarm{Channel: channel, Notify: notify, Priority: 1 + kind%4, Method: method, Type: kind, Time: when, Longitude: 117.5, Latitude: 31.5,
						Description: fmt.Sprintf("警 %d.%d", method, kind)}
					if word == "intrusion" {
						a.EventType = 2
					}
					if code, err := d.Alarm(within(t, 10*time.Second), a); code != 200 || err != nil {
						t.Fatalf("%+v got %d, %v", a, code, err)
					}
					e := m.wait(mark, a.Description, on(topic+channel+"/event/alarm")).json(t)
					want := map[string]any{"alarm_method": float64(method), "alarm_priority": float64(a.Priority), "alarm_description": a.Description,
						"alarm_time": float64(when.UnixMilli()), "longitude": 117.5, "latitude": 31.5, "channel": channel, "device": d.ID()}
					if kind > 0 {
						want["alarm_type"], want["alarm_type_name"] = float64(kind), word
					}
					if a.EventType > 0 {
						want["event_type"], want["event_type_name"] = 2.0, "leave"
					}
					for key, value := range want {
						if e[key] != value {
							t.Errorf("%s: %s is %v, want %v", a.Description, key, e[key], value)
						}
					}
				}
			}
		}
		// Each is confirmed to its device by a Response [GB28181-2022 A.2.6.2].
		obeyed(t, d, "a confirmation", func(r *camera.Request) bool {
			return r.Root == "Response" && r.CmdType == "Alarm" && r.DeviceID == channel
		})
	}, nil)
}
