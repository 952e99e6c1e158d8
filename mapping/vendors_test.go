package mapping

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// vendorQuirks are what devices get wrong in bodies: who does so, where it was seen, its sample, and
// what it must come to. Those of SIP are in bridge/fleet, those of conduct in test.
var vendorQuirks = []struct {
	who, what, seen string
	sample          string            // in gb28181/testdata, without .xml
	want            map[string]string // by path among the fields; "-" for nothing
	channels        string            // how many channels a catalogue has, and of them online
}{
	{who: "Hikvision", what: "Status of a keepalive within Info", seen: "gowvp/owl PR #64", sample: "keepalive/hik-status-in-info", want: map[string]string{"status": "OK"}},
	{who: "Hikvision", what: "control bytes and a stray < in Address", seen: "wvp #903", sample: "catalog/hik-dirty-address", want: map[string]string{"channels.0.address": "\uFFFD<KP\uFFFD <KL\uFFFD", "channels.0.name": "Camera 01", "faulty": "true"}},
	{who: "Hikvision", what: "& that is not escaped", seen: "wvp", sample: "catalog/unescaped-ampersand", want: map[string]string{"channels.0.name": "1F & 2F & roof"}},
	{who: "Hikvision", what: "Parental 65535", seen: "wvp XmlUtil", sample: "catalog/words", want: map[string]string{"channels.0.parental": "true", "channels.1.parental": "false"}},
	{who: "Hikvision DS-7716N", what: "Status ONLINE, OFFLINE", seen: "wvp XmlUtil", sample: "catalog/words", want: map[string]string{"channels.0.status": "ONLINE"}, channels: "2, 1 online"},
	{who: "Hikvision", what: "Status OK; missing counts as ON", seen: "wvp XmlUtil", sample: "catalog/hik-placeholders", channels: "2, 2 online"},
	{who: "Hikvision", what: "ParentID is the platform's, or missing", seen: "wvp #21, PR #492, PR #527", sample: "catalog/hik-placeholders", want: map[string]string{"channels.0.parent_id": "34020000002000000001", "channels.1.parent_id": "-"}, channels: "2, 2 online"},
	{who: "Hikvision", what: "placeholders and null for values", seen: "wvp #903, #554", sample: "catalog/hik-placeholders", want: map[string]string{"channels.0.civil_code": "CivilCode", "channels.0.block": "null", "channels.0.longitude": "-"}},
	{who: "Hikvision 2022", what: "PTZPosition refused with a Reason, where the schema has no Result", seen: "Frank-Coding97/uvp-gb28181", sample: "ptzposition/response-refused", want: map[string]string{"refused": "ERROR: Cann't get ptz position"}},
	{who: "Hikvision 2022", what: "MobilePosition as a list", seen: "wvp #2164", sample: "mobileposition/2022-list", want: map[string]string{"channels.0.device_id": "34020000001310000001", "positions": "2"}},
	{who: "Dahua 2016", what: "HomePositionQuery answered as HomePosition", seen: "Frank-Coding97/uvp-gb28181", sample: "homepositionquery/dahua-cmdtype", want: map[string]string{"CmdType": "HomePositionQuery", "home_position.enabled": "false"}},
	{who: "Uniview", what: "cameras with the types 119 to 129", seen: "Monibuca/plugin-gb28181 PR #81", sample: "catalog/uniview-type-119", channels: "2, 2 online"},
	{who: "Tiandy", what: "an unasked Catalog of one item", seen: "wvp #1425", sample: "catalog/tiandy-unasked", channels: "1, 0 online"},
	{who: "mobile devices, apps", what: "a position that is null", seen: "wvp #659", sample: "mobileposition/null", want: map[string]string{"longitude": "-", "positions": "0"}},
	{who: "mobile devices, apps", what: "a position that is empty", seen: "wvp #659", sample: "mobileposition/no-fix", want: map[string]string{"positions": "0"}},
	{who: "mobile devices, apps", what: "TargetID instead of DeviceID", seen: "wvp #1595", sample: "mobileposition/targetid", want: map[string]string{"positions": "1"}},
	{who: "small vendors", what: "MobilePosition under the root Response", seen: "field", sample: "mobileposition/response-root", want: map[string]string{"positions": "1"}},
	{who: "any", what: "DeviceID before CmdType", seen: "field", sample: "mobileposition/deviceid-first", want: map[string]string{"CmdType": "MobilePosition", "positions": "1"}},
	{who: "lower platforms", what: "end tags twice", seen: "wvp #1320", sample: "catalog/doubled-end-tag", want: map[string]string{"faulty": "true"}, channels: "1, 1 online"},
	{who: "lower platforms", what: "NUL behind the body", seen: "wvp #1320", sample: "keepalive/trailing-nul", want: map[string]string{"status": "OK"}},
	{who: "lower platforms", what: "regions, groups and organisations among the channels", seen: "GB28181-2022 Annex J", sample: "catalog/tree", channels: "1, 1 online"},
	{who: "any", what: "illegal heartbeat parameters", seen: "wvp PR #2220", sample: "configdownload/basicparam-nonsense", want: map[string]string{"heartbeat": "-1s 0"}},
	{who: "any", what: "a password in BasicParam", seen: "2016 devices", sample: "configdownload/basicparam-password", want: map[string]string{"basic.password": "-"}},
	{who: "Uniview", what: "another element than the ConfigType asked for", seen: "wvp", sample: "configdownload/uniview-element-name", want: map[string]string{"parts": "complete"}},
	{who: "any", what: "SnapShot for SnapShotConfig", seen: "GB28181-2022 A.2.6.9", sample: "configdownload/snapshot-name", want: map[string]string{"snapshot.snap_num": "3"}},
	{who: "any", what: "Result Ok", seen: "field", sample: "devicecontrol/ok-in-other-letters", want: map[string]string{"refused": ""}},
	{who: "any", what: "Result Failed", seen: "field", sample: "devicecontrol/error-word", want: map[string]string{"refused": "Failed"}},
	{who: "2011 devices", what: "FirmWare, MaxCamera", seen: "field", sample: "deviceinfo/2011-names", want: map[string]string{"info.firmware": "1.0", "info.channels": "8"}},
	{who: "any", what: "AlarmStatus for Alarmstatus", seen: "field", sample: "devicestatus/fault", want: map[string]string{"alarm_status.0.duty_status": "ALARM"}},
	{who: "any", what: "AlarmType beside Info", seen: "field", sample: "alarm/type-top-level", want: map[string]string{"alarm_type_name": "motion"}},
	{who: "any", what: "words for codes and times, EventType outside AlarmTypeParam", seen: "field", sample: "alarm/words", want: map[string]string{"alarm_priority_text": "high", "alarm_time_text": "yesterday", "event_type_name": "leave"}},
	{who: "2016 devices", what: "Info twice: free text, and the holder of the type; an empty priority; a time with Z", seen: "field", sample: "alarm/info-twice", want: map[string]string{"extra.Info": "zone 3", "alarm_type_name": "tamper", "alarm_priority": "-", "alarm_time": "1.79015095e+12"}},
	{who: "any", what: "free text in a keepalive's Info", seen: "field", sample: "keepalive/info-text", want: map[string]string{"status": "OK", "extra.Info": "uptime 4711"}},
	{who: "any", what: "a channel's DeviceID in a keepalive", seen: "field", sample: "keepalive/channels-id", want: map[string]string{"status": "OK"}},
	{who: "any", what: "tags in lower case", seen: "field", sample: "keepalive/lowercase-tags", want: map[string]string{"CmdType": "Keepalive"}},
	{who: "any", what: "GBK that is declared UTF-8", seen: "field", sample: "catalog/gbk-declared-utf8", want: map[string]string{"channels.0.name": "三号楼电梯口"}},
	{who: "phones, test tools", what: "UTF-8 that is declared GB2312", seen: "field", sample: "alarm/utf8-declared-gb2312", want: map[string]string{"encoding": "UTF-8"}},
	{who: "any", what: "names cut within a character", seen: "field", sample: "catalog/gbk-rare-truncated", channels: "1, 1 online"},
	{who: "any", what: "no SumNum", seen: "field", sample: "catalog/no-sumnum", want: map[string]string{"sum_num": "-"}, channels: "1, 1 online"},
	{who: "small vendors", what: "Status instead of Event", seen: "field", sample: "catalog/notify-status-not-event", want: map[string]string{"event": "ON"}},
	{who: "small vendors", what: "Event in lower case", seen: "field", sample: "catalog/notify-lowercase-event", want: map[string]string{"event": "OFF"}},
	{who: "vendors", what: "elements and a CmdType of their own", seen: "field", sample: "unknown/vendor", want: map[string]string{"cmd_type": "AcmeTemperature"}},
	{who: "vendors", what: "elements of their own beside the standard's", seen: "field", sample: "alarm/extra-elements", want: map[string]string{"extra.AcmeScore": "0.93", "alarm_type_name": "covered"}},
}

