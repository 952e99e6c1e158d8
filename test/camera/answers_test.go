package camera

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestCatalogComesInPacketsEachAfterTheOneBefore(t *testing.T) {
	p := newPlatform(t)
	answered := make(chan struct{})
	p.decide = func(m *message) int {
		if isCmd("Catalog")(m) && m.method == "MESSAGE" {
			select {
			case <-answered:
			default:
				return -1 // the first packet waits
			}
		}
		return 0
	}
	registered(t, p, func(c *Config) { c.CatalogPerPacket = 1 })
	from := p.mark()
	first := p.query("Query", "Catalog", deviceID, "")
	item := first.find("DeviceList").find("Item")
	if first.child("SumNum") != "2" || first.child("SN") != "17" || item.child("DeviceID") != channel1 || item.child("Name") != "大门" {
		t.Errorf("first packet: %+v", item)
	}
	p.await(p.mark(), isCmd("Catalog")) // its retransmission: the second packet did not come before
	if p.count(func(m *message) bool {
		e := bodyOf(m)
		return e != nil && e.name == "Response" && itemID(e) == channel2
	}) != 0 {
		t.Error("the second packet did not wait for the 200 of the first")
	}
	close(answered)
	m, _ := p.await(from, func(m *message) bool { e := bodyOf(m); return e != nil && itemID(e) == channel2 })
	item = bodyOf(m).find("DeviceList").find("Item")
	if item.child("Name") != `A<B & "C"` || item.child("Status") != "OFF" || item.find("Info").child("PTZType") != "3" || item.child("Longitude") != "117.1" {
		t.Errorf("second packet: %s", m.body)
	}
}

func itemID(e *element) string {
	if l := e.find("DeviceList"); l != nil && l.find("Item") != nil {
		return l.find("Item").child("DeviceID")
	}
	return ""
}

func TestCatalogQuirks(t *testing.T) {
	p := newPlatform(t)
	registered(t, p, func(c *Config) { c.CatalogPerPacket, c.Repeat, c.Shuffle, c.LieSumNum = 1, true, true, 9 })
	from := p.mark()
	if e := p.query("Query", "Catalog", deviceID, ""); e.child("SumNum") != "9" {
		t.Errorf("SumNum %s, want the lie 9", e.child("SumNum"))
	}
	var ids []string
	calls := map[string]bool{}
	for len(ids) < 4 {
		m, at := p.await(from, func(m *message) bool { e := bodyOf(m); return e != nil && itemID(e) != "" })
		ids, from, calls[m.header("call-id")] = append(ids, itemID(bodyOf(m))), at+1, true
	}
	slices.Sort(ids)
	if want := []string{channel1, channel1, channel2, channel2}; !slices.Equal(ids, want) || len(calls) != 4 {
		t.Errorf("items %v in %d requests, want %v in 4", ids, len(calls), want)
	}
}

func TestEmptyCatalogHasNoList(t *testing.T) {
	p := newPlatform(t)
	registered(t, p, func(c *Config) { c.Channels = nil })
	if e := p.query("Query", "Catalog", deviceID, ""); e.child("SumNum") != "0" || e.find("DeviceList") != nil {
		t.Errorf("got %+v", e)
	}
}

func TestInfoAndStatusTellTheTruth(t *testing.T) {
	p := newPlatform(t)
	d := registered(t, p, func(c *Config) { c.Manufacturer, c.Encoding = "海康", "utf-8" })
	if e := p.query("Query", "DeviceInfo", deviceID, ""); e.child("Manufacturer") != "海康" || e.child("Channel") != "2" || e.child("Result") != "OK" {
		t.Errorf("DeviceInfo: %+v", e)
	}
	duty := func(e *element) string { return e.find("Alarmstatus").find("Item").child("DutyStatus") }
	if e := p.query("Query", "DeviceStatus", channel1, ""); e.child("Record") != "OFF" || duty(e) != "OFFDUTY" || e.child("Online") != "ONLINE" {
		t.Errorf("DeviceStatus at first: %+v", e)
	}
	if e := p.query("Query", "DeviceStatus", channel2, ""); e.child("Online") != "OFFLINE" {
		t.Errorf("a channel that is OFF is %s", e.child("Online"))
	}
	p.query("Control", "DeviceControl", channel1, tag("RecordCmd", "Record"))
	p.query("Control", "DeviceControl", channel1, tag("GuardCmd", "SetGuard"))
	if e := p.query("Query", "DeviceStatus", channel1, ""); e.child("Record") != "ON" && duty(e) != "ONDUTY" {
		t.Errorf("DeviceStatus after: %+v", e)
	}
	if _, err := d.Alarm(soon(t), Alarm{Channel: channel1}); err != nil {
		t.Fatal(err)
	}
	if s := d.Channel(channel1); !s.Alarm || !s.Recording || !s.Guard {
		t.Errorf("state %+v", s)
	}
	p.query("Control", "DeviceControl", channel1, tag("AlarmCmd", "ResetAlarm"))
	if d.Channel(channel1).Alarm {
		t.Error("ResetAlarm left the alarm")
	}
}

