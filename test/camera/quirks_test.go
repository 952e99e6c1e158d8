package camera

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// looks are quirks of SIP messages: what a request with a body must and must not have then.
var looks = map[Quirk]struct{ want, not string }{
	NoContentType:   {`\r\nContent-Length: `, `Content-Type`},
	NoContentLength: {`\r\nContent-Type: `, `Content-Length`},
	BareHeaders:     {`\r\nCall-ID: [0-9a-z]+\r\n`, `rport|Max-Forwards|User-Agent`},
	CompactHeaders:  {`\r\nv: .*\r\nf: .*\r\nt: .*\r\ni: (?s:.*)\r\nc: .*\r\nl: `, `Via|Call-ID`},
	LFLineEnds:      {`\nVia: .*\n`, `\nVia: .*\r\n`},
	RouteItself:     {`\r\nRoute: <sip:` + deviceID + `@`, `xxx`},
	ContactNowhere:  {`\r\nContact: <sip:0\.0\.0\.0:5060>\r\n`, `xxx`},
	FromItsAddress:  {`\r\nFrom: <sip:` + deviceID + `@127\.0\.0\.1:\d+>`, `xxx`},
}

func TestQuirksOfSIP(t *testing.T) {
	p := newPlatform(t)
	for q, look := range looks {
		d := started(t, p, func(c *Config) { c.Quirks = []Quirk{q} })
		raw := d.compose(outgoing{method: "MESSAGE", body: "<Notify></Notify>"}, d.link, "z9hG4bK1")
		if !regexp.MustCompile(look.want).Match(raw) || regexp.MustCompile(look.not).Match(raw) || !bytes.HasSuffix(raw, []byte("<Notify></Notify>")) {
			t.Errorf("%s: %q, want %s and not %s", q, raw, look.want, look.not)
		}
	}
}

