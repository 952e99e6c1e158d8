package camera

import (
	"strings"
	"testing"
)

// written are configurations, each with what a camera must refuse instead.
var written = map[string][2]string{
	"VideoParamAttribute": {`<VideoParamAttribute Num="1"><Item><StreamNumber>0</StreamNumber><VideoFormat>2</VideoFormat><Resolution>6</Resolution><FrameRate>25</FrameRate><BitRateType>2</BitRateType></Item></VideoParamAttribute>`,
		"<VideoParamAttribute></VideoParamAttribute>"},
	"VideoRecordPlan": {"<VideoRecordPlan><RecordEnable>1</RecordEnable><RecordScheduleSumNum>1</RecordScheduleSumNum><RecordSchedule><WeekDayNum>1</WeekDayNum><TimeSegmentSumNum>1</TimeSegmentSumNum><TimeSegment><StartHour>8</StartHour><StartMin>0</StartMin><StartSec>0</StartSec><StopHour>18</StopHour><StopMin>0</StopMin><StopSec>0</StopSec></TimeSegment></RecordSchedule><StreamNumber>0</StreamNumber></VideoRecordPlan>",
		"<VideoRecordPlan><RecordEnable>1</RecordEnable><RecordScheduleSumNum>1</RecordScheduleSumNum><StreamNumber>0</StreamNumber></VideoRecordPlan>"},
	"VideoAlarmRecord": {"<VideoAlarmRecord><RecordEnable>1</RecordEnable><RecordTime>60</RecordTime><StreamNumber>0</StreamNumber></VideoAlarmRecord>",
		"<VideoAlarmRecord><RecordTime>60</RecordTime></VideoAlarmRecord>"},
	"PictureMask": {`<PictureMask><On>1</On><SumNum>1</SumNum><RegionList Num="1"><Item><Seq>1</Seq><Point>20,30,50,60</Point></Item></RegionList></PictureMask>`,
		"<PictureMask><On>1</On><SumNum>2</SumNum></PictureMask>"},
	"FrameMirror": {"<FrameMirror>3</FrameMirror>", "<FrameMirror>4</FrameMirror>"},
	"AlarmReport": {"<AlarmReport><MotionDetection>0</MotionDetection><FieldDetection>1</FieldDetection></AlarmReport>",
		"<AlarmReport><MotionDetection>0</MotionDetection></AlarmReport>"},
	"OSDConfig": {"<OSDConfig><Length>1920</Length><Width>1080</Width><TimeX>1</TimeX><TimeY>2</TimeY><TimeEnable>0</TimeEnable><SumNum>1</SumNum><Item><Text>北门</Text><X>3</X><Y>4</Y></Item></OSDConfig>",
		"<OSDConfig><Length>1920</Length><Width>1080</Width><TimeX>1</TimeX><TimeY>2</TimeY></OSDConfig>"},
	"SnapShotConfig": {"<SnapShotConfig><SnapNum>2</SnapNum><Interval>1</Interval><UploadURL>http://10.0.0.2/snap</UploadURL><SessionID>5f2b1c1e-8b9a-4c7d-9a51-3f6d2e1c0b99</SessionID></SnapShotConfig>",
		"<SnapShotConfig><SnapNum>2</SnapNum><Interval>1</Interval><UploadURL>http://10.0.0.2/snap</UploadURL><SessionID>short</SessionID></SnapShotConfig>"},
	"SVACEncodeConfig": {"<SVACEncodeConfig><AudioParam><AudioRecognitionFlag>1</AudioRecognitionFlag></AudioParam></SVACEncodeConfig>", ""},
	"SVACDecodeConfig": {"<SVACDecodeConfig><SVCParam><SVCSTMMode>2</SVCSTMMode></SVCParam></SVACDecodeConfig>", ""},
}