func TestPTZMovesAndPresetsAreKept(t *testing.T) {
	p := newPlatform(t)
	d := registered(t, p, nil)
	ptz := func(hex string) {
		t.Helper()
		if m := p.ask("MESSAGE", channel1, mansRequest("Control", "DeviceControl", channel1, tag("PTZCmd", hex))); m.code != 200 {
			t.Fatalf("%s: %d", hex, m.code)
		}
		p.query("Query", "DeviceStatus", channel1, "") // what it is asked next it answers after the command
	}
	ptz("A50F01811007004D") // byte 5 is not looked at in a preset
	ptz("A50F010964320054") // right and up
	if s := d.Channel(channel1); !s.Moving {
		t.Fatalf("not moving: %+v", s)
	}
	ptz("A50F0100000000B5")
	s := d.Channel(channel1)
	if s.Moving || s.Pan <= 0 || s.Tilt >= 0 {
		t.Errorf("after the stop: %+v", s)
	}
	if again := d.Channel(channel1); again.Pan != s.Pan {
		t.Error("it moves after the stop")
	}
	if e := p.query("Query", "PresetQuery", channel1, ""); e.child("SumNum") != "6" || len(e.find("PresetList").children) != 6 {
		t.Errorf("presets: %+v", e)
	}
	ptz("A50F01820007003E") // call
	if s := d.Channel(channel1); s.Preset != 7 || s.Pan != 0 || s.Tilt != 0 {
		t.Errorf("after the call: %+v", s)
	}
	ptz("A50F01830007003F") // delete
	if e := p.query("Query", "PresetQuery", channel1, ""); e.child("SumNum") != "5" {
		t.Errorf("after the deletion: %+v", e)
	}
	ptz("A50F018C01000042")
	if !d.Channel(channel1).Aux[1] || d.Channel(channel2).Moving {
		t.Error("aux 1 is off, or the wrong channel moved")
	}
}

func TestFreshCameraHasPresetsToCall(t *testing.T) {
	p := newPlatform(t)
	d := registered(t, p, nil)
	p.ask("MESSAGE", channel1, mansRequest("Control", "DeviceControl", channel1, tag("PTZCmd", "A50F01820003003A")))
	p.query("Query", "DeviceStatus", channel1, "") // what it is asked next it answers after the call
	if s := d.Channel(channel1); s.Preset != 3 || s.Pan != 144 || s.Zoom != 4 {
		t.Errorf("after calling preset 3 of a fresh camera: %+v", s)
	}
	list := p.query("Query", "PresetQuery", channel2, "").find("PresetList")
	if list == nil || len(list.children) != 5 || list.children[0].child("PresetName") != "大门" {
		t.Errorf("a fresh camera lists %+v, want five presets", list)
	}
}

func TestFailedControlWithoutResponseIsOnlyNoted(t *testing.T) {
	p := newPlatform(t)
	d := registered(t, p, nil)
	for _, hex := range []string{"A50F01820063009A", "A50F018C01000000"} { // preset 99 is not set; a wrong checksum
		p.ask("MESSAGE", channel1, mansRequest("Control", "DeviceControl", channel1, tag("PTZCmd", hex)))
	}
	p.query("Control", "DeviceControl", channel1, tag("GuardCmd", "SetGuard")) // what follows is answered
	if n := p.count(isCmd("DeviceControl")); n != 1 {
		t.Errorf("%d Responses, want the one to GuardCmd", n)
	}
	if f := d.State().Failures; len(f) != 2 || !strings.Contains(f[0], "preset 99") || !strings.Contains(f[1], "checksum") {
		t.Errorf("noted %q, want why each failed", f)
	}
}

