package mapping

import (
	"strings"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

func TestSpeedsAreScaledToWhatADeviceTakes(t *testing.T) {
	pelco := Peer{Speeds: Speeds{Pan: 63, Tilt: 63, Zoom: 7, Focus: 127, Iris: 127}}
	for _, c := range []struct {
		name, args string
		want       gb28181.PTZ
	}{
		{"ptz", `{"pan":255,"tilt":-255,"zoom":15}`, gb28181.Move{Pan: 63, Tilt: -63, Zoom: 7}},
		{"ptz", `{"pan":-128,"tilt":1,"zoom":-1}`, gb28181.Move{Pan: -32, Tilt: 1, Zoom: -1}},
		{"ptz", `{"pan":0}`, gb28181.Move{}},
		{"focus", `{"speed":-255}`, gb28181.Focus{Speed: -127}},
		{"iris", `{"speed":2}`, gb28181.Iris{Speed: 1}},
		{"preset", `{"action":"call","id":255}`, gb28181.Preset{Action: gb28181.PresetCall, ID: 255}},
	} {
		cmd, why := ParseCommand(c.name, true, []byte(c.args))
		if why != nil {
			t.Fatal(why)
		}
		if body := string(cmd.Encode(1, target, pelco)); !strings.Contains(body, "<PTZCmd>"+c.want.PTZCmd()+"</PTZCmd>") {
			t.Errorf("%s %s is\n%s\nwant %+v", c.name, c.args, body, c.want)
		}
	}
	cmd, _ := ParseCommand("ptz", true, []byte(`{"pan":255}`))
	if body := string(cmd.Encode(1, target, Peer{})); !strings.Contains(body, gb28181.Move{Pan: 255}.PTZCmd()) {
		t.Errorf("without a quirk it is\n%s", body)
	}
}

func TestAnIFrameIsSpeltAsTheDeviceSpellsIt(t *testing.T) {
	cmd, _ := ParseCommand("iframe", true, nil)
	for want, p := range map[string]Peer{
		"<IFameCmd>":  {GBVersion: "3.0", IFrame: "IFameCmd"},
		"<IFrameCmd>": {GBVersion: "2.0", IFrame: "IFrameCmd"},
	} {
		if body := string(cmd.Encode(1, target, p)); !strings.Contains(body, want+"Send</") {
			t.Errorf("%+v gets\n%s", p, body)
		}
	}
}

func TestTimesAreWrittenAndReadByTheDevicesClock(t *testing.T) {
	utc := time.FixedZone("UTC", 0)
	cmd, why := ParseCommand("records", true, []byte(`{"start":"2026-09-23T08:00:00","end":"2026-09-23T09:00:00"}`))
	if why != nil {
		t.Fatal(why)
	}
	if body := string(cmd.Encode(1, target, Peer{Zone: utc})); !strings.Contains(body, "<StartTime>2026-09-23T00:00:00</StartTime>") {
		t.Errorf("asked with\n%s", body)
	}
	m, err := gb28181.Decode([]byte("<Response><CmdType>RecordInfo</CmdType><SN>1</SN><SumNum>1</SumNum><RecordList Num='1'><Item>" +
		"<DeviceID>" + target + "</DeviceID><StartTime>2026-09-23T00:00:00</StartTime></Item></RecordList></Response>"))
	if err != nil {
		t.Fatal(err)
	}
	m.Zone = utc
	records, _ := Fields(m)["records"].([]any)
	if len(records) != 1 || records[0].(map[string]any)["start_time"] != time.Date(2026, 9, 23, 0, 0, 0, 0, utc).UnixMilli() {
		t.Errorf("read as %v", records)
	}
}