// read is everything that a sample comes to, by the paths of vendorQuirks.
func read(t *testing.T, sample string) (all any, m *gb28181.Message) {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("gb28181", "testdata", filepath.FromSlash(sample)+".xml"))
	if err != nil {
		t.Fatal(err)
	}
	if m, err = gb28181.Decode(body); err != nil {
		t.Fatal(err)
	}
	fields := Fields(m)
	fields["CmdType"], fields["faulty"], fields["encoding"] = m.CmdType, m.Faulty, m.Encoding.String()
	_, fields["refused"] = m.Refused()
	switch b := m.Body.(type) {
	case *gb28181.Catalog:
		fields["event"] = b.Items[0].Event
	case *gb28181.DeviceInfo:
		fields["info"] = InfoPatch(b)
	}
	switch m.CmdType {
	case "MobilePosition":
		fields["positions"] = len(Positions(m))
	case "ConfigDownload":
		interval, misses, _ := HeartbeatOf(ConfigPatch(m))
		fields["heartbeat"] = fmt.Sprint(interval, " ", misses)
		osd, _ := FindConfiguration("osd")
		parts := NewParts([]Configuration{osd})
		if parts.Add(m); parts.Complete() {
			fields["parts"] = "complete"
		}
	}
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all, m
}

func TestQuirksOfVendorsAreHealed(t *testing.T) {
	for _, q := range vendorQuirks {
		t.Run(q.who+": "+q.what, func(t *testing.T) {
			all, m := read(t, q.sample)
			for path, want := range q.want {
				if got := fmt.Sprint(valueAt(all, path)); got != want {
					t.Errorf("%s (seen in %s): %s is %s, want %s", q.sample, q.seen, path, got, want)
				}
			}
			if c, is := m.Body.(*gb28181.Catalog); is && q.channels != "" {
				channels, online := gb28181.Channels(m.DeviceID, c.Items), 0
				for _, ch := range channels {
					if gb28181.StatusOnline(ch.Status) {
						online++
					}
				}
				if got := fmt.Sprintf("%d, %d online", len(channels), online); got != q.channels {
					t.Errorf("%s: channels %s, want %s", q.sample, got, q.channels)
				}
			}
		})
	}
}

