package mapping

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// requests are what the platform sends, by the golden file that holds its bytes: each CmdType of
// the standard, and each element of a DeviceControl and a DeviceConfig.
var requests = []struct {
	file, name, args string
	version          string // X-GB-Ver of the device
}{
	{file: "devicecontrol/ptzcmd", name: "ptz", args: `{"pan":100,"tilt":-50}`},
	{file: "devicecontrol/ptzcmd-preset", name: "preset", args: `{"action":"call","id":5}`},
	{file: "devicecontrol/ptzcmd-preset-name", name: "preset", args: `{"action":"set","id":5,"name":"east gate"}`},
	{file: "devicecontrol/ptzcmd-focus", name: "focus", args: `{"speed":128}`},
	{file: "devicecontrol/ptzcmd-iris", name: "iris", args: `{"speed":-128}`},
	{file: "devicecontrol/ptzcmd-cruise", name: "cruise", args: `{"action":"speed","id":1,"value":300}`},
	{file: "devicecontrol/ptzcmd-scan", name: "scan", args: `{"action":"left","id":1}`},
	{file: "devicecontrol/ptzcmd-aux", name: "aux", args: `{"id":1,"on":true}`},
	{file: "devicecontrol/teleboot", name: "reboot"},
	{file: "devicecontrol/recordcmd", name: "record", args: `{"on":true}`},
	{file: "devicecontrol/guardcmd", name: "guard", args: `{"on":true}`},
	{file: "devicecontrol/alarmcmd", name: "alarm_reset", args: `{"method":5,"type":2}`},
	{file: "devicecontrol/iframe-2016", name: "iframe", version: "2.0"},
	{file: "devicecontrol/iframe-2022", name: "iframe", version: "3.0"},
	{file: "devicecontrol/dragzoom", name: "drag_zoom", args: `{"direction":"in","length":1920,"width":1080,"mid_point_x":960,"mid_point_y":540,"length_x":400,"length_y":225}`},
	{file: "devicecontrol/homeposition", name: "home_position", args: `{"enabled":true,"reset_time":60,"preset_index":3}`},
	{file: "devicecontrol/ptzprecisectrl", name: "ptz_precise", args: `{"pan":120.5,"tilt":15,"zoom":4}`},
	{file: "devicecontrol/deviceupgrade", name: "upgrade", args: `{"firmware":"V5.7.3","url":"http://10.0.0.9/fw.bin?a=1&b=2","manufacturer":"ACME","session":"0123456789abcdef0123456789abcdef"}`},
	{file: "devicecontrol/formatsdcard", name: "sd_format", args: `{"id":1}`},
	{file: "devicecontrol/targettrack", name: "target_track", args: `{"mode":"manual","device2":"34020000001310000002","area":{"length":1920,"width":1080,"mid_point_x":300,"mid_point_y":410,"length_x":80,"length_y":160}}`},
	{file: "deviceconfig/basic", name: "config_set", args: `{"basic":{"name":"前端设备","heart_beat_interval":30}}`},
	{file: "deviceconfig/video", name: "config_set", args: `{"video":[{"stream_number":0,"video_format":5,"resolution":"2560x1440","frame_rate":25,"bit_rate_type":1,"video_bit_rate":4096}]}`},
	{file: "deviceconfig/record-plan", name: "config_set", args: `{"record_plan":{"record_enable":true,"stream_number":0,"record_schedules":[{"week_day_num":1,"time_segments":[{"start_hour":8,"start_min":0,"start_sec":0,"stop_hour":18,"stop_min":0,"stop_sec":0}]}]}}`},
	{file: "deviceconfig/alarm-record", name: "config_set", args: `{"alarm_record":{"record_enable":true,"record_time":30,"pre_record_time":5,"stream_number":0}}`},
	{file: "deviceconfig/picture-mask", name: "config_set", args: `{"picture_mask":{"on":true,"regions":[{"seq":1,"point":"20,30,50,60"}]}}`},
	{file: "deviceconfig/mirror-and-alarm-report", name: "config_set", args: `{"mirror":3,"alarm_report":{"motion_detection":true,"field_detection":false}}`},
	{file: "deviceconfig/osd", name: "config_set", args: `{"osd":{"length":1920,"width":1080,"time_x":20,"time_y":20,"time_enable":true,"time_type":0,"text_enable":true,"items":[{"text":"南门","x":20,"y":1000}]}}`},
	{file: "deviceconfig/svac", name: "config_set", args: `{"svac_encode":{"roi":{"roi_flag":true,"items":[{"roi_seq":1,"top_left":3,"bottom_right":40,"roi_qp":2}]},"svc":{"svc_space_domain_mode":1,"ssvc_ratio_value":"4:3"},"audio":{"audio_recognition_flag":false}},"svac_decode":{"surveillance":{"time_show_flag":true,"alert_show_flag":false}}}`},
	{file: "deviceconfig/snapshot", name: "snapshot", args: `{"count":3,"interval_s":2,"url":"http://10.0.0.2/snap","session":"5f2b1c1e-8b9a-4c7d-9a51-3f6d2e1c0b99"}`},
	{file: "catalog/query", name: "catalog"},
	{file: "deviceinfo/query", name: "device_info"},
	{file: "devicestatus/query", name: "device_status"},
	{file: "recordinfo/query", name: "records", args: `{"start":"2026-09-23T00:00:00","end":1790179199000,"type":"alarm"}`},
	{file: "recordinfo/query-2022", name: "records", args: `{"start":"2026-09-23T00:00:00","end":1790179199000,"stream_number":1,"alarm_method":5,"alarm_type":2}`},
	{file: "configdownload/query", name: "config_get", args: `{"types":["basic","VideoParamOpt","osd"]}`},
	{file: "presetquery/query", name: "presets"},
	{file: "mobileposition/query", name: "position"},
	{file: "homepositionquery/query", name: "home_position_get"},
	{file: "cruisetracklistquery/query", name: "cruise_tracks"},
	{file: "cruisetrackquery/query", name: "cruise_track", args: `{"id":0}`},
	{file: "ptzposition/query", name: "ptz_status"},
	{file: "sdcardstatus/query", name: "sd_status"},
}

func TestRequestsAreTheBytesOfTheirGoldenFiles(t *testing.T) {
	bodies := map[string][]byte{
		"alarm/confirmation": AlarmConfirmation(17, target).Encode(0, "", Peer{Encoding: gb28181.GB18030}),
	}
	for _, r := range requests {
		cmd, why := ParseCommand(r.name, false, []byte(r.args))
		if why != nil {
			t.Errorf("%s: %v", r.file, why)
			continue
		}
		bodies[r.file] = cmd.Encode(17, target, Peer{Encoding: gb28181.GB18030, GBVersion: r.version})
	}
	for name, got := range bodies {
		file := filepath.Join("gb28181", "testdata", filepath.FromSlash(name)+".sent.xml")
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
		}
		m, err := gb28181.Decode(got)
		if err != nil || m.SN != 17 || m.DeviceID != target || m.Faulty || !m.IsStandard() {
			t.Errorf("%s: read as %+v, %v", name, m, err)
		}
	}
}

// A command without its bytes here would be one that nobody has looked at.
func TestEveryCommandHasItsGoldenBytes(t *testing.T) {
	sent := make(map[string]bool)
	for _, r := range requests {
		sent[r.name] = true
	}
	for name, row := range commands {
		cmd := new(Command)
		row.build(&arguments{values: map[string]any{}}, cmd, false)
		if cmd.Local == nil && name != "raw" && !sent[name] {
			t.Errorf("of the command %s no golden file holds the bytes", name)
		}
	}
}