// spellings are quirks of bodies: what is asked, and what the answer's bytes must and must not have.
var spellings = map[Quirk]struct{ cmd, rest, want, not string }{
	UTF8DeclaredGB2312:  {"Catalog", "", `encoding="GB2312"[^\x00]*大门`, `xxx`},
	GBKDeclaredUTF8:     {"Catalog", "", `encoding="UTF-8"`, `大门`},
	NoDeclaration:       {"Catalog", "", `^<Response>`, `xml`},
	CutNames:            {"DeviceInfo", "", `.`, `xxx`}, // TestNamesAreCutWithinACharacter
	ControlBytes:        {"Catalog", "", "\x01\x02", `xxx`},
	Unescaped:           {"Catalog", "", `A&B <1st`, `xxx`},
	DoubledItemEnd:      {"Catalog", "", `</Item>\s*</Item>`, `xxx`},
	TrailingNUL:         {"DeviceInfo", "", `</Response>\r\n\x00$`, `xxx`},
	LowerCaseTags:       {"DeviceInfo", "", `<response>\s*<cmdtype>DeviceInfo</cmdtype>`, `<[A-Z]`},
	DeviceIDFirst:       {"DeviceInfo", "", `<Response>\s*<DeviceID>.*\s*<CmdType>.*\s*<SN>`, `xxx`},
	WrongSN:             {"DeviceInfo", "", `<SN>10000\d\d</SN>`, `<SN>17</SN>`},
	NoResult:            {"DeviceInfo", "", `<Model>`, `<Result>`},
	ResultWords:         {"DeviceInfo", "", `<Result>Ok</Result>`, `xxx`},
	NoSumNum:            {"Catalog", "", `<DeviceList Num="2">`, `SumNum`},
	SumNumMore:          {"Catalog", "", `<SumNum>3</SumNum>`, `xxx`},
	SumNumZero:          {"Catalog", "", `<SumNum>0</SumNum>\s*<DeviceList Num="2">`, `xxx`},
	ListsItself:         {"Catalog", "", `<SumNum>3</SumNum>(?s:.*)<Item>\s*<DeviceID>` + deviceID + `<`, `xxx`},
	StatusWords:         {"Catalog", "", `<Status>ONLINE<(?s:.*)<Status>OFFLINE<`, `<Status>O(N|FF)<`},
	Parental65535:       {"Catalog", "", `<Parental>65535<`, `<Parental>0<`},
	ParentServer:        {"Catalog", "", `<ParentID>` + serverID + `<`, `<ParentID>` + deviceID + `<`},
	Placeholders:        {"Catalog", "", `<Owner>Owner</Owner>\s*<CivilCode>CivilCode</CivilCode>`, `xxx`},
	Names2011:           {"DeviceInfo", "", `<FirmWare>(?s:.*)<MaxCamera>2</MaxCamera>\s*<MaxAlarm>`, `<Channel>|Firmware`},
	PTZUnknown:          {"PTZPosition", "", `<Result>ERROR</Result>\s*<Reason>Cann't`, `<Pan>`},
	HomeCmdType:         {"HomePositionQuery", "", `<CmdType>HomePosition</CmdType>`, `xxx`},
	BasicOfDevice:       {"ConfigDownload", tag("ConfigType", "BasicParam"), `<HeartBeatCount>3<`, `xxx`},
	NonsenseHeartbeat:   {"ConfigDownload", tag("ConfigType", "BasicParam"), `<HeartBeatInterval>0<.*\s*<HeartBeatCount>-1<`, `xxx`},
	ConfigOtherwise:     {"ConfigDownload", tag("ConfigType", "OSDConfig"), `<OSDConfigInfo>(?s:.*)</OSDConfigInfo>`, `<OSDConfig>`},
	ConfigOneEach:       {"ConfigDownload", tag("ConfigType", "OSDConfig/FrameMirror"), `<OSDConfig>`, `FrameMirror`},
	SnapShotName:        {"ConfigDownload", tag("ConfigType", "SnapShotConfig"), `<SnapShot>(?s:.*)</SnapShot>`, `SnapShotConfig`},
	UnknownIsIgnored:    {"DeviceInfo", "", `.`, `xxx`}, // these three: TestQuirksOfUnknownCommands
	UnknownIsError:      {"Nonsense", "", `<Result>ERROR<`, `xxx`},
	UnknownIsBadRequest: {"DeviceInfo", "", `.`, `xxx`},
	BodyIn200:           {"DeviceInfo", "", `<Model>`, `xxx`},
}

func TestQuirksOfBodies(t *testing.T) {
	for q, s := range spellings {
		t.Run(string(q), func(t *testing.T) {
			t.Parallel()
			p := newPlatform(t)
			registered(t, p, func(c *Config) { c.Quirks, c.CatalogPerPacket = []Quirk{q}, 10 })
			from := p.mark()
			p.ask("MESSAGE", deviceID, mansRequest("Query", s.cmd, deviceID, s.rest))
			m, _ := p.await(from, func(m *message) bool { return strings.Contains(strings.ToLower(m.body), "<response>") })
			if !regexp.MustCompile(s.want).MatchString(m.body) || regexp.MustCompile(s.not).MatchString(m.body) {
				t.Errorf("got %q, want %s and not %s", m.body, s.want, s.not)
			}
			if inside := m.code == 200; inside != (q == BodyIn200) {
				t.Errorf("the Response came within the 200: %v", inside)
			}
		})
	}
}

func TestNamesAreCutWithinACharacter(t *testing.T) {
	p := newPlatform(t)
	registered(t, p, func(c *Config) { c.Quirks, c.Channels[0].Name = []Quirk{CutNames}, "x"+strings.Repeat("门", 20) })
	p.ask("MESSAGE", deviceID, mansRequest("Query", "Catalog", deviceID, ""))
	got, _ := p.await(0, isCmd("Catalog"))
	_, name, _ := strings.Cut(got.body, "<Name>")
	name, _, _ = strings.Cut(name, "</Name>")
	if len(name) != 32 {
		t.Errorf("%d bytes of the name, want 32: x, 15 characters and half of one", len(name))
	}
}

