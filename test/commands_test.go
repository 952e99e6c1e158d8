package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// commandStory is a command of the contract, what comes back, and what the camera is like then.
type commandStory struct {
	name, args string
	device     bool           // it goes to the device's topic, else to a channel's
	want       map[string]any // in result
	then       func(device, channel camera.Target) bool
	only2022   bool // a camera of 2016 answers 400 [GB28181-2016 A.2]
}

const sessionID = "5f2b1c1e-8b9a-4c7d-9a51-3f6d2e1c0b99"

// commandStories are all commands that have no media, in an order in which each finds what it
// needs; reboot and upgrade have a story of their own.
var commandStories = []commandStory{
	{name: "ptz", args: `{"pan":100,"tilt":-50}`, then: func(_, c camera.Target) bool { return c.Moving && c.Pan > 0 && c.Tilt > 0 }},
	{name: "ptz", args: `{"pan":0}`, then: func(_, c camera.Target) bool { return !c.Moving }},
	{name: "ptz", args: `{"zoom":15,"duration_ms":100}`, then: func(_, c camera.Target) bool { return !c.Moving && c.Zoom > 1 }},
	{name: "focus", args: `{"speed":128}`, then: func(_, c camera.Target) bool { return c.Focus == 128 }},
	{name: "focus", args: `{"speed":0}`, then: func(_, c camera.Target) bool { return c.Focus == 0 }},
	{name: "iris", args: `{"speed":-128}`, then: func(_, c camera.Target) bool { return c.Iris == -128 }},
	{name: "iris", args: `{"speed":0}`, then: func(_, c camera.Target) bool { return c.Iris == 0 }},
	{name: "preset", args: `{"action":"set","id":9}`, then: func(_, c camera.Target) bool { return c.Presets[9].Zoom > 1 }},
	{name: "preset", args: `{"action":"call","id":3}`, then: func(_, c camera.Target) bool { return c.Preset == 3 && c.Pan == 144 }},
	{name: "preset", args: `{"action":"delete","id":2}`, then: func(_, c camera.Target) bool { return c.Presets[2].Name == "" }},
	{name: "presets", want: map[string]any{"presets.0.preset_name": "大门", "presets.4.preset_id": 9.0, "presets.5": nil, "sum_num": 5.0}},
	{name: "cruise", args: `{"action":"add","id":7,"preset":1}`, then: func(_, c camera.Target) bool { return len(c.Cruises[7].Presets) == 1 }},
	{name: "cruise", args: `{"action":"add","id":7,"preset":9}`, then: func(_, c camera.Target) bool { return len(c.Cruises[7].Presets) == 2 }},
	{name: "cruise", args: `{"action":"speed","id":7,"value":300}`, then: func(_, c camera.Target) bool { return c.Cruises[7].Speed == 300 }},
	{name: "cruise", args: `{"action":"dwell","id":7,"value":4095}`, then: func(_, c camera.Target) bool { return c.Cruises[7].Stay == 4095 }},
	{name: "cruise", args: `{"action":"start","id":7}`, then: func(_, c camera.Target) bool { return c.Cruise == 7 }},
	{name: "cruise", args: `{"action":"stop","id":7}`, then: func(_, c camera.Target) bool { return c.Cruise == -1 }},
	{name: "cruise_tracks", want: map[string]any{"cruise_tracks.0.name": "夜间", "cruise_tracks.2.number": 7.0, "sum_num": 3.0}, only2022: true},
	{name: "cruise_track", args: `{"id":7}`, only2022: true,
		want: map[string]any{"number": 7.0, "cruise_points.1.preset_index": 9.0, "cruise_points.1.stay_time": 4095.0, "cruise_points.1.speed": 300.0}},
	{name: "cruise", args: `{"action":"delete","id":7,"preset":1}`, then: func(_, c camera.Target) bool { return len(c.Cruises[7].Presets) == 1 }},
	{name: "cruise", args: `{"action":"delete","id":7}`, then: func(_, c camera.Target) bool { return c.Cruises[7].Name == "" }},
	{name: "scan", args: `{"action":"left","id":2}`, then: func(_, c camera.Target) bool { return c.Scans[2].Left == 144 }},
	{name: "ptz_precise", args: `{"pan":200.5,"tilt":10,"zoom":2.25}`, only2022: true,
		then: func(_, c camera.Target) bool { return c.Pan == 200.5 && c.Tilt == 10 && c.Zoom == 2.25 }},
	{name: "ptz_status", want: map[string]any{"pan": 200.5, "tilt": 10.0, "zoom": 2.25, "max_view_distance": 200.0}, only2022: true},
	{name: "scan", args: `{"action":"right","id":2}`, then: func(_, c camera.Target) bool { return c.Scans[2].Right != 0 }},
	{name: "scan", args: `{"action":"speed","id":2,"value":256}`, then: func(_, c camera.Target) bool { return c.Scans[2].Speed == 256 }},
	{name: "scan", args: `{"action":"start","id":2}`, then: func(_, c camera.Target) bool { return c.Scan == 2 }},
	{name: "scan", args: `{"action":"stop","id":2}`, then: func(_, c camera.Target) bool { return c.Scan == -1 }},
	{name: "aux", args: `{"id":1,"on":true}`, then: func(_, c camera.Target) bool { return c.Aux[1] }},
	{name: "aux", args: `{"id":1,"on":false}`, then: func(_, c camera.Target) bool { return !c.Aux[1] }},
	{name: "drag_zoom", args: `{"direction":"in","length":1000,"width":500,"mid_point_x":500,"mid_point_y":250,"length_x":500,"length_y":250}`,
		then: func(_, c camera.Target) bool { return c.Zoom > 4 }},
	{name: "drag_zoom", args: `{"direction":"out","length":1000,"width":500,"mid_point_x":500,"mid_point_y":250,"length_x":100,"length_y":50}`,
		then: func(_, c camera.Target) bool { return c.Zoom == 1 }},
	{name: "home_position", args: `{"enabled":true,"reset_time":60,"preset_index":3}`,
		then: func(_, c camera.Target) bool {
			return c.Home == camera.HomePosition{Enabled: true, ResetTime: 60, PresetIndex: 3}
		}},
	{name: "home_position_get", only2022: true,
		want: map[string]any{"home_position.enabled": true, "home_position.reset_time": 60.0, "home_position.preset_index": 3.0}},
	{name: "iframe", then: func(_, c camera.Target) bool { return c.IFrames == 1 }},
	{name: "guard", args: `{"on":true}`, want: map[string]any{"result": "OK"}, then: func(_, c camera.Target) bool { return c.Guard }},
	{name: "guard", args: `{"on":true}`, device: true, then: func(d, _ camera.Target) bool { return d.Guard }},
	{name: "alarm_reset", args: `{"method":2,"type":1}`, device: true, want: map[string]any{"result": "OK"}},
	{name: "guard", args: `{"on":false}`, device: true, then: func(d, _ camera.Target) bool { return !d.Guard }},
	{name: "record", args: `{"on":true}`, then: func(_, c camera.Target) bool { return c.Recording }},
	{name: "device_status", want: map[string]any{"record": true, "online": "ONLINE", "alarm_status.0.duty_status": "ONDUTY"}},
	{name: "record", args: `{"on":false}`, then: func(_, c camera.Target) bool { return !c.Recording }},
	{name: "catalog", device: true, want: map[string]any{"sum_num": 3.0, "channels.1.name": "相机1", "channels.2.status": "ON"}},
	{name: "device_info", device: true, want: map[string]any{"manufacturer": "ACME", "channel": 3.0, "firmware": "V5.7.3"}},
	{name: "records", args: `{"start":"2000-01-01T00:00:00","end":"2099-01-01T00:00:00","type":"alarm"}`,
		want: map[string]any{"sum_num": 4.0, "records.3.type": "alarm", "records.4": nil, "partial": nil}},
	{name: "position", want: map[string]any{"speed": 37.7}},
	{name: "sd_status", device: true, want: map[string]any{"cards.1.status": "ok", "cards.1.free_space": 40210.0, "sum_num": 2.0}, only2022: true},
	{name: "sd_format", args: `{"id":2}`, device: true, only2022: true},
	{name: "sd_status", device: true, want: map[string]any{"cards.0.status": "ok", "cards.1.status": "formatting"}, only2022: true},
	{name: "target_track", args: `{"mode":"manual","area":{"length":1920,"width":1080,"mid_point_x":300,"mid_point_y":410,"length_x":80,"length_y":160}}`, only2022: true,
		then: func(_, c camera.Target) bool { return c.Track.Mode == "Manual" && c.Track.Area.LengthY == 160 }},
	{name: "target_track", args: `{"mode":"stop"}`, only2022: true, then: func(_, c camera.Target) bool { return c.Track.Mode == "Stop" }},
	{name: "snapshot", args: `{"count":2,"interval_s":1,"url":"http://10.0.0.2/snap","session":"` + sessionID + `"}`, only2022: true,
		want: map[string]any{"session_id": sessionID}},
	{name: "config_get", args: `{"types":["basic"]}`, device: true, want: map[string]any{"basic.name": "Simulated camera", "basic.heart_beat_count": 3.0}},
	{name: "config_get", args: `{"types":["video_opt","svac_encode","svac_decode"]}`,
		want: map[string]any{"video_opt.download_speed": "1/2/4", "svac_encode.svc.svc_space_support_mode": 3.0, "svac_decode.svc.svc_stm_mode": 0.0}},
	{name: "config_get", args: `{"types":["video","record_plan","alarm_record","picture_mask","mirror","alarm_report","osd","snapshot"]}`, only2022: true,
		want: map[string]any{"video.1.resolution": "704x576", "record_plan.record_enable": false, "alarm_record.record_time": 30.0, "picture_mask.on": false,
			"mirror": 0.0, "alarm_report.motion_detection": true, "osd.items.0.text": "南门", "snapshot.session_id": sessionID}},
	{name: "config_set", args: `{"mirror":2,"alarm_report":{"motion_detection":false,"field_detection":true}}`, only2022: true, want: map[string]any{"result": "OK"}},
	{name: "config_get", args: `{"types":["alarm_report"]}`, only2022: true,
		want: map[string]any{"alarm_report.motion_detection": false, "alarm_report.field_detection": true}},
	{name: "config_set", args: `{"basic":{"name":"renamed"}}`, device: true, want: map[string]any{"result": "OK"}},
	{name: "device_info", device: true, want: map[string]any{"device_name": "renamed"}},
	{name: "raw", args: `{"xml":"<Query><CmdType>PresetQuery</CmdType><DeviceID>%C</DeviceID></Query>"}`, want: map[string]any{"sum_num": 5.0}},
	{name: "subscribe", args: `{"kind":"catalog","expires":600}`, device: true},
	{name: "diagnose", device: true, want: map[string]any{"presence": "online", "subscriptions.catalog.seconds": 600.0}},
}