func TestDecodePTZ(t *testing.T) {
	for text, want := range map[string]ptzCommand{
		"A50F01021F0000D6": {Group: "move", Pan: -31},
		"a50f01291f1f102c": {Group: "move", Pan: 31, Tilt: 31, Zoom: -1},
		"A50F01494040007E": {Group: "focus", Focus: 64, Iris: -64},
		"A50F018200FF0036": {Group: "preset", Action: "call", Number: 255},
		"A50F008D01000042": {Group: "aux", Action: "off", Number: 1},
	} {
		if got, err := decodePTZ(text); err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "A50F", "A60F01021F0000D7", "A50F01021F0000D7", "A50F01F00000005A", "zz"} {
		if got, err := decodePTZ(text); err == nil {
			t.Errorf("%q was read as %+v", text, got)
		}
	}
}

func TestRetransmittedControlIsCarriedOutOnce(t *testing.T) {
	p := newPlatform(t)
	d := registered(t, p, nil)
	raw, callID := request("MESSAGE", channel1, mansRequest("Control", "DeviceControl", channel1, tag("IFameCmd", "Send")+tag("IFrameCmd", "Send")))
	from := p.mark()
	for range 2 {
		p.send(raw)
		_, at := p.await(from, func(m *message) bool { return m.code == 200 && m.header("call-id") == callID })
		from = at + 1
	}
	if n := d.Channel(channel1).IFrames; n != 2 { // one for each spelling
		t.Errorf("%d key frames, want 2", n)
	}
}

func TestRefusalsAndUnknowns(t *testing.T) {
	p := newPlatform(t)
	registered(t, p, func(c *Config) { c.Refuse = func(cmd string) bool { return cmd == "GuardCmd" || cmd == "DeviceInfo" } })
	for _, q := range [][3]string{{"Control", "DeviceControl", tag("GuardCmd", "SetGuard")}, {"Query", "DeviceInfo", ""}, {"Query", "Nonsense", ""},
		{"Control", "DeviceControl", tag("RecordCmd", "Perhaps")}} {
		if e := p.query(q[0], q[1], deviceID, q[2]); e.child("Result") != "ERROR" {
			t.Errorf("%v: %+v, want Result ERROR", q, e)
		}
	}
	if m := p.ask("MESSAGE", deviceID, mansRequest("Query", "DeviceInfo", "34020000001319999999", "")); m.code != 404 {
		t.Errorf("an unknown channel: %d, want 404", m.code)
	}
	other := newPlatform(t)
	registered(t, other, func(c *Config) { c.Unknown = Unknown400 })
	if m := other.ask("MESSAGE", deviceID, mansRequest("Query", "Nonsense", deviceID, "")); m.code != 400 {
		t.Errorf("unknown CmdType: %d, want 400", m.code)
	}
}

func TestOtherMethods(t *testing.T) {
	p := newPlatform(t)
	registered(t, p, nil)
	for method, want := range map[string]int{"SUBSCRIBE": 489, "INVITE": 488, "OPTIONS": 200, "BYE": 481, "PUBLISH": 405} {
		m := p.ask(method, deviceID, "", "Expires: 3600")
		if m.code != want {
			t.Errorf("%s: %d, want %d", method, m.code, want)
		}
	}
	if m := p.ask("MESSAGE", deviceID, "<broken"); m.code != 400 {
		t.Errorf("a broken body: %d, want 400", m.code)
	}
}

func TestHookTakesARequestOver(t *testing.T) {
	p := newPlatform(t)
	registered(t, p, func(c *Config) {
		c.OnRequest = func(r *Request) bool { r.Answer(486); return r.CmdType == "Catalog" }
	})
	if m := p.ask("MESSAGE", deviceID, mansRequest("Query", "Catalog", deviceID, "")); m.code != 486 {
		t.Errorf("%d, want the hook's 486", m.code)
	}
}