func TestWhatIsConfiguredIsReadBack(t *testing.T) {
	p := newPlatform(t)
	registered(t, p, nil)
	plain := func(s string) string { return strings.ReplaceAll(s, "\r\n", "") }
	for kind, w := range written {
		factory := p.query("Query", "ConfigDownload", channel1, tag("ConfigType", kind)).find(kind)
		if factory == nil {
			t.Errorf("%s: a fresh camera has none", kind)
		}
		if e := p.query("Control", "DeviceConfig", channel1, w[0]); e.child("Result") != "OK" {
			t.Errorf("%s: %+v, want OK", kind, e)
		}
		if w[1] != "" {
			if e := p.query("Control", "DeviceConfig", channel1, w[1]); e.child("Result") != "ERROR" {
				t.Errorf("%s: %s was taken", kind, w[1])
			}
		}
		if got := p.query("Query", "ConfigDownload", channel1, tag("ConfigType", kind)).find(kind); got == nil || plain(got.write()) != w[0] {
			t.Errorf("%s reads back %v, want %s", kind, got, w[0])
		}
		if other := p.query("Query", "ConfigDownload", channel2, tag("ConfigType", kind)).find(kind); other == nil || plain(other.write()) == w[0] {
			t.Errorf("%s of another channel is %v", kind, other)
		}
	}
	both := p.query("Query", "ConfigDownload", channel1, tag("ConfigType", "BasicParam/VideoParamOpt/Nonsense"))
	if both.find("BasicParam") == nil || both.find("VideoParamOpt").child("DownloadSpeed") != "1/2/4" || both.find("Nonsense") != nil {
		t.Errorf("two types and an unknown one: %+v", both)
	}
}

func TestSnapshotEndsWithItsPictures(t *testing.T) {
	p := newPlatform(t)
	registered(t, p, nil)
	from := p.mark()
	p.query("Control", "DeviceConfig", channel1, written["SnapShotConfig"][0])
	m, _ := p.await(from, isCmd("UploadSnapShotFinished"))
	e := bodyOf(m)
	files := e.find("SnapShotList").children
	if e.child("SessionID") != "5f2b1c1e-8b9a-4c7d-9a51-3f6d2e1c0b99" || e.child("DeviceID") != channel1 || len(files) != 2 {
		t.Fatalf("told %s", m.body)
	}
	if id := files[1].text; len(id) != 41 || !strings.HasPrefix(id, channel1+"02") || !strings.HasSuffix(id, "02") {
		t.Errorf("file %q, want 41 digits of the channel's second picture", id)
	}
}

func TestUpgradeRestartsAndTellsHowItWent(t *testing.T) {
	const session = "0123456789abcdef0123456789abcdef"
	ask := func(maker string) string {
		return group("DeviceUpgrade", tag("Firmware", "V2"), tag("FileURL", "http://10.0.0.9/fw.bin"), tag("Manufacturer", maker), tag("SessionID", session))
	}
	p := newPlatform(t)
	registered(t, p, func(c *Config) { c.Manufacturer, c.Reboot = "ACME", 1 })
	from := p.mark()
	p.query("Control", "DeviceControl", deviceID, ask("ACME"))
	gone, at := p.await(from, func(m *message) bool { return m.method == "REGISTER" && m.header("expires") == "0" })
	back, at := p.await(at+1, func(m *message) bool { return m.method == "REGISTER" && m.header("expires") != "0" })
	m, _ := p.await(at, isCmd("DeviceUpgradeResult"))
	e := bodyOf(m)
	if e.child("SessionID") != session || e.child("UpgradeResult") != "OK" || e.child("Firmware") != "V2" || e.find("UpgradeFailedReason") != nil {
		t.Errorf("told %s", m.body)
	}
	if gone.header("call-id") == back.header("call-id") {
		t.Error("it did not restart")
	}
	if e := p.query("Query", "DeviceInfo", deviceID, ""); e.child("Firmware") != "V2" {
		t.Errorf("its firmware is %s", e.child("Firmware"))
	}
	from = p.mark()
	p.query("Control", "DeviceControl", deviceID, ask("Other"))
	m, _ = p.await(from, isCmd("DeviceUpgradeResult"))
	if e := bodyOf(m); e.child("UpgradeResult") != "ERROR" || e.child("UpgradeFailedReason") != "02" || e.child("Firmware") != "V2" {
		t.Errorf("a foreign package: %s", m.body)
	}
	if e := p.query("Control", "DeviceControl", deviceID, "<DeviceUpgrade><Firmware>V3</Firmware></DeviceUpgrade>"); e.child("Result") != "ERROR" {
		t.Errorf("half an upgrade was taken: %+v", e)
	}
}

func TestAlarmQueryIsAgreedTo(t *testing.T) {
	p := newPlatform(t)
	registered(t, p, nil)
	if e := p.query("Query", "Alarm", deviceID, tag("StartAlarmPriority", "0")); e.child("Result") != "OK" {
		t.Errorf("got %+v", e)
	}
}