// eventually waits until cond holds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !cond(); time.Sleep(2 * time.Millisecond) { // between two looks, not for anything to happen
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// ask gives a command and returns its answer: the result, or the code of the rejection.
func (c *client) ask(topic, name, args string) (result map[string]any, code float64) {
	c.t.Helper()
	mark := c.mark()
	id := fmt.Sprintf("t%d", mark)
	with := `{"clientToken":"` + id + `"`
	if args != "" {
		with += "," + strings.TrimPrefix(args, "{")
	} else {
		with += "}"
	}
	c.publish(topic+"cmd/"+name, with)
	accepted, rejected := token(topic+"cmd/"+name+"/accepted", id), token(topic+"cmd/"+name+"/rejected", id)
	m := c.waitFor(mark, 30*time.Second, "answer to "+name+" "+args, func(m message) bool { return accepted(m) || rejected(m) })
	answer := m.json(c.t)
	result, _ = answer["result"].(map[string]any)
	code, _ = answer["code"].(float64)
	return result, code
}

// fullCamera is one with recordings and cards.
func fullCamera(edition string) func(*camera.Config) {
	return func(c *camera.Config) {
		c.Edition, c.Records, c.Cards, c.FormatTime, c.Reboot = edition, 20, 2, time.Minute, 100*time.Millisecond
	}
}