func TestQuirksOfUnknownCommands(t *testing.T) {
	for q, want := range map[Quirk]int{UnknownIsIgnored: 200, UnknownIsError: 200, UnknownIsBadRequest: 400} {
		p := newPlatform(t)
		registered(t, p, func(c *Config) { c.Quirks = []Quirk{q} })
		if m := p.ask("MESSAGE", deviceID, mansRequest("Query", "Nonsense", deviceID, "")); m.code != want {
			t.Errorf("%s: %d, want %d", q, m.code, want)
		}
		p.query("Query", "DeviceInfo", deviceID, "")
		if n := p.count(isCmd("Nonsense")); n != 0 && q == UnknownIsIgnored {
			t.Errorf("%s: %d Responses", q, n)
		}
	}
}

// deeds are quirks that show in what a device does.
var deeds = map[Quirk]func(t *testing.T, p *platform, with func(...func(*Config)) *Device){
	NewBranch: func(t *testing.T, p *platform, with func(...func(*Config)) *Device) {
		p.decide = func(m *message) int {
			if m.method == "MESSAGE" {
				return -1
			}
			return 0
		}
		d := with()
		d.keepalive(nil)
		first, at := p.await(0, isCmd("Keepalive"))
		again, _ := p.await(at+1, isCmd("Keepalive"))
		if first.branch() == again.branch() || first.header("call-id") != again.header("call-id") || first.header("cseq") != again.header("cseq") {
			t.Errorf("%q again as %q", first.branch(), again.branch())
		}
	},
	OtherPort: func(t *testing.T, p *platform, with func(...func(*Config)) *Device) {
		with()
		e := p.query("Query", "DeviceInfo", deviceID, "")
		m, _ := p.await(0, isCmd("DeviceInfo"))
		reg, _ := p.await(0, isMethod("REGISTER"))
		if e == nil || m.header("contact") == reg.header("contact") {
			t.Errorf("the Response came from %s, the REGISTER too", m.header("contact"))
		}
		if n := p.count(isCmd("DeviceInfo")); n != 1 {
			t.Errorf("%d Responses", n)
		}
	},
	ToTag481: func(t *testing.T, p *platform, with func(...func(*Config)) *Device) {
		with()
		raw, callID := request("MESSAGE", deviceID, mansRequest("Query", "DeviceInfo", deviceID, ""))
		p.send(bytes.Replace(raw, []byte("To: <sip:"+deviceID+"@3402000000>"), []byte("To: <sip:"+deviceID+"@3402000000>;tag=x"), 1))
		if m, _ := p.await(0, func(m *message) bool { return m.header("call-id") == callID }); m.code != 481 {
			t.Errorf("%d, want 481", m.code)
		}
	},
	NATNoise: func(t *testing.T, p *platform, with func(...func(*Config)) *Device) {
		d := with()
		if _, _, err := d.Keepalive(soon(t)); err != nil {
			t.Fatal(err)
		}
		if n := p.noise.Load(); n != int32(len(noise)) {
			t.Errorf("%d datagrams that are no SIP, want %d", n, len(noise))
		}
	},
	NoExpires: func(t *testing.T, p *platform, with func(...func(*Config)) *Device) {
		d := with()
		if m, _ := p.await(0, isMethod("REGISTER")); m.header("expires") != "" {
			t.Errorf("Expires %q", m.header("expires"))
		}
		if err := d.Unregister(soon(t)); err != nil {
			t.Error(err)
		}
	},
	IgnoresQop: func(t *testing.T, p *platform, with func(...func(*Config)) *Device) {
		with()
		if m, _ := p.await(0, func(m *message) bool { return m.header("authorization") != "" }); strings.Contains(m.header("authorization"), "qop") {
			t.Error(m.header("authorization"))
		}
	},
	NcAlways1: func(t *testing.T, p *platform, with func(...func(*Config)) *Device) {
		d := with()
		if err := d.Refresh(soon(t)); err != nil {
			t.Fatal(err)
		}
		if n := p.count(func(m *message) bool { return strings.Contains(m.header("authorization"), "nc=00000001") }); n != 2 {
			t.Errorf("nc is 1 %d times, want 2", n)
		}
	},
	NeedsAlgorithm: func(t *testing.T, p *platform, with func(...func(*Config)) *Device) {
		p.offers = []string{`Digest realm="3402000000", nonce="n1"`}
		d := started(t, p, func(c *Config) { c.Quirks = []Quirk{NeedsAlgorithm} })
		if err := d.Register(soon(t)); err == nil {
			t.Error("it answered a challenge without algorithm")
		}
	},
	LastChallenge: func(t *testing.T, p *platform, with func(...func(*Config)) *Device) {
		p.offers = []string{`Digest realm="3402000000", nonce="a", algorithm=SHA-256`, `Digest realm="3402000000", nonce="b", algorithm=MD5`}
		with(func(c *Config) { c.GBVersion = "3.0" })
		if m, _ := p.await(0, func(m *message) bool { return m.header("authorization") != "" }); !strings.Contains(m.header("authorization"), "algorithm=MD5") {
			t.Error(m.header("authorization"))
		}
	},
	OnlyKeepalives: func(t *testing.T, p *platform, with func(...func(*Config)) *Device) {
		with(func(c *Config) { c.Keepalive, c.Reboot = 20*time.Millisecond, time.Millisecond })
		p.ask("MESSAGE", deviceID, mansRequest("Control", "DeviceControl", deviceID, tag("TeleBoot", "Boot")))
		from := p.mark()
		p.await(from, isCmd("Keepalive"))
		if n := p.count(isMethod("REGISTER")); n != 2 {
			t.Errorf("%d REGISTERs, want the 2 of its start", n)
		}
	},
	KeepaliveInfoStatus: keepaliveHas(`<DeviceID>` + deviceID + `</DeviceID>\s*<Info>\s*<Status>OK</Status>\s*</Info>`),
	KeepaliveNoBody:     keepaliveHas(`^$`),
	KeepaliveOfChannel:  keepaliveHas(`<DeviceID>` + channel1 + `<`),
	AnswersAll: func(t *testing.T, p *platform, with func(...func(*Config)) *Device) {
		with()
		if e := p.query("Control", "DeviceControl", deviceID, tag("IFameCmd", "Send")); e.child("Result") != "OK" {
			t.Errorf("%+v", e)
		}
	},
	RepeatsPackets: func(t *testing.T, p *platform, with func(...func(*Config)) *Device) {
		with()
		p.ask("MESSAGE", deviceID, mansRequest("Query", "Catalog", deviceID, ""))
		_, at := p.await(0, isCmd("Catalog"))
		p.await(at+1, isCmd("Catalog"))
	},
	ShufflesList: func(t *testing.T, p *platform, with func(...func(*Config)) *Device) {
		if d := with(); !d.cfg.Shuffle {
			t.Error("lists are not shuffled")
		}
	},
	LateList: func(t *testing.T, p *platform, with func(...func(*Config)) *Device) {
		d := with()
		p.ask("MESSAGE", deviceID, mansRequest("Query", "Catalog", deviceID, ""))
		p.query("Query", "DeviceInfo", deviceID, "")
		d.clock.mu.Lock()
		defer d.clock.mu.Unlock()
		if !slices.ContainsFunc(d.clock.entries, func(e *entry) bool { u := time.Until(e.at); return u > lateAfter/2 && u <= lateAfter }) || p.count(isCmd("Catalog")) != 0 {
			t.Error("the Catalog is not planned for later")
		}
	},
	SlowList: func(t *testing.T, p *platform, with func(...func(*Config)) *Device) {
		with(func(c *Config) { c.Records, c.RecordsPerPacket = 2, 1 })
		began := time.Now()
		p.ask("MESSAGE", channel1, mansRequest("Query", "RecordInfo", channel1, allTime))
		_, at := p.await(0, isCmd("RecordInfo"))
		p.await(at+1, isCmd("RecordInfo"))
		if took := time.Since(began); took < slowBy {
			t.Errorf("the second packet came after %v, want %v or more", took, slowBy)
		}
	},
	StalledList: func(t *testing.T, p *platform, with func(...func(*Config)) *Device) {
		d := with(func(c *Config) { c.Records, c.RecordsPerPacket = 16, 1 })
		if sum := p.query("Query", "RecordInfo", channel1, allTime).child("SumNum"); sum != "16" {
			t.Errorf("SumNum %s", sum)
		}
		from := 0
		for range 14 {
			_, at := p.await(from, isCmd("RecordInfo"))
			from = at + 1
		}
		if err := d.Unregister(soon(t)); err != nil {
			t.Fatal(err)
		}
		if n := p.count(isCmd("RecordInfo")); n != 14 {
			t.Errorf("%d of 16 packets came, want 14", n)
		}
	},
	BrokenRecords: func(t *testing.T, p *platform, with func(...func(*Config)) *Device) {
		with(func(c *Config) { c.Records = 2 })
		p.ask("MESSAGE", channel1, mansRequest("Query", "RecordInfo", channel1, allTime))
		m, _ := p.await(0, func(m *message) bool { return strings.Contains(m.body, "RecordList") })
		if strings.Contains(m.body, "</Response>") || !strings.Contains(m.body, "</Item>") {
			t.Errorf("it does not break off: %s", m.body)
		}
	},
	OneRecordInfo: func(t *testing.T, p *platform, with func(...func(*Config)) *Device) {
		with(func(c *Config) { c.Records, c.ResponseDelay = 1, 50*time.Millisecond })
		for range 2 {
			p.ask("MESSAGE", channel1, mansRequest("Query", "RecordInfo", channel1, allTime))
		}
		p.await(0, isCmd("RecordInfo"))
		p.query("Query", "DeviceInfo", deviceID, "")
		if n := p.count(isCmd("RecordInfo")); n != 1 {
			t.Errorf("%d answers, want 1", n)
		}
	},
	WantsType: func(t *testing.T, p *platform, with func(...func(*Config)) *Device) {
		with(func(c *Config) { c.Records = 1 })
		p.ask("MESSAGE", channel1, mansRequest("Query", "RecordInfo", channel1, allTime))
		p.query("Query", "RecordInfo", channel1, allTime+tag("Type", "all"))
		if n := p.count(isCmd("RecordInfo")); n != 1 {
			t.Errorf("%d answers, want that to the query with Type", n)
		}
	},
	UnaskedCatalog: func(t *testing.T, p *platform, with func(...func(*Config)) *Device) {
		with()
		p.query("Query", "Catalog", deviceID, "")
		m, _ := p.await(0, func(m *message) bool { e := bodyOf(m); return isCmd("Catalog")(m) && e.child("SN") == "1" })
		if bodyOf(m).child("SumNum") != "1" {
			t.Error(m.body)
		}
	},
	RestartsOnConfig: func(t *testing.T, p *platform, with func(...func(*Config)) *Device) {
		d := with(func(c *Config) { c.Reboot = time.Millisecond })
		from := p.mark()
		p.ask("MESSAGE", deviceID, mansRequest("Control", "DeviceConfig", deviceID, "<BasicParam><Name>new</Name></BasicParam>"))
		_, at := p.await(from, func(m *message) bool { return m.method == "REGISTER" && m.header("expires") == "0" })
		p.await(at, func(m *message) bool { return m.method == "REGISTER" && m.header("expires") == "3600" })
		if d.name() != "new" || p.count(isCmd("DeviceConfig")) != 0 {
			t.Errorf("named %s, %d Responses; want it done and not answered", d.name(), p.count(isCmd("DeviceConfig")))
		}
	},
	AlarmOnlyGuarded: func(t *testing.T, p *platform, with func(...func(*Config)) *Device) {
		d := with()
		if _, err := d.Alarm(soon(t), Alarm{Channel: channel1}); !errors.Is(err, ErrNotGuarded) {
			t.Errorf("an unguarded alarm: %v", err)
		}
		p.query("Control", "DeviceControl", deviceID, tag("GuardCmd", "SetGuard"))
		if code, err := d.Alarm(soon(t), Alarm{Channel: channel1}); code != 200 {
			t.Errorf("guarded: %d, %v", code, err)
		}
	},
}

