package test

import (
	"strings"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// desiredConfigs are wishes for each configuration that can be written: what the wish leaves
// out the camera keeps as it came from the factory.
var desiredConfigs = []struct {
	name, wish string
	written    []string       // path below the body's root, and the text there
	want       map[string]any // reported below config.NAME; list items by their place
}{
	{"basic", `{"name":"北门","heart_beat_count":5}`, []string{"BasicParam", "Name", "北门"}, map[string]any{"name": "北门", "heart_beat_count": 5.0, "heart_beat_interval": 60.0}},
	{"video", `[{"stream_number":0,"video_format":2,"resolution":"1920x1080","frame_rate":15,"bit_rate_type":2}]`,
		[]string{"VideoParamAttribute", "Item", "Resolution", "1920x1080"}, map[string]any{"0.frame_rate": 15.0, "0.resolution": "1920x1080", "1": nil}},
	{"record_plan", `{"record_enable":true,"record_schedules":[{"week_day_num":7,"time_segments":["08:00:00-24:00:00"]}]}`,
		[]string{"VideoRecordPlan", "RecordSchedule", "TimeSegment", "StopHour", "24"}, map[string]any{"record_enable": true, "record_schedules.0.week_day_num": 7.0, "record_schedules.0.time_segments.0": "08:00:00-24:00:00"}},
	{"alarm_record", `{"record_time":90}`, []string{"VideoAlarmRecord", "PreRecordTime", "5"}, map[string]any{"record_time": 90.0, "record_enable": true}},
	{"picture_mask", `{"on":true,"regions":[{"seq":1,"point":"20,30,50,60"}]}`, []string{"PictureMask", "SumNum", "1"}, map[string]any{"on": true, "regions.0.point": "20,30,50,60"}},
	{"mirror", `3`, []string{"FrameMirror", "3"}, map[string]any{"": 3.0}},
	{"alarm_report", `{"field_detection":true}`, []string{"AlarmReport", "MotionDetection", "1"}, map[string]any{"field_detection": true, "motion_detection": true}},
	{"osd", `{"time_x":33,"items":[{"text":"北门 <1> & 2","x":1,"y":2}]}`, []string{"OSDConfig", "Item", "Text", "北门 <1> & 2"}, map[string]any{"time_x": 33.0, "time_y": 20.0, "items.0.text": "北门 <1> & 2"}},
}

// readBack tells whether the last request about a configuration reads it.
func readBack(d *camera.Device, kind string) bool {
	reads := false
	for _, r := range d.Received() {
		if r.CmdType == "DeviceConfig" && camera.Command(kind)(&r) {
			reads = false
		}
		reads = reads || r.CmdType == "ConfigDownload" && r.Element("ConfigType") == kind
	}
	return reads
}

func TestEveryDesiredConfigurationIsMadeSoAndReadBack(t *testing.T) {
	for _, c := range mapping.DesiredRows() {
		name, isConfig := strings.CutPrefix(c.Key, "config.")
		known := false
		for _, d := range desiredConfigs {
			known = known || d.name == name
		}
		if isConfig && !known {
			t.Errorf("no story of %s", c.Key)
		}
	}
	p := start(t, baseConfig())
	for i, server := range []string{p.udp, p.tcp} {
		network, _, _ := strings.Cut(server, "://")
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			d := newCamera(t, server, i+1, func(c *camera.Config) { c.Edition, c.Keepalive = camera.Edition2022, time.Minute })
			channel := channelID(i+1, 0)
			m := connect(t, p.mqtt, "gb28181/"+d.ID()+"/#")
			register(t, d)
			m.wait(0, "channel", on("gb28181/"+d.ID()+"/"+channel+"/presence", "online"))
			for _, c := range desiredConfigs {
				shadow, target := channel, channel
				if c.name == "basic" {
					shadow, target = "", d.ID()
				}
				m.publish(shadowTopic(d.ID(), shadow)+"/update", `{"state":{"desired":{"config":{"`+c.name+`":`+c.wish+`}}}}`)
				m.reported(d.ID(), shadow, c.name, func(r map[string]any) bool {
					for path, want := range c.want {
						if got := element(r, strings.TrimSuffix("config."+c.name+"."+path, ".")); got != want {
							return false
						}
					}
					return at(m.shadow(d.ID(), shadow), "state.delta") == nil
				})
				path, text := c.written[:len(c.written)-1], c.written[len(c.written)-1]
				wrote := func(r *camera.Request) bool {
					return r.CmdType == "DeviceConfig" && r.DeviceID == target && r.Element(path...) == text
				}
				if n := count(d, wrote); n != 1 {
					t.Errorf("%s was written %d times, want once", c.name, n)
				}
				if !readBack(d, path[0]) {
					t.Errorf("%s was not read back after it was written", c.name)
				}
			}
			// Who reads what is so writes nothing: not now, nor with the next wish.
			for _, c := range desiredConfigs {
				to := "gb28181/" + d.ID() + "/" + channel + "/"
				if c.name == "basic" {
					to = "gb28181/" + d.ID() + "/"
				}
				if _, code := m.ask(to, "config_get", `{"types":["`+c.name+`"]}`); code != 0 {
					t.Errorf("config_get of %s: %v", c.name, code)
				}
			}
			m.publish(shadowTopic(d.ID(), channel)+"/update", `{"state":{"desired":{"config":{"mirror":1}}}}`)
			m.reported(d.ID(), channel, "another mirror", func(r map[string]any) bool { return at(r, "config.mirror") == 1.0 })
			writes := func(r *camera.Request) bool { return r.CmdType == "DeviceConfig" }
			if n := count(d, writes); n != len(desiredConfigs)+1 {
				t.Errorf("%d writes, want one for each of %d wishes", n, len(desiredConfigs)+1)
			}
			if f := d.State().Failures; len(f) != 0 {
				t.Errorf("the camera refused %q", f)
			}
		})
	}
}