func TestEveryCommandReachesItsCameraAndComesBack(t *testing.T) {
	p := start(t, baseConfig())
	for i, v := range []struct{ edition, server string }{
		{camera.Edition2022, p.udp}, {camera.Edition2022, p.tcp}, {camera.Edition2016, p.udp}, {camera.Edition2016, p.tcp}, {"", p.udp},
	} {
		network, _, _ := strings.Cut(v.server, "://")
		t.Run(network+" "+v.edition, func(t *testing.T) {
			t.Parallel()
			d := newCamera(t, v.server, i+1, fullCamera(v.edition))
			channel := channelID(i+1, 0)
			topic := "gb28181/" + d.ID() + "/"
			m := connect(t, p.mqtt, topic+"#")
			register(t, d)
			m.wait(0, "channel", on(topic+channel+"/presence", "online"))
			for _, s := range commandStories {
				to := topic + channel + "/"
				if s.device {
					to = topic
				}
				result, code := m.ask(to, s.name, replaced(s.args, channel))
				if s.only2022 && v.edition == camera.Edition2016 {
					if code != 502 && code != 501 {
						t.Errorf("%s %s to a camera of 2016: code %v and %v, want its refusal", s.name, s.args, code, result)
					}
					continue
				}
				if code != 0 {
					t.Errorf("%s %s: rejected with %v", s.name, s.args, code)
					continue
				}
				for path, want := range s.want {
					if got := element(result, path); got != want {
						t.Errorf("%s %s: %s is %v, want %v, in %v", s.name, s.args, path, got, want, result)
					}
				}
				if s.then != nil {
					eventually(t, s.name+" "+s.args+" is done", func() bool { return s.then(d.State().Target, d.Channel(channel)) })
				}
			}
			if f := d.State().Failures; len(f) != 0 {
				t.Errorf("the camera could not do %q", f)
			}
			m.reported(d.ID(), "", "what the commands made of the device", func(r map[string]any) bool {
				return r["guard"] == "off" && at(r, "config.basic.name") == "renamed"
			})
			m.reported(d.ID(), channel, "what they made of the channel", func(r map[string]any) bool {
				return r["guard"] == "on" && r["recording"] == false && at(r, "home_position.preset_index") == 3.0 &&
					(v.edition == camera.Edition2016 || at(r, "config.mirror") == 2.0 && at(r, "config.osd.length") != nil && at(r, "ptz.pan") != nil)
			})
		})
	}
}

