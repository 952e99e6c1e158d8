package camera

import (
	"strings"
	"testing"
)

// said are requests that only one edition has, each with a target and a body.
var said = []struct{ edition, root, cmd, rest string }{
	{Edition2022, "Query", "HomePositionQuery", ""}, {Edition2022, "Query", "CruiseTrackListQuery", ""},
	{Edition2022, "Query", "PTZPosition", ""}, {Edition2022, "Query", "SDCardStatus", ""},
	{Edition2022, "Control", "DeviceControl", tag("IFrameCmd", "Send")}, {Edition2022, "Control", "DeviceControl", tag("FormatSDCard", "0")},
	{Edition2022, "Control", "DeviceConfig", tag("FrameMirror", "1")},
	{Edition2016, "Query", "Alarm", ""}, {Edition2016, "Control", "DeviceControl", tag("IFameCmd", "Send")},
}

func TestEditionRefusesTheWordsOfTheOther(t *testing.T) {
	for _, edition := range []string{Edition2016, Edition2022, ""} {
		p := newPlatform(t)
		d := registered(t, p, func(c *Config) { c.Edition, c.Unknown = edition, Unknown400 })
		for _, s := range said {
			want := 400
			if s.edition == edition || edition == "" {
				want = 200
			}
			if m := p.ask("MESSAGE", channel1, mansRequest(s.root, s.cmd, channel1, s.rest)); m.code != want {
				t.Errorf("edition %q: %s %s %s was answered %d, want %d", edition, s.root, s.cmd, s.rest, m.code, want)
			}
		}
		e := p.query("Query", "ConfigDownload", channel1, tag("ConfigType", "OSDConfig"))
		if there := e.find("OSDConfig") != nil; e.child("Result") != "OK" || there == (edition == Edition2016) {
			t.Errorf("edition %q: OSDConfig is there: %v", edition, there)
		}
		if d.cfg.Edition != edition {
			t.Error("the edition was lost")
		}
	}
}

func TestEditionSettlesVersionCharsetAndRefusal(t *testing.T) {
	for edition, want := range map[string]struct {
		version, declared string
		unknown           int
	}{Edition2016: {"", "GB2312", 400}, Edition2022: {"3.0", "GB18030", 200}, "": {"", "GB2312", 200}} {
		p := newPlatform(t)
		registered(t, p, func(c *Config) { c.Edition = edition })
		m, _ := p.await(0, isMethod("REGISTER"))
		if v := m.header("x-gb-ver"); v != want.version {
			t.Errorf("edition %q shows X-GB-Ver %q, want %q", edition, v, want.version)
		}
		from := p.mark()
		p.query("Query", "DeviceInfo", deviceID, "")
		if m, _ := p.await(from, isCmd("DeviceInfo")); !strings.Contains(m.body, `encoding="`+want.declared+`"`) {
			t.Errorf("edition %q writes %.60q, want %s", edition, m.body, want.declared)
		}
		if m := p.ask("MESSAGE", deviceID, mansRequest("Query", "Nonsense", deviceID, "")); m.code != want.unknown {
			t.Errorf("edition %q answers what it does not know with %d, want %d", edition, m.code, want.unknown)
		}
	}
}
