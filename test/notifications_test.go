package test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// notification is what a device sends by itself, and the event that it becomes.
type notification struct {
	cmdType, body string
	event         string // topic below gb28181/D/; %C is the channel
	want          map[string]any
}

var notifications = []notification{
	{"MediaStatus", "<NotifyType>121</NotifyType>", "event/media_status", map[string]any{"notify_type": 121.0, "notify_type_name": "file_finished"}},
	{"UploadSnapShotFinished", "<SessionID>5f2b1c1e-8b9a-4c7d-9a51-3f6d2e1c0b99</SessionID><SnapShotList><SnapShotFileID>1</SnapShotFileID><SnapShotFileID>2</SnapShotFileID></SnapShotList>",
		"event/snapshot", map[string]any{"session_id": "5f2b1c1e-8b9a-4c7d-9a51-3f6d2e1c0b99", "snap_shot_file_ids.0": "1", "snap_shot_file_ids.1": "2"}},
	{"DeviceUpgradeResult", "<SessionID>s</SessionID><UpgradeResult>ERROR</UpgradeResult><Firmware>V1</Firmware><UpgradeFailedReason>02</UpgradeFailedReason>",
		"event/upgrade", map[string]any{"upgrade_result": "ERROR", "firmware": "V1", "upgrade_failed_reason": 2.0, "upgrade_failed_reason_name": "broken_package"}},
	{"VideoUploadNotify", "<Time>2026-09-23T08:09:10</Time><Longitude>117.5</Longitude><Latitude>31.25</Latitude>", "event/stream",
		map[string]any{"time": 1790122150000.0, "longitude": 117.5, "latitude": 31.25}},
	{"PTZPosition", "<Pan>120.5</Pan><Tilt>-3</Tilt><Zoom>4</Zoom>", "event/ptz", map[string]any{"pan": 120.5, "tilt": -3.0, "zoom": 4.0}},
	{"AcmeTemperature", "<Celsius>36.6</Celsius>", "event/unknown", map[string]any{"cmd_type": "AcmeTemperature", "Celsius": "36.6"}},
	{"MobilePosition", "<Time>2026-09-23T08:09:10</Time><Longitude>116.3</Longitude><Latitude>39.9</Latitude><Speed>36.5</Speed>",
		"event/position", map[string]any{"time": 1790122150000.0, "longitude": 116.3, "latitude": 39.9, "speed": 36.5}},
	{"MobilePosition", "<Time>2026-09-23T08:09:10</Time><SumNum>1</SumNum><DeviceList Num=\"1\"><Item><DeviceID>%C</DeviceID><Longitude>117.1</Longitude><Latitude>31.2</Latitude></Item></DeviceList>",
		"%C/event/position", map[string]any{"longitude": 117.1, "latitude": 31.2, "channel": "%C"}},
}

// replaced puts the channel in where text names it.
func replaced(text, channel string) string { return strings.ReplaceAll(text, "%C", channel) }

// element is at, with whole numbers for the places of an array.
func element(v any, path string) any {
	for key := range strings.SplitSeq(path, ".") {
		if list, ok := v.([]any); ok {
			n, err := strconv.Atoi(key)
			if err != nil || n >= len(list) {
				return nil
			}
			v = list[n]
			continue
		}
		v = at(v, key)
	}
	return v
}

func TestEveryNotificationIsAnEvent(t *testing.T) {
	p := start(t, baseConfig())
	d := newCamera(t, p.udp, 1, nil)
	channel := channelID(1, 0)
	topic := "gb28181/" + d.ID() + "/"
	m := connect(t, p.mqtt, topic+"#")
	register(t, d)
	m.wait(0, "channel", on(topic+channel+"/presence", "online"))
	for _, n := range notifications {
		mark := m.mark()
		body := fmt.Sprintf("<Notify><CmdType>%s</CmdType><SN>%d</SN><DeviceID>%s</DeviceID>%s</Notify>", n.cmdType, d.NextSN(), d.ID(), n.body)
		if code, err := d.SendXML(within(t, 5*time.Second), replaced(body, channel)); err != nil || code != 200 {
			t.Fatalf("%s got %d, %v", n.cmdType, code, err)
		}
		event := m.wait(mark, n.cmdType, on(topic+replaced(n.event, channel))).json(t)
		for path, want := range n.want {
			if s, ok := want.(string); ok {
				want = replaced(s, channel)
			}
			if got := element(event, path); got != want {
				t.Errorf("%s: %s is %v, want %v", n.cmdType, path, got, want)
			}
		}
		if event["id"] == nil || event["ts"] == nil || event["device"] != d.ID() {
			t.Errorf("%s: the event is %v", n.cmdType, event)
		}
	}
	m.reported(d.ID(), channel, "its last position", func(r map[string]any) bool { return at(r, "position.longitude") == 117.1 })
}

func TestAnAlarmUnderGuardIsShownUntilItIsReset(t *testing.T) {
	p := start(t, baseConfig())
	d := newCamera(t, p.udp, 1, nil)
	channel := channelID(1, 0)
	topic := "gb28181/" + d.ID() + "/"
	m := connect(t, p.mqtt, topic+"#")
	register(t, d)
	m.wait(0, "channel", on(topic+channel+"/presence", "online"))
	m.publish(topic+"cmd/guard", map[string]any{"on": true})
	m.reported(d.ID(), "", "guard on", func(r map[string]any) bool { return r["guard"] == "on" })
	if code, err := d.Alarm(within(t, 5*time.Second), camera.Alarm{Channel: channel, Method: 5, Type: 2}); err != nil || code != 200 {
		t.Fatalf("alarm got %d, %v", code, err)
	}
	m.reported(d.ID(), "", "the guard's alarm", func(r map[string]any) bool { return r["guard_alarm"] == true })
	m.reported(d.ID(), channel, "the last alarm", func(r map[string]any) bool { return at(r, "alarm.alarm_type_name") == "motion" })
	m.publish(topic+"cmd/alarm_reset", map[string]any{})
	m.reported(d.ID(), "", "no alarm", func(r map[string]any) bool { return r["guard_alarm"] == false && r["guard"] == "on" })
}