// What begins with a command and ends later tells of its end.
func TestRebootUpgradeAndSnapshotTellTheirEnd(t *testing.T) {
	p := start(t, baseConfig())
	for i, server := range []string{p.udp, p.tcp} {
		network, _, _ := strings.Cut(server, "://")
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			d := newCamera(t, server, i+1, fullCamera(camera.Edition2022))
			channel := channelID(i+1, 0)
			topic := "gb28181/" + d.ID() + "/"
			m := connect(t, p.mqtt, topic+"#")
			register(t, d)
			m.wait(0, "channel", on(topic+channel+"/presence", "online"))

			mark := m.mark()
			if _, code := m.ask(topic, "reboot", ""); code != 0 {
				t.Errorf("reboot: %v", code)
			}
			m.wait(mark, "its leave", on(topic+"presence", "offline"))
			m.wait(mark, "its return", on(topic+"presence", "online"))
			m.wait(mark, "its channel's return", on(topic+channel+"/presence", "online"))

			mark = m.mark()
			if _, code := m.ask(topic+channel+"/", "snapshot", `{"count":2,"interval_s":1,"url":"http://10.0.0.2/snap","session":"`+sessionID+`"}`); code != 0 {
				t.Errorf("snapshot: %v", code)
			}
			e := m.wait(mark, "the pictures", on(topic+channel+"/event/snapshot")).json(t)
			if e["session_id"] != sessionID || len(element(e, "snap_shot_file_ids").([]any)) != 2 {
				t.Errorf("the event is %v", e)
			}

			mark = m.mark()
			if result, code := m.ask(topic, "upgrade", `{"firmware":"V6","url":"http://10.0.0.9/fw","manufacturer":"ACME","session":"`+sessionID+`"}`); code != 0 || result["result"] != "OK" {
				t.Errorf("upgrade: %v %v", code, result)
			}
			e = m.wait(mark, "the upgrade's end", on(topic+"event/upgrade")).json(t)
			if e["session_id"] != sessionID || e["upgrade_result"] != "OK" || e["firmware"] != "V6" {
				t.Errorf("the event is %v", e)
			}
			m.reported(d.ID(), "", "the new firmware", func(r map[string]any) bool { return at(r, "info.firmware") == "V6" })

			mark = m.mark()
			if _, code := m.ask(topic, "upgrade", `{"firmware":"V7","url":"http://10.0.0.9/fw","manufacturer":"Other","session":"`+sessionID+`"}`); code != 0 {
				t.Errorf("upgrade: %v", code)
			}
			e = m.wait(mark, "the failed upgrade", on(topic+"event/upgrade")).json(t)
			if e["upgrade_result"] != "ERROR" || e["upgrade_failed_reason_name"] != "broken_package" || e["firmware"] != "V6" {
				t.Errorf("the event is %v", e)
			}
		})
	}
}