func TestQuirksThatLeaveThingsUndone(t *testing.T) {
	p := newPlatform(t)
	d := registered(t, p, func(c *Config) { c.Quirks = []Quirk{PTZUnknown, HomeCmdType, BasicOfDevice} })
	controlled(p, channel1, "<PTZPreciseCtrl><Pan>120</Pan></PTZPreciseCtrl>")
	controlled(p, channel1, "<HomePosition><Enabled>1</Enabled></HomePosition>")
	if s := d.Channel(channel1); s.Pan != 0 || s.Home.Enabled || p.count(isCmd("DeviceControl")) != 0 {
		t.Errorf("%+v after %d Responses; want nothing done, and none", s, p.count(isCmd("DeviceControl")))
	}
	if e := p.query("Query", "ConfigDownload", channel1, tag("ConfigType", "BasicParam")); e.find("BasicParam") != nil {
		t.Error("a channel has BasicParam")
	}
}

const allTime = "<StartTime>2000-01-01T00:00:00</StartTime><EndTime>2099-01-01T00:00:00</EndTime>"

func keepaliveHas(want string) func(t *testing.T, p *platform, with func(...func(*Config)) *Device) {
	return func(t *testing.T, p *platform, with func(...func(*Config)) *Device) {
		d := with()
		if _, _, err := d.Keepalive(soon(t)); err != nil {
			t.Fatal(err)
		}
		if m, _ := p.await(0, isMethod("MESSAGE")); !regexp.MustCompile(want).MatchString(m.body) {
			t.Errorf("%s, want %s", m.body, want)
		}
	}
}