// valueAt follows a dotted path into JSON; "-" for nothing.
func valueAt(v any, path string) any {
	for key := range strings.SplitSeq(path, ".") {
		switch inner := v.(type) {
		case map[string]any:
			v = inner[key]
		case []any:
			n := -1
			if _, err := fmt.Sscan(key, &n); err != nil || n < 0 || n >= len(inner) {
				return "-"
			}
			v = inner[n]
		default:
			return "-"
		}
	}
	if v == nil {
		return "-"
	}
	return v
}

// FuzzFields holds that whatever a device says becomes JSON, by whichever way it is looked at.
func FuzzFields(f *testing.F) {
	files, err := filepath.Glob("gb28181/testdata/*/*.xml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no samples: %v", err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, _ := gb28181.Decode(body)
		list, parts := NewList(10), NewParts(Configurations)
		for range 2 {
			list.Add(m)
			parts.Add(m)
		}
		_, items := list.Items()
		if len(items) > 10 {
			t.Errorf("%d items, 10 are accepted", len(items))
		}
		seen := []any{Fields(m), list.Fields(), items, parts.Fields(), ConfigPatch(m), PTZPatch(m), Positions(m)}
		switch b := m.Body.(type) {
		case *gb28181.Catalog:
			for _, item := range b.Items {
				seen = append(seen, CatalogFields(item))
			}
		case *gb28181.DeviceInfo:
			seen = append(seen, InfoPatch(b))
		case *gb28181.DeviceStatus:
			seen = append(seen, StatusPatch(m, b))
		}
		HeartbeatOf(ConfigPatch(m))
		if text, err := json.Marshal(seen); err != nil {
			t.Errorf("not JSON: %v", err)
		} else if strings.Contains(strings.ToLower(string(text)), `"password":`) {
			t.Errorf("a password shows: %s", text)
		}
	})
}
