package test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// queries are commands, the samples with which a camera answers them, packet by packet, and what
// comes back over MQTT.
var queries = []struct {
	name, args string
	answers    []string
	code       float64 // of the rejection; 0: accepted
	want       map[string]any
}{
	{name: "records", args: `{"start":"2026-09-23T00:00:00","end":"2026-09-24T00:00:00"}`,
		answers: []string{"recordinfo/page1", "recordinfo/page2-with-repeat"},
		want:    map[string]any{"records.2.type": "manual", "records.3": nil, "sum_num": 3.0, "partial": nil, "records.0.file_size": 268435456.0}},
	{name: "records", args: `{"start":1790092800000,"end":1790179200000}`, answers: []string{"recordinfo/empty"}, want: map[string]any{"sum_num": 0.0}},
	{name: "presets", answers: []string{"presetquery/two"}, want: map[string]any{"presets.0.preset_name": "大门", "presets.1.preset_id": 255.0}},
	{name: "cruise_tracks", answers: []string{"cruisetracklistquery/two"}, want: map[string]any{"cruise_tracks.0.name": "夜间"}},
	{name: "cruise_track", args: `{"id":0}`, answers: []string{"cruisetrackquery/plain"}, want: map[string]any{"cruise_points.1.stay_time": 15.0, "name": "夜间"}},
	{name: "sd_status", answers: []string{"sdcardstatus/two"}, want: map[string]any{"cards.1.status": "formatting", "cards.1.format_progress": 50.0}},
	{name: "home_position_get", answers: []string{"homepositionquery/dahua-cmdtype"}, want: map[string]any{"home_position.enabled": false, "home_position.reset_time": 600.0}},
	{name: "ptz_status", answers: []string{"ptzposition/response"}, want: map[string]any{"pan": 120.5, "max_view_distance": 200.0}},
	{name: "ptz_status", answers: []string{"ptzposition/response-refused"}, code: 502},
	{name: "position", answers: []string{"mobileposition/response-root"}, want: map[string]any{"longitude": 117.1}},
	{name: "config_get", args: `{"types":["osd","picture_mask","mirror","alarm_report"]}`, answers: []string{"configdownload/osd-mask-mirror"},
		want: map[string]any{"osd.items.0.text": "南门", "picture_mask.regions.0.point": "20,30,50,60", "mirror": 3.0, "alarm_report.motion_detection": true}},
	{name: "config_get", args: `{"types":["video"]}`, answers: []string{"configdownload/video-2022"}, want: map[string]any{"video.1.video_format": 2.0}},
	{name: "config_get", args: `{"types":["osd"]}`, answers: []string{"configdownload/uniview-element-name"}, want: map[string]any{"osd.length": 1920.0}},
	{name: "config_get", args: `{"types":["VideoParamOpt","alarm_record"]}`, answers: []string{"configdownload/videoparamopt-alarmrecord"},
		want: map[string]any{"video_opt.download_speed": "1/2/4", "alarm_record.record_enable": true}},
	{name: "config_set", args: `{"mirror":1}`, answers: []string{"deviceconfig/refused-with-reason"}, code: 502},
	{name: "snapshot", args: `{"count":1,"interval_s":1,"url":"http://10.0.0.2/snap","session":"5f2b1c1e-8b9a-4c7d-9a51-3f6d2e1c0b99"}`,
		answers: []string{"deviceconfig/ok"}, want: map[string]any{"session_id": "5f2b1c1e-8b9a-4c7d-9a51-3f6d2e1c0b99"}},
	{name: "upgrade", args: `{"firmware":"V2","url":"http://10.0.0.9/fw","manufacturer":"ACME","session":"0123456789abcdef0123456789abcdef"}`,
		answers: []string{"devicecontrol/error-word"}, code: 502},
	{name: "sd_format", args: `{"id":1}`},
	{name: "target_track", args: `{"mode":"auto"}`},
	{name: "drag_zoom", args: `{"direction":"out","length":1,"width":1,"mid_point_x":1,"mid_point_y":1,"length_x":1,"length_y":1}`},
}

var sampleSN = regexp.MustCompile(`<SN>\d+</SN>`)

func TestEveryQueryComesBackAsTypedJSON(t *testing.T) {
	p := start(t, baseConfig())
	asked := make(chan *camera.Request, 16)
	d := newCamera(t, p.udp, 1, func(c *camera.Config) {
		c.OnRequest = func(r *camera.Request) bool {
			switch {
			case r.Root == "Query" && (r.CmdType == "Catalog" || r.CmdType == "DeviceInfo" || r.CmdType == "DeviceStatus"):
				return false
			case r.Root == "Response":
				return false
			}
			r.Answer(200)
			asked <- r
			return true
		}
	})
	channel := channelID(1, 0)
	topic := "gb28181/" + d.ID() + "/" + channel + "/"
	m := connect(t, p.mqtt, topic+"#")
	register(t, d)
	m.wait(0, "channel", on(topic+"presence", "online"))
	for i, q := range queries {
		mark := m.mark()
		if q.args == "" {
			q.args = "{}"
		}
		m.publish(topic+"cmd/"+q.name, q.args)
		var r *camera.Request
		select {
		case r = <-asked:
		case <-time.After(10 * time.Second):
			t.Fatalf("%d %s %s: the camera was not asked", i, q.name, q.args)
		}
		for _, sample := range q.answers {
			body, err := os.ReadFile(filepath.Join("..", "mapping", "gb28181", "testdata", filepath.FromSlash(sample)+".xml"))
			if err != nil {
				t.Fatal(err)
			}
			body = sampleSN.ReplaceAll(body, fmt.Appendf(nil, "<SN>%s</SN>", r.SN))
			if code, err := d.Send(within(t, 5*time.Second), body); err != nil || code != 200 {
				t.Fatalf("%s got %d, %v", sample, code, err)
			}
		}
		if q.code != 0 {
			if rejected := m.wait(mark, q.name+" rejected", on(topic+"cmd/"+q.name+"/rejected")).json(t); rejected["code"] != q.code {
				t.Errorf("%s: %v, want code %v", q.name, rejected, q.code)
			}
			continue
		}
		accepted := m.wait(mark, q.name+" accepted", on(topic+"cmd/"+q.name+"/accepted")).json(t)
		for path, want := range q.want {
			if got := element(accepted["result"], path); got != want {
				t.Errorf("%s: %s is %v, want %v, in %v", q.name, path, got, want, accepted)
			}
		}
	}
}
