package mapping

import (
	"strings"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

const target = "34020000001310000001"

// commandCases are arguments and what becomes of them: part of the body, or of the message.
var commandCases = []struct {
	name, args string
	onDevice   bool
	code       int // 0: accepted
	says       string
}{
	{name: "ptz", args: `{"pan":100,"tilt":50}`, says: "<PTZCmd>A50F010964320054</PTZCmd>"},
	{name: "ptz", args: `{"pan":100,"tilt":-50}`, says: "<PTZCmd>A50F010564320050</PTZCmd>"},
	{name: "ptz", args: `{"zoom":-15}`, says: "<PTZCmd>A50F01200000F0C5</PTZCmd>"},
	{name: "ptz", args: `{"pan":0}`, says: "<PTZCmd>A50F0100000000B5</PTZCmd>"},
	{name: "ptz", args: `{"pan":1e2}`, says: "<PTZCmd>A50F0101"},
	{name: "ptz", args: ``, code: 400, says: "pan, tilt and zoom are missing"},
	{name: "ptz", args: `{"pan":256}`, code: 400, says: "pan: 256 is not accepted; use a whole number from -255 to 255"},
	{name: "ptz", args: `{"pan":1.5}`, code: 400, says: "1.5"},
	{name: "ptz", args: `{"pan":1e300}`, code: 400, says: "pan"},
	{name: "ptz", args: `{"pan":1,"speed":3}`, code: 400, says: `unknown argument "speed"; accepted are pan, tilt, zoom, duration_ms`},
	{name: "ptz", args: `{"pan":1,"duration_ms":0}`, code: 400, says: "duration_ms"},
	{name: "ptz", args: `[1]`, code: 400, says: "an array"},
	{name: "ptz", args: `{"pan":1`, code: 400, says: "not JSON"},
	{name: "ptz", args: `{"pan":1} 2`, code: 400, says: "not JSON"},
	{name: "ptz", args: `{"pan":1,"timeout_ms":600001}`, code: 400, says: "timeout_ms: 600001"},
	{name: "ptz", args: `{"pan":1,"clientToken":"` + strings.Repeat("x", 65) + `"}`, code: 400, says: "clientToken has 65 bytes; at most 64"},
	{name: "ptz", args: `{"pan":1,"clientToken":7}`, code: 400, says: "clientToken: 7"},
	{name: "focus", args: `{"speed":128}`, says: "<PTZCmd>A50F014180000076</PTZCmd>"},
	{name: "focus", args: `{"speed":0}`, says: "<PTZCmd>A50F0140000000F5</PTZCmd>"},
	{name: "iris", args: `{"speed":-128}`, says: "<PTZCmd>A50F01480080007D</PTZCmd>"},
	{name: "iris", args: `{}`, code: 400, says: "speed is missing"},
	{name: "preset", args: `{"action":"call","id":5}`, says: "<PTZCmd>A50F01820005003C</PTZCmd>"},
	{name: "preset", args: `{"action":"set","id":5}`, says: "<PTZCmd>A50F01810005003B</PTZCmd>"},
	{name: "preset", args: `{"action":"set","id":5,"name":"east gate"}`, says: "<PTZCmdParams>\r\n<PresetName>east gate</PresetName>\r\n</PTZCmdParams>"},
	{name: "preset", args: `{"action":"set","id":5,"name":"` + strings.Repeat("x", 33) + `"}`, code: 400, says: "name has 33 bytes; at most 32"},
	{name: "preset", args: `{"action":"call","id":5,"name":"x"}`, code: 400, says: "name: it is given with set alone"},
	{name: "cruise", args: `{"action":"add","id":1,"preset":5,"name":"night"}`, says: "<PTZCmdParams>\r\n<CruiseTrackName>night</CruiseTrackName>\r\n</PTZCmdParams>"},
	{name: "preset", args: `{"action":"delete","id":5}`, says: "<PTZCmd>A50F01830005003D</PTZCmd>"},
	{name: "preset", args: `{"action":"go","id":5}`, code: 400, says: `action: "go" is not accepted; use one of set, call, delete`},
	{name: "preset", args: `{"action":"call","id":0}`, code: 400, says: "id: 0"},
	{name: "cruise", args: `{"action":"add","id":1,"preset":5}`, says: "<PTZCmd>A50F01840105003F</PTZCmd>"},
	{name: "cruise", args: `{"action":"add","id":1}`, code: 400, says: "preset is missing"},
	{name: "cruise", args: `{"action":"delete","id":1}`, says: "<PTZCmd>A50F01850100003B</PTZCmd>"},
	{name: "cruise", args: `{"action":"speed","id":1,"value":300}`, says: "<PTZCmd>A50F0186012C1078</PTZCmd>"},
	{name: "cruise", args: `{"action":"dwell","id":1}`, code: 400, says: "value is missing"},
	{name: "cruise", args: `{"action":"dwell","id":1,"value":30}`, says: "<PTZCmd>A50F0187011E005B</PTZCmd>"},
	{name: "cruise", args: `{"action":"start","id":1}`, says: "<PTZCmd>A50F01880100003E</PTZCmd>"},
	{name: "cruise", args: `{"action":"stop","id":1}`, says: "<PTZCmd>A50F0100000000B5</PTZCmd>"},
	{name: "scan", args: `{"action":"left","id":1}`, says: "<PTZCmd>A50F018901010040</PTZCmd>"},
	{name: "scan", args: `{"action":"right","id":1}`, says: "<PTZCmd>A50F018901020041</PTZCmd>"},
	{name: "scan", args: `{"action":"start","id":1}`, says: "<PTZCmd>A50F01890100003F</PTZCmd>"},
	{name: "scan", args: `{"action":"speed","id":1,"value":256}`, says: "<PTZCmd>A50F018A01001050</PTZCmd>"},
	{name: "scan", args: `{"action":"stop","id":1}`, says: "<PTZCmd>A50F0100000000B5</PTZCmd>"},
	{name: "aux", args: `{"id":1,"on":true}`, says: "<PTZCmd>A50F018C01000042</PTZCmd>"},
	{name: "aux", args: `{"id":1,"on":"yes"}`, code: 400, says: `on: "yes" is not accepted; use true or false`},
	{name: "iframe", args: ``, says: "<IFameCmd>Send</IFameCmd>"},
	{name: "guard", args: `{"on":true}`, says: "<GuardCmd>SetGuard</GuardCmd>"},
	{name: "guard", args: `{"on":false}`, onDevice: true, says: "<GuardCmd>ResetGuard</GuardCmd>"},
	{name: "record", args: `{"on":true}`, says: "<RecordCmd>Record</RecordCmd>"},
	{name: "record", args: `{"on":true,"stream_number":1}`, says: "<RecordCmd>Record</RecordCmd>\r\n<StreamNumber>1</StreamNumber>"},
	{name: "record", args: `{"on":false}`, says: "<RecordCmd>StopRecord</RecordCmd>"},
	{name: "alarm_reset", args: `{}`, says: "<AlarmCmd>ResetAlarm</AlarmCmd>"},
	{name: "alarm_reset", args: `{"method":2}`, says: "<AlarmMethod>2</AlarmMethod>"},
	{name: "reboot", onDevice: true, says: "<TeleBoot>Boot</TeleBoot>"},
	{name: "reboot", code: 404, says: "device's topic"},
	{name: "catalog", onDevice: true, args: `{"limit":5}`, says: "<CmdType>Catalog</CmdType>"},
	{name: "catalog", onDevice: true, args: `{"limit":0}`, code: 400, says: "limit: 0"},
	{name: "device_info", onDevice: true, args: `{}`, says: "<CmdType>DeviceInfo</CmdType>"},
	{name: "device_status", says: "<CmdType>DeviceStatus</CmdType>"},
	{name: "presets", says: "<CmdType>PresetQuery</CmdType>"},
	{name: "raw", args: `{"xml":"<?xml version=\"1.0\"?><Query><CmdType>DeviceInfo</CmdType><SN>1</SN><DeviceID>1</DeviceID></Query>"}`, says: "<SN>17</SN>"},
	{name: "raw", args: `{"xml":"<Query><CmdType>DeviceInfo</CmdType></Query>"}`, says: "</CmdType><SN>17</SN>"},
	{name: "raw", args: `{"xml":"<Query></Query>"}`, code: 400, says: "CmdType"},
	{name: "raw", args: `{}`, code: 400, says: "xml is missing"},
	{name: "raw", args: `{"xml":"` + strings.Repeat("x", maxRaw+1) + `"}`, code: 413, says: "bytes"},
	{name: "records", args: `{"start":"2026-09-23T00:00:00","end":1790179199000}`, says: "<StartTime>2026-09-23T00:00:00</StartTime>\r\n<EndTime>2026-09-23T23:59:59</EndTime>\r\n<Secrecy>0</Secrecy>\r\n<Type>all</Type>"},
	{name: "records", args: `{"start":1,"end":1000,"file_path":"a/b","address":"x","recorder_id":"34020000001180000001","secrecy":true,"indistinct_query":true,"stream_number":1,"alarm_method":5,"alarm_type":2}`,
		says: "<FilePath>a/b</FilePath>\r\n<Address>x</Address>\r\n<Secrecy>1</Secrecy>\r\n<Type>all</Type>\r\n<RecorderID>34020000001180000001</RecorderID>\r\n" +
			"<IndistinctQuery>1</IndistinctQuery>\r\n<StreamNumber>1</StreamNumber>\r\n<AlarmMethod>5</AlarmMethod>\r\n<AlarmType>2</AlarmType>"},
	{name: "records", args: `{"start":1,"end":1000,"alarm_method":8}`, code: 400, says: "alarm_method: 8"},
	{name: "records", args: `{"start":5,"end":5}`, code: 400, says: "start: it must be before end"},
	{name: "records", args: `{"start":"yesterday","end":5}`, code: 400, says: `start: "yesterday" is not accepted; use Unix milliseconds`},
	{name: "records", args: `{"end":5}`, code: 400, says: "start is missing"},
	{name: "records", args: `{"start":1,"end":5,"type":"x"}`, code: 400, says: "all, time, alarm, manual"},
	{name: "config_get", args: `{"types":["basic","OSDConfig"]}`, says: "<ConfigType>BasicParam/OSDConfig</ConfigType>"},
	{name: "config_get", args: `{"types":["colour"]}`, code: 400, says: `"colour" is not accepted; use some of basic, video_opt`},
	{name: "config_get", args: `{}`, code: 400, says: "types is missing"},
	{name: "config_set", args: `{"basic":{"heart_beat_interval":30,"name":"a&b"}}`, says: "<BasicParam>\r\n<Name>a&amp;b</Name>\r\n<HeartBeatInterval>30</HeartBeatInterval>\r\n</BasicParam>"},
	{name: "config_set", args: `{"basic":{"heart_beat_interval":2}}`, code: 400, says: "basic.heart_beat_interval: 2 is not accepted; use a whole number from 5 to 3600"},
	{name: "config_set", args: `{"mirror":3}`, says: "<FrameMirror>3</FrameMirror>"},
	{name: "config_set", args: `{"alarm_report":{"motion_detection":true}}`, code: 400, says: "alarm_report.field_detection is missing"},
	{name: "config_set", args: `{"picture_mask":{"on":true,"regions":[{"seq":1,"point":"20,30,50,60"}]}}`, says: "<On>1</On>\r\n<SumNum>1</SumNum>\r\n<RegionList Num=\"1\">\r\n<Item>\r\n<Seq>1</Seq>\r\n<Point>20,30,50,60</Point>"},
	{name: "config_set", args: `{"osd":{"length":1920,"width":1080,"time_x":20,"time_y":20,"items":[{"text":"gate","x":1,"y":2}]}}`, says: "<SumNum>1</SumNum>\r\n<Item>\r\n<Text>gate</Text>"},
	{name: "config_set", args: `{"video":[{"stream_number":0,"video_format":5,"resolution":"6","frame_rate":25,"bit_rate_type":2}]}`, says: "<VideoParamAttribute Num=\"1\">\r\n<Item>\r\n<StreamNumber>0</StreamNumber>"},
	{name: "config_set", args: `{"video":[{"stream_number":0}]}`, code: 400, says: "video[0].video_format is missing"},
	{name: "config_set", args: `{"record_plan":{"record_enable":true,"stream_number":0,"record_schedules":[{"week_day_num":1,"time_segments":[{"start_hour":8,"start_min":0,"start_sec":0,"stop_hour":18,"stop_min":0,"stop_sec":0}]}]}}`, says: "<RecordScheduleSumNum>1</RecordScheduleSumNum>\r\n<RecordSchedule>\r\n<WeekDayNum>1</WeekDayNum>\r\n<TimeSegmentSumNum>1</TimeSegmentSumNum>"},
	{name: "config_set", args: `{"video_opt":{"resolution":"6"}}`, code: 400, says: "nothing to set"},
	{name: "config_set", args: `{}`, code: 400, says: "basic, svac_encode, svac_decode, video, record_plan"},
	{name: "position", says: "<CmdType>MobilePosition</CmdType>"},
	{name: "ptz_status", says: "<CmdType>PTZPosition</CmdType>"},
	{name: "home_position_get", says: "<CmdType>HomePositionQuery</CmdType>"},
	{name: "cruise_tracks", says: "<CmdType>CruiseTrackListQuery</CmdType>"},
	{name: "cruise_track", args: `{"id":0}`, says: "<Number>0</Number>"},
	{name: "cruise_track", args: `{}`, code: 400, says: "id is missing"},
	{name: "sd_status", onDevice: true, says: "<CmdType>SDCardStatus</CmdType>"},
	{name: "sd_format", args: `{"id":1}`, onDevice: true, says: "<FormatSDCard>1</FormatSDCard>"},
	{name: "drag_zoom", args: `{"direction":"in","length":1920,"width":1080,"mid_point_x":960,"mid_point_y":540,"length_x":400,"length_y":225}`, says: "<DragZoomIn>\r\n<Length>1920</Length>"},
	{name: "drag_zoom", args: `{"direction":"out","length":1920}`, code: 400, says: "width is missing"},
	{name: "home_position", args: `{"enabled":true,"reset_time":60,"preset_index":3}`, says: "<HomePosition>\r\n<Enabled>1</Enabled>\r\n<ResetTime>60</ResetTime>\r\n<PresetIndex>3</PresetIndex>"},
	{name: "home_position", args: `{}`, code: 400, says: "enabled is missing"},
	{name: "ptz_precise", args: `{"pan":120.5,"zoom":4}`, says: "<PTZPreciseCtrl>\r\n<Pan>120.50</Pan>\r\n<Zoom>4.00</Zoom>"},
	{name: "ptz_precise", args: `{"pan":361}`, code: 400, says: "pan: 361 is not accepted; use a number from 0 to 360"},
	{name: "ptz_precise", args: `{}`, code: 400, says: "pan, tilt and zoom are missing"},
	{name: "upgrade", args: `{"firmware":"V5","url":"http://10.0.0.9/fw.bin","manufacturer":"ACME","session":"0123456789abcdef0123456789abcdef"}`, onDevice: true, says: "<FileURL>http://10.0.0.9/fw.bin</FileURL>"},
	{name: "upgrade", args: `{"firmware":"V5","url":"u","manufacturer":"A","session":"short"}`, code: 400, says: "session: \"short\" is not accepted; use 32 to 128"},
	{name: "snapshot", args: `{"count":3,"interval_s":2,"url":"http://10.0.0.2/snap?a=1&b=2"}`, says: "<UploadURL>http://10.0.0.2/snap?a=1&amp;b=2</UploadURL>"},
	{name: "snapshot", args: `{"count":11,"interval_s":2,"url":"u"}`, code: 400, says: "count: 11"},
	{name: "target_track", args: `{"mode":"auto","device2":"34020000001320000009"}`, says: "<TargetTrack>Auto</TargetTrack>\r\n<DeviceID2>34020000001320000009</DeviceID2>"},
	{name: "target_track", args: `{"mode":"manual"}`, code: 400, says: "area is missing"},
	{name: "target_track", args: `{"mode":"manual","area":{"length":1,"width":1,"mid_point_x":1,"mid_point_y":1,"length_x":1,"length_y":1}}`, says: "<TargetArea>\r\n<Length>1</Length>"},
	{name: "config_set", args: `{"picture_mask":{"on":false}}`, says: "<On>0</On>\r\n<SumNum>0</SumNum>\r\n</PictureMask>"},
	{name: "subscribe", args: `{"kind":"alarm","expires":5}`, onDevice: true, code: 400, says: "expires: 5 is not accepted; use 30 to 86400 seconds, or 0"},
	{name: "subscribe", args: `{"kind":"weather","expires":60}`, onDevice: true, code: 400, says: "alarm, catalog, position, ptz_position"},
	{name: "diagnose", onDevice: true, args: `{"of":1}`, code: 400, says: `unknown argument "of"`},
	{name: "tree", onDevice: true, args: `{"limit":0}`, code: 400, says: "limit: 0 is not accepted"},
	{name: "tree", code: 404, says: "device's topic"},
	{name: "diagnose", code: 404, says: "device's topic"},
	{name: "play", args: `{}`, code: 501, says: "not available in this version"},
	{name: "prest", args: `{}`, code: 404, says: "did you mean preset?"},
}

func TestArgumentsBecomeWhatTheStandardSays(t *testing.T) {
	for _, c := range commandCases {
		cmd, why := ParseCommand(c.name, !c.onDevice, []byte(c.args))
		if c.code != 0 {
			if why == nil || why.Code != c.code || !strings.Contains(why.Message, c.says) {
				t.Errorf("%s %s: %v, want %d with %q", c.name, c.args, why, c.code, c.says)
			}
			continue
		}
		if why != nil {
			t.Errorf("%s %s: %v", c.name, c.args, why)
			continue
		}
		if body := string(cmd.Encode(17, target, Peer{})); !strings.Contains(body, c.says) || !strings.Contains(body, "<SN>17</SN>") {
			t.Errorf("%s %s:\n%s\nwants %s and SN 17", c.name, c.args, body, c.says)
		}
	}
}

func TestIFrameIsSpeltByTheEdition(t *testing.T) {
	cmd, why := ParseCommand("iframe", true, nil)
	if why != nil {
		t.Fatal(why)
	}
	for version, want := range map[string]string{"": "<IFameCmd>", "2.0": "<IFameCmd>", "3.0": "<IFrameCmd>"} {
		if body := string(cmd.Encode(1, target, Peer{GBVersion: version})); !strings.Contains(body, want) {
			t.Errorf("version %q: %s wants %s", version, body, want)
		}
	}
}

func TestMovementsBringTheirStop(t *testing.T) {
	for _, c := range []struct {
		name, args string
		motion     Motion
		stop       string // "" for what needs none
		after      time.Duration
	}{
		{"ptz", `{"pan":9}`, HeadMotion, "A50F0100000000B5", 0},
		{"ptz", `{"pan":9,"duration_ms":250}`, HeadMotion, "A50F0100000000B5", 250 * time.Millisecond},
		{"focus", `{"speed":9}`, LensMotion, "A50F0140000000F5", 0},
		{"iris", `{"speed":-9}`, LensMotion, "A50F0140000000F5", 0},
		{"ptz", `{"pan":0,"tilt":0,"zoom":0}`, HeadMotion, "", 0},
		{"scan", `{"action":"stop","id":1}`, HeadMotion, "", 0},
		{"preset", `{"action":"call","id":1}`, NoMotion, "", 0},
	} {
		cmd, why := ParseCommand(c.name, true, []byte(c.args))
		if why != nil {
			t.Fatal(why)
		}
		stop := ""
		if cmd.Stop != nil {
			stop = string(cmd.Stop.Encode(1, target, Peer{}))
		}
		if !cmd.PTZ || cmd.Motion != c.motion || cmd.StopAfter != c.after || !strings.Contains(stop, c.stop) || (c.stop == "") != (stop == "") {
			t.Errorf("%s %s: %+v, stop %s", c.name, c.args, cmd, stop)
		}
	}
}

func TestDefaultsAreTheContracts(t *testing.T) {
	info, _ := ParseCommand("device_info", false, nil)
	list, _ := ParseCommand("catalog", false, []byte(`{"clientToken":"t"}`))
	if info.Timeout != 10*time.Second || list.Timeout != 30*time.Second || list.Limit != 1000 || list.Token != "t" {
		t.Errorf("%+v, %+v", info, list)
	}
}

func TestTheTokenIsReadWhateverElseIsWrong(t *testing.T) {
	for args, want := range map[string]string{
		`{"clientToken":"a","pan":"?"}`: "a", `{"clientToken":5}`: "", `{`: "", ``: "", `[]`: "",
		`{"clientToken":"` + strings.Repeat("x", 65) + `"}`: "",
	} {
		if got := TokenOf([]byte(args)); got != want {
			t.Errorf("TokenOf(%s) = %q, want %q", args, got, want)
		}
	}
}

func TestAnAlarmIsConfirmedWithItsOwnSN(t *testing.T) {
	body := string(AlarmConfirmation(4711, "34020000001340000001").Encode(1, target, Peer{}))
	for _, want := range []string{"<Response>", "<CmdType>Alarm</CmdType>", "<SN>4711</SN>", "<DeviceID>34020000001340000001</DeviceID>", "<Result>OK</Result>"} {
		if !strings.Contains(body, want) {
			t.Errorf("%s wants %s", body, want)
		}
	}
}

func FuzzCommandArguments(f *testing.F) {
	for _, c := range commandCases {
		f.Add(c.name, !c.onDevice, []byte(c.args))
	}
	f.Add("diagnose", false, []byte(`{}`))
	f.Add("subscribe", false, []byte(`{"kind":"alarm","expires":600}`))
	f.Fuzz(func(t *testing.T, name string, onChannel bool, args []byte) {
		TokenOf(args)
		cmd, why := ParseCommand(name, onChannel, args)
		if (cmd == nil) == (why == nil) {
			t.Fatalf("%s %q: %v and %v", name, args, cmd, why)
		}
		if why != nil {
			if why.Message == "" || why.Code < 400 {
				t.Fatalf("%s %q: refused with %+v", name, args, why)
			}
			return
		}
		if (cmd.Local != nil) != (cmd.Encode == nil) {
			t.Fatalf("%s %q: either the bridge answers it or a body is sent: %+v", name, args, cmd)
		}
		if cmd.Local != nil {
			return
		}
		m, err := gb28181.Decode(cmd.Encode(17, target, Peer{}))
		if err != nil || m.SN != 17 {
			t.Fatalf("%s %q: the body is not readable: %v\n%s", name, args, err, cmd.Encode(17, target, Peer{}))
		}
		if len(cmd.Token) > maxToken || cmd.Timeout <= 0 || cmd.Timeout > maxTimeout*time.Millisecond {
			t.Fatalf("%s %q: %+v", name, args, cmd)
		}
	})
}
