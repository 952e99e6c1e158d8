package mapping

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// What a device told of a configuration, written back and told again, is the same.
func TestWhatWasReadCanBeWrittenBack(t *testing.T) {
	samples, err := filepath.Glob("gb28181/testdata/configdownload/*.xml")
	if err != nil || len(samples) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	written := 0
	for _, sample := range samples {
		body, err := os.ReadFile(sample)
		if err != nil {
			t.Fatal(err)
		}
		m, err := gb28181.Decode(body)
		if err != nil {
			t.Fatal(err)
		}
		told := Fields(m)
		for _, c := range Configurations {
			value, there := told[c.Name]
			if !there || !c.write || filepath.Base(sample) == "basicparam-nonsense.xml" {
				continue
			}
			field, why := c.Encode(c.Prune(value))
			if why != nil {
				t.Errorf("%s: %s: %v", sample, c.Name, why)
				continue
			}
			again, err := gb28181.Decode(gb28181.Control{CmdType: "DeviceConfig", DeviceID: target, Fields: []gb28181.Field{field}}.Encode(1, gb28181.UTF8))
			if err != nil {
				t.Fatal(err)
			}
			if got := Fields(again)[c.Name]; !Covered(got, c.Prune(value)) {
				t.Errorf("%s: %s is\n%v\nwritten back\n%v", sample, c.Name, value, got)
			}
			written++
		}
	}
	if written < 7 {
		t.Errorf("%d configurations were written back, want those of all samples", written)
	}
}

func TestCoveredLooksAtWhatIsWantedAlone(t *testing.T) {
	for _, c := range []struct {
		got, want string
		covered   bool
	}{
		{`{"a":1,"b":2}`, `{"a":1.0}`, true},
		{`{"a":1}`, `{"a":1,"b":null}`, true},
		{`{"a":1}`, `{"a":"1"}`, false},
		{`{"a":[{"x":1,"y":2}]}`, `{"a":[{"x":1}]}`, true},
		{`{"a":[{"x":1},{"x":2}]}`, `{"a":[{"x":1}]}`, false},
		{`{"a":true}`, `{"a":{"b":true}}`, false},
	} {
		if got := Covered(object(t, c.got), object(t, c.want)); got != c.covered {
			t.Errorf("%s covers %s: %v, want %v", c.got, c.want, got, c.covered)
		}
	}
}

func TestPartsAreCompleteOnceAllHaveCome(t *testing.T) {
	response := func(inner string) *gb28181.Message {
		m, err := gb28181.Decode([]byte("<Response><CmdType>ConfigDownload</CmdType><SN>1</SN><DeviceID>" + target + "</DeviceID><Result>OK</Result>" + inner + "</Response>"))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	basic, _ := FindConfiguration("basic")
	osd, _ := FindConfiguration("OSDConfig")
	p := NewParts([]Configuration{basic, osd})
	p.Add(response("<BasicParam><Name>a</Name></BasicParam>"))
	if p.Complete() || !reflect.DeepEqual(p.Fields()["missing"], []string{"osd"}) {
		t.Errorf("with one of two: %v", p.Fields())
	}
	p.Add(response("<OSDConfig><Length>5</Length></OSDConfig>"))
	if !p.Complete() || p.Fields()["basic"] == nil || p.Fields()["osd"] == nil || p.Fields()["partial"] != nil {
		t.Errorf("with both: %v", p.Fields())
	}
	// Uniview names the element as it likes.
	p = NewParts([]Configuration{osd})
	p.Add(response("<OSDCfg><Length>5</Length></OSDCfg>"))
	if got := p.Fields()["osd"]; !p.Complete() || !reflect.DeepEqual(got, map[string]any{"length": int64(5)}) {
		t.Errorf("under another name: %v", p.Fields())
	}
}

// A list that a wish leaves out is read first: written without it, it would be cleared.
func TestAListThatIsNotNamedIsMissing(t *testing.T) {
	for name, want := range map[string][]string{
		"picture_mask": {"regions"}, "osd": {"length", "width", "time_x", "time_y", "items"}, "alarm_report": {"field_detection"}, "basic": nil,
	} {
		c, _ := FindConfiguration(name)
		value := object(t, `{"on":true,"text_enable":true,"motion_detection":true}`)
		if got := c.Missing(value); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v is missing, want %v", name, got, want)
		}
	}
}

// A device that confirms a config_set has what was set: its shadow need not wait to be read back.
func TestConfirmedConfigurationIsReportedAsItStandsThen(t *testing.T) {
	c, why := ParseCommand("config_set", true, []byte(`{"FrameMirror":2,"picture_mask":{"on":false},
		"snapshot":{"snap_num":1,"interval":1,"upload_url":"http://10.0.0.2/","session_id":"0123456789abcdef0123456789abcdef"}}`))
	if why != nil {
		t.Fatal(why)
	}
	got, err := json.Marshal(c.Reported)
	if want := `{"config":{"mirror":2,"picture_mask":{"on":false,"regions":[]}}}`; err != nil || string(got) != want {
		t.Errorf("reported %s, want %s", got, want)
	}
}

// A recording plan with its segments would lie seven levels deep.
func TestRecordingPlanFitsIntoAShadow(t *testing.T) {
	body, err := os.ReadFile("gb28181/testdata/configdownload/recordplan.xml")
	if err != nil {
		t.Fatal(err)
	}
	m, err := gb28181.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	patch, err := json.Marshal(ConfigPatch(m))
	if want := `"time_segments":["00:00:00-12:00:00","18:30:00-23:59:59"]`; err != nil || !strings.Contains(string(patch), want) {
		t.Errorf("reported is %s, want %s", patch, want)
	}
	plan, _ := FindConfiguration("record_plan")
	texts := map[string]any{"record_enable": true, "stream_number": 0, "record_schedules": []any{
		map[string]any{"week_day_num": 1, "time_segments": []any{"00:00:00-12:00:00", "18:30:00-23:59:59"}}}}
	segment := func(n ...int) map[string]any {
		return map[string]any{"start_hour": n[0], "start_min": n[1], "start_sec": n[2], "stop_hour": n[3], "stop_min": n[4], "stop_sec": n[5]}
	}
	objects := map[string]any{"record_enable": true, "stream_number": 0, "record_schedules": []any{
		map[string]any{"week_day_num": 1, "time_segments": []any{segment(0, 0, 0, 12, 0, 0), segment(18, 30, 0, 23, 59, 59)}}}}
	a, why := plan.Encode(texts)
	b, why2 := plan.Encode(objects)
	if why != nil || why2 != nil || !reflect.DeepEqual(a, b) || !reflect.DeepEqual(plan.Brief(objects), texts) {
		t.Errorf("%v %v: texts become %+v, objects %+v", why, why2, a, b)
	}
	for _, wrong := range []any{"8-18", "08:00:00-25:00:00", 5, map[string]any{}} {
		texts["record_schedules"].([]any)[0].(map[string]any)["time_segments"] = []any{wrong}
		if _, why := plan.Encode(texts); why == nil || why.Code != CodeBadRequest {
			t.Errorf("%v was taken: %v", wrong, why)
		}
	}
}