// A recorder's whole answer of 10,000 recordings is one list, page by page.
func TestTenThousandRecordingsAreOneList(t *testing.T) {
	p := start(t, baseConfig())
	for i, server := range []string{p.udp, p.tcp} {
		network, _, _ := strings.Cut(server, "://")
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			d := newCamera(t, server, i+1, func(c *camera.Config) {
				c.Records, c.RecordLength, c.RecordsPerPacket = 10000, time.Minute, 50
			})
			channel := channelID(i+1, 0)
			topic := "gb28181/" + d.ID() + "/" + channel + "/"
			m := connect(t, p.mqtt, topic+"cmd/#", topic+"presence")
			register(t, d)
			m.wait(0, "channel", on(topic+"presence", "online"))
			seen, pages, next := map[any]bool{}, 0, ""
			for args := `{"start":"2000-01-01T00:00:00","end":"2099-01-01T00:00:00","limit":1000}`; args != ""; {
				result, code := m.ask(topic, "records", args)
				if code != 0 || result["partial"] != nil || result["sum_num"] != 10000.0 {
					t.Fatalf("page %d: code %v, partial %v, sum_num %v", pages, code, result["partial"], result["sum_num"])
				}
				for _, r := range result["records"].([]any) {
					seen[at(r, "start_time")] = true
				}
				pages++
				args = ""
				if next, _ = result["next"].(string); next != "" {
					args = `{"next":"` + next + `"}`
				}
			}
			if len(seen) != 10000 || pages != 10 {
				t.Errorf("%d recordings on %d pages, want 10000 on 10", len(seen), pages)
			}
			if n := count(d, func(r *camera.Request) bool { return r.CmdType == "RecordInfo" }); n != 1 {
				t.Errorf("the camera was asked %d times, want once", n)
			}
		})
	}
}