func TestQuirksOfConduct(t *testing.T) {
	for q, check := range deeds {
		t.Run(string(q), func(t *testing.T) {
			t.Parallel()
			p := newPlatform(t)
			check(t, p, func(changes ...func(*Config)) *Device {
				return registered(t, p, func(c *Config) {
					c.Quirks = []Quirk{q}
					for _, change := range changes {
						change(c)
					}
				})
			})
		})
	}
}

func TestEveryQuirkIsShownAndNamed(t *testing.T) {
	for _, q := range Quirks() {
		_, a := looks[q.Name]
		_, b := spellings[q.Name]
		_, c := deeds[q.Name]
		_, d := notices[q.Name]
		_, e := words[q.Name]
		_, f := subscribing[q.Name]
		if !a && !b && !c && !d && !e && !f {
			t.Errorf("no test shows %s", q.Name)
		}
		if q.Who == "" || q.What == "" {
			t.Errorf("%s: nobody has it, or it does nothing: %+v", q.Name, q)
		}
	}
	if _, err := New(Config{ID: deviceID, ServerID: serverID, Server: "127.0.0.1:5060", Quirks: []Quirk{"nonsense"}}); err == nil || !strings.Contains(err.Error(), "wrong-sn") {
		t.Errorf("an unknown quirk: %v, want those that there are", err)
	}
}