func TestTeleBootUnregistersAndComesBackNew(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			p := newPlatform(t)
			d := registered(t, p, func(c *Config) {
				c.Transport, c.Server, c.Reboot = transport, p.udp.LocalAddr().String(), 20*time.Millisecond
			})
			from := p.mark()
			p.ask("MESSAGE", deviceID, mansRequest("Control", "DeviceControl", deviceID, tag("TeleBoot", "Boot")))
			gone, at := p.await(from, func(m *message) bool { return m.method == "REGISTER" && m.header("expires") == "0" })
			back, _ := p.await(at+1, func(m *message) bool { return m.method == "REGISTER" && m.header("expires") != "0" })
			if gone.header("call-id") == back.header("call-id") || back.header("authorization") != "" {
				t.Error("it came back with the Call-ID or the credentials of before")
			}
			if d.State().Reboots != 1 {
				t.Errorf("%d reboots", d.State().Reboots)
			}
		})
	}
}

func TestBasicParamChangesTheHeartbeat(t *testing.T) {
	p := newPlatform(t)
	d := registered(t, p, nil)
	if e := p.query("Control", "DeviceConfig", deviceID, "<BasicParam><HeartBeatInterval>30</HeartBeatInterval></BasicParam>"); e.child("Result") != "OK" {
		t.Fatalf("%+v", e)
	}
	b := p.query("Query", "ConfigDownload", deviceID, tag("ConfigType", "BasicParam")).find("BasicParam")
	if b.child("HeartBeatInterval") != "30" || b.child("HeartBeatCount") != "3" || d.State().Heartbeat != 30*time.Second {
		t.Errorf("BasicParam %+v, heartbeat %v", b, d.State().Heartbeat)
	}
	if e := p.query("Control", "DeviceConfig", deviceID, "<BasicParam><HeartBeatInterval>-1</HeartBeatInterval></BasicParam>"); e.child("Result") != "ERROR" {
		t.Errorf("a negative interval was taken: %+v", e)
	}
}

func TestPreciseControlAndHomePosition(t *testing.T) {
	p := newPlatform(t)
	registered(t, p, nil)
	p.ask("MESSAGE", channel1, mansRequest("Control", "DeviceControl", channel1, "<PTZPreciseCtrl><Pan>120.5</Pan><Zoom>99</Zoom></PTZPreciseCtrl>"))
	if e := p.query("Query", "PTZPosition", channel1, ""); e.child("Pan") != "120.50" || e.child("Zoom") != "30.00" {
		t.Errorf("position %+v", e)
	}
	p.query("Control", "DeviceControl", channel1, "<HomePosition><Enabled>1</Enabled><ResetTime>60</ResetTime><PresetIndex>3</PresetIndex></HomePosition>")
	if h := p.query("Query", "HomePositionQuery", channel1, "").find("HomePosition"); h.child("Enabled") != "1" || h.child("ResetTime") != "60" || h.child("PresetIndex") != "3" {
		t.Errorf("home position %+v", h)
	}
}

func TestDelaysAreKept(t *testing.T) {
	p := newPlatform(t)
	registered(t, p, func(c *Config) { c.AnswerDelay, c.ResponseDelay = 30*time.Millisecond, 60*time.Millisecond })
	began := time.Now()
	p.ask("OPTIONS", deviceID, "")
	if took := time.Since(began); took < 30*time.Millisecond {
		t.Errorf("answered after %v, want 30ms or more", took)
	}
	began = time.Now()
	p.query("Query", "DeviceInfo", deviceID, "")
	if took := time.Since(began); took < 60*time.Millisecond {
		t.Errorf("responded after %v, want 60ms or more", took)
	}
}

func TestManyHeardRequestsAreForgotten(t *testing.T) {
	p := newPlatform(t)
	d := registered(t, p, nil)
	for i := range heardMost + 10 {
		if m := p.ask("OPTIONS", deviceID, "", "X: "+strconv.Itoa(i)); m.code != 200 {
			t.Fatal(m.code)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.recent) > heardMost {
		t.Errorf("%d remembered, at most %d are wanted", len(d.recent), heardMost)
	}
}