func TestRecordingAndConfigurationTellTheirChanges(t *testing.T) {
	p := start(t, baseConfig())
	d := newCamera(t, p.udp, 1, nil)
	channel := channelID(1, 0)
	topic := "gb28181/" + d.ID() + "/"
	m := connect(t, p.mqtt, topic+"#")
	register(t, d)
	m.wait(0, "channel", on(topic+channel+"/presence", "online"))
	for _, recording := range []bool{true, false} {
		mark := m.mark()
		m.publish(topic+channel+"/cmd/record", map[string]any{"on": recording})
		if e := m.wait(mark, "record event", on(topic+channel+"/event/record")).json(t); e["recording"] != recording {
			t.Errorf("the event is %v, want recording %v", e, recording)
		}
		m.reported(d.ID(), channel, "recording", func(r map[string]any) bool { return r["recording"] == recording })
	}
	m.publish(topic+"cmd/config_get", map[string]any{"types": []string{"basic"}})
	if e := m.wait(0, "config event", on(topic+"event/config")).json(t); at(e, "basic.heart_beat_count") == nil {
		t.Errorf("the event is %v", e)
	}
	m.reported(d.ID(), "", "the configuration", func(r map[string]any) bool { return at(r, "config.basic.name") != nil })
	m.publish(topic+"cmd/config_get", map[string]any{"types": []string{"basic"}, "clientToken": "again"})
	m.wait(0, "the same again", token(topic+"cmd/config_get/accepted", "again"))
	if n := len(m.messages(topic + "event/config")); n != 1 {
		t.Errorf("%d events for one configuration, want 1", n)
	}
}

// Hikvision recorders break their answer off over long spans: what came whole counts.
func TestAListThatBreaksOffIsPartial(t *testing.T) {
	p := start(t, baseConfig())
	channel := channelID(1, 0)
	asked := make(chan string, 4)
	d := newCamera(t, p.udp, 1, func(c *camera.Config) {
		c.OnRequest = func(r *camera.Request) bool {
			if r.CmdType != "RecordInfo" {
				return false
			}
			r.Answer(200)
			asked <- r.SN
			return true
		}
	})
	topic := "gb28181/" + d.ID() + "/"
	m := connect(t, p.mqtt, topic+"#")
	register(t, d)
	m.wait(0, "channel", on(topic+channel+"/presence", "online"))
	m.publish(topic+channel+"/cmd/records", map[string]any{"start": "2026-09-23T00:00:00", "end": "2026-09-24T00:00:00"})
	item := "<Item><DeviceID>" + channel + "</DeviceID><StartTime>2026-09-23T0%d:00:00</StartTime><EndTime>2026-09-23T09:00:00</EndTime></Item>"
	body := fmt.Sprintf("<Response><CmdType>RecordInfo</CmdType><SN>%s</SN><DeviceID>%s</DeviceID><SumNum>3</SumNum><RecordList Num=\"3\">", <-asked, channel) +
		fmt.Sprintf(item, 1) + fmt.Sprintf(item, 2) + "<Item><DeviceID>3402"
	if code, err := d.SendXML(within(t, 5*time.Second), body); err != nil || code != 400 {
		t.Errorf("the broken packet got %d, %v; want 400", code, err)
	}
	m.wait(0, "unknown event", on(topic+"event/unknown"))
	result := m.waitFor(0, 15*time.Second, "accepted", on(topic+channel+"/cmd/records/accepted")).json(t)
	records, _ := at(result, "result.records").([]any)
	if len(records) != 2 || at(result, "result.partial") != true || at(result, "result.got") != 2.0 || at(result, "result.sum_num") != 3.0 {
		t.Errorf("got %v, want two of three records", result)
	}
}

func TestWhatAKeepaliveSaysIsWrongIsShownUntilItIsOver(t *testing.T) {
	overBoth(t, func(t *testing.T, p *program, server string) {
		d := newCamera(t, server, 1, nil)
		topic := "gb28181/" + d.ID() + "/"
		m := connect(t, p.mqtt, topic+"#")
		register(t, d)
		keepalive(t, d)
		if e := m.wait(0, "keepalive event", on(topic+"event/keepalive")).json(t); e["status"] != "OK" {
			t.Errorf("the event is %v", e)
		}
		d.SetFaulty(channelID(1, 1))
		mark := m.mark()
		keepalive(t, d)
		if e := m.wait(mark, "keepalive event", on(topic+"event/keepalive")).json(t); element(e, "device_ids.0") != channelID(1, 1) {
			t.Errorf("the event is %v", e)
		}
		m.reported(d.ID(), "", "the faulty channel", func(r map[string]any) bool {
			return at(r, "keepalive.status") == "OK" && element(r, "keepalive.device_ids.0") == channelID(1, 1) && at(r, "keepalive.misses") == 3.0
		})
		d.SetFaulty()
		keepalive(t, d)
		m.reported(d.ID(), "", "that it is over", func(r map[string]any) bool {
			return at(r, "keepalive.status") == nil && at(r, "keepalive.device_ids") == nil && at(r, "keepalive.misses") == 3.0
		})
	}, func(c config) config { return c.with("devices.keepalive_events", true) })
}
