package camera

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// subscriber is the platform's end of one dialog.
type subscriber struct {
	p                  *platform
	callID, tag, event string
	cmd, rest          string
	cseq               int
}

// subscribe sends a SUBSCRIBE in s' dialog, or to begin it, and returns its answer.
func (s *subscriber) subscribe(expires int) *message {
	s.p.t.Helper()
	from := s.p.mark()
	s.cseq++
	body := mansRequest("Query", s.cmd, deviceID, s.rest)
	raw, _ := request("SUBSCRIBE", deviceID, body, "Event: "+s.event, "Contact: <sip:"+serverID+"@127.0.0.1:5060>", "Expires: "+strconv.Itoa(expires))
	text := string(raw)
	if s.callID == "" {
		_, after, _ := strings.Cut(text, "Call-ID: ")
		s.callID, _, _ = strings.Cut(after, "\r\n")
	}
	head, _, _ := strings.Cut(text, "Call-ID: ")
	_, tail, _ := strings.Cut(text, " SUBSCRIBE\r\nEvent")
	if s.tag != "" {
		head = strings.Replace(head, "To: <sip:"+deviceID+"@3402000000>", "To: <sip:"+deviceID+"@3402000000>;tag="+s.tag, 1)
	}
	s.p.send([]byte(fmt.Sprintf("%sCall-ID: %s\r\nCSeq: %d SUBSCRIBE\r\nEvent%s", head, s.callID, s.cseq, tail)))
	cseq := strconv.Itoa(s.cseq) + " SUBSCRIBE"
	m, _ := s.p.await(from, func(m *message) bool {
		return m.code > 0 && m.header("call-id") == s.callID && m.header("cseq") == cseq
	})
	s.tag = param(m.header("to"), "tag")
	return m
}

// notified waits for the n-th NOTIFY of s.
func (s *subscriber) notified(n int) *message {
	s.p.t.Helper()
	m, _ := s.p.await(0, func(m *message) bool {
		return m.method == "NOTIFY" && m.header("call-id") == s.callID && m.header("cseq") == strconv.Itoa(n)+" NOTIFY"
	})
	return m
}

func TestSubscriptionIsADialogUntilItIsEnded(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			p := newPlatform(t)
			d := registered(t, p, func(c *Config) {
				c.Transport, c.Server, c.SubscriptionMost = transport, p.udp.LocalAddr().String(), 1800*time.Second
				c.Channels[1].Status = "ON"
			})
			s := &subscriber{p: p, cmd: "Catalog", event: "Catalog;id=7"}
			if m := s.subscribe(3600); m.code != 200 || m.header("expires") != "1800" || s.tag == "" {
				t.Fatalf("%d with Expires %q and tag %q, want 200, 1800 and one", m.code, m.header("expires"), s.tag)
			}
			first := s.notified(1)
			if first.body != "" || first.header("event") != "Catalog;id=7" || first.header("subscription-state") != "active;expires=1800" ||
				param(first.header("from"), "tag") != s.tag || param(first.header("to"), "tag") != "p" || first.uri != "sip:"+serverID+"@127.0.0.1:5060" {
				t.Errorf("the first NOTIFY is %+v", first)
			}
			if code, err := d.ChangeCatalog(soon(t), Change{"OFF", Channel{ID: channel1}}, Change{"ADD", Channel{ID: "34020000001310000003", Name: "新"}}); code != 200 || err != nil {
				t.Fatalf("%d, %v", code, err)
			}
			if e := bodyOf(s.notified(2)).find("DeviceList"); len(e.children) != 2 || e.children[0].child("Event") != "OFF" || e.children[1].child("Event") != "ADD" || e.children[1].child("Name") != "新" {
				t.Errorf("notified %+v", e)
			}
			if m := s.subscribe(600); m.code != 200 || m.header("expires") != "600" {
				t.Errorf("refresh: %d with Expires %q", m.code, m.header("expires"))
			}
			if e := bodyOf(s.notified(3)).find("DeviceList"); len(e.children) != 1 || e.children[0].child("Event") != "OFF" {
				t.Errorf("a refresh tells %+v, want what is not on", e)
			}
			if is, live := d.Subscription("Catalog"); !live || is.Refreshes != 1 || is.Granted != 600*time.Second || is.Notified != 3 {
				t.Errorf("%+v, %v", is, live)
			}
			s.cseq = -1
			if m := s.subscribe(600); m.code != 500 {
				t.Errorf("a CSeq that goes back got %d, want 500", m.code)
			}
			s.cseq = 2
			if m := s.subscribe(0); m.code != 200 {
				t.Errorf("the end got %d", m.code)
			}
			if last := s.notified(4); last.header("subscription-state") != "terminated;reason=timeout" {
				t.Errorf("the last NOTIFY is %+v", last)
			}
			if _, err := d.ChangeCatalog(soon(t), Change{"ON", Channel{ID: channel1}}); !errors.Is(err, ErrNotSubscribed) {
				t.Errorf("%v, want %v", err, ErrNotSubscribed)
			}
			if m := s.subscribe(600); m.code != 481 {
				t.Errorf("a refresh after the end got %d, want 481", m.code)
			}
		})
	}
}

func TestSubscriptionEndsByItselfAndWithItsForgottenDialog(t *testing.T) {
	p := newPlatform(t)
	p.decide = func(m *message) int {
		if m.method == "NOTIFY" && bodyOf(m) != nil && bodyOf(m).child("AlarmDescription") == "nobody knows" {
			return 481
		}
		return 0
	}
	d := registered(t, p, nil)
	brief := &subscriber{p: p, cmd: "MobilePosition", event: "presence"}
	brief.subscribe(1)
	if e := bodyOf(brief.notified(1)); e.child("Longitude") == "" || e.child("Time") == "" {
		t.Errorf("the first position is %+v", e)
	}
	if m := brief.notified(2); m.header("subscription-state") != "terminated;reason=timeout" {
		t.Errorf("after Expires: %+v", m)
	}
	s := &subscriber{p: p, cmd: "Alarm", event: "presence", rest: tag("AlarmMethod", "5/6") + tag("StartAlarmPriority", "2") + tag("EndAlarmPriority", "3")}
	s.subscribe(3600)
	s.notified(1)
	for _, a := range []Alarm{{Method: 2, Priority: 2}, {Method: 5, Priority: 1}, {Method: 6, Priority: 4}} {
		a.Notify = true
		if _, err := d.Alarm(soon(t), a); !errors.Is(err, ErrNotSubscribed) {
			t.Errorf("%+v is told to who did not ask for it: %v", a, err)
		}
	}
	if code, err := d.Alarm(soon(t), Alarm{Notify: true, Method: 6, Type: 2, Priority: 3, Channel: channel1}); code != 200 || err != nil {
		t.Errorf("%d, %v", code, err)
	}
	if e := bodyOf(s.notified(2)); e.child("DeviceID") != channel1 || e.find("Info").child("AlarmType") != "2" {
		t.Errorf("the alarm is %+v", e)
	}
	if code, err := d.Alarm(soon(t), Alarm{Notify: true, Priority: 2, Description: "nobody knows"}); code != 481 || err != nil {
		t.Errorf("%d, %v", code, err)
	}
	if _, live := d.Subscription("Alarm"); live {
		t.Error("a subscription that the platform does not know lives on")
	}
}

func TestSubscriptionIsRefusedReplacedForgottenAndEndedByTheDevice(t *testing.T) {
	p := newPlatform(t)
	d := registered(t, p, func(c *Config) { c.RefuseSubscribe = map[string]int{"Alarm": 489, "MobilePosition": 403} })
	for cmd, want := range map[string]int{"Alarm": 489, "MobilePosition": 403, "Nonsense": 489} {
		if m := (&subscriber{p: p, cmd: cmd, event: "presence"}).subscribe(3600); m.code != want {
			t.Errorf("%s: %d, want %d", cmd, m.code, want)
		}
	}
	one, two := &subscriber{p: p, cmd: "PTZPosition", event: "presence"}, &subscriber{p: p, cmd: "PTZPosition", event: "presence"}
	one.subscribe(3600)
	two.subscribe(3600)
	if m := one.subscribe(3600); m.code != 481 {
		t.Errorf("the subscription before: %d, want 481", m.code)
	}
	if e := bodyOf(two.notified(1)); e.child("CmdType") != "PTZPosition" || e.child("Zoom") != "1.00" {
		t.Errorf("the first PTZ position is %+v", e)
	}
	p.ask("MESSAGE", channel1, mansRequest("Control", "DeviceControl", channel1, group("PTZPreciseCtrl", tag("Pan", "120.5")+tag("Tilt", "-3"))))
	if e := bodyOf(two.notified(2)); e.child("DeviceID") != channel1 || e.child("Pan") != "120.50" || e.child("Tilt") != "-3.00" {
		t.Errorf("after a movement: %+v", e)
	}
	if code, err := d.EndSubscription(soon(t), "PTZPosition", "deactivated"); code != 200 || err != nil {
		t.Errorf("the device's own end: %d, %v", code, err)
	}
	if m := two.notified(3); m.header("subscription-state") != "terminated;reason=deactivated" {
		t.Errorf("the last NOTIFY is %+v", m)
	}
	three := &subscriber{p: p, cmd: "Catalog", event: "Catalog"}
	three.subscribe(3600)
	three.notified(1)
	d.ForgetSubscriptions()
	if m := three.subscribe(3600); m.code != 481 {
		t.Errorf("a forgotten dialog: %d, want 481", m.code)
	}
}

func TestRebootForgetsSubscriptions(t *testing.T) {
	p := newPlatform(t)
	d := registered(t, p, func(c *Config) { c.Reboot = 20 * time.Millisecond })
	s := &subscriber{p: p, cmd: "Alarm", event: "presence"}
	s.subscribe(3600)
	s.notified(1)
	from := p.mark()
	p.ask("MESSAGE", deviceID, mansRequest("Control", "DeviceControl", deviceID, tag("TeleBoot", "Boot")))
	_, at := p.await(from, isMethod("REGISTER")) // its leave
	p.await(at+1, func(m *message) bool { return m.method == "REGISTER" && m.header("cseq") == "1 REGISTER" })
	if _, live := d.Subscription("Alarm"); live {
		t.Error("the subscription outlived a reboot")
	}
	if m := s.subscribe(3600); m.code != 481 {
		t.Errorf("a refresh after a reboot: %d, want 481", m.code)
	}
}

func TestNotificationsByMessage(t *testing.T) {
	p := newPlatform(t)
	d := registered(t, p, func(c *Config) { c.GBVersion = "3.0" })
	at := time.Date(2026, 9, 23, 0, 9, 10, 0, time.UTC)
	d.SetFaulty(channel1, channel2)
	send := func(f func() (int, error)) {
		t.Helper()
		if code, err := f(); code != 200 || err != nil {
			t.Errorf("%d, %v", code, err)
		}
	}
	send(func() (int, error) { code, _, err := d.Keepalive(soon(t)); return code, err })
	send(func() (int, error) { return d.MediaStatus(soon(t), channel1) })
	send(func() (int, error) { return d.VideoUpload(soon(t), "", at, 117.5, 31.25) })
	send(func() (int, error) { return d.SnapshotsUploaded(soon(t), channel1, "s-1", "a", "b") })
	send(func() (int, error) { return d.Upgraded(soon(t), "s-2", "V2", "") })
	send(func() (int, error) { return d.Upgraded(soon(t), "s-3", "V2", "02") })
	send(func() (int, error) {
		return d.Position(soon(t), Place{Channel: channel2, Longitude: 117.1, Latitude: 31.2, Time: at})
	})
	var got []string
	for _, cmd := range []string{"Keepalive", "MediaStatus", "VideoUploadNotify", "UploadSnapShotFinished", "DeviceUpgradeResult", "MobilePosition"} {
		for from, n := 0, p.count(isCmd(cmd)); n > 0; n-- {
			m, i := p.await(from, isCmd(cmd))
			from = i + 1
			_, rest, _ := strings.Cut(strings.ReplaceAll(m.body, "\r\n", ""), "</SN>")
			got = append(got, strings.TrimSuffix(rest, "</Notify>"))
		}
	}
	want := []string{
		"<DeviceID>" + deviceID + "</DeviceID><Status>OK</Status><Info><DeviceID>" + channel1 + "</DeviceID><DeviceID>" + channel2 + "</DeviceID></Info>",
		"<DeviceID>" + channel1 + "</DeviceID><NotifyType>121</NotifyType>",
		"<DeviceID>" + deviceID + "</DeviceID><Time>2026-09-23T08:09:10</Time><Longitude>117.5</Longitude><Latitude>31.25</Latitude>",
		"<DeviceID>" + channel1 + "</DeviceID><SessionID>s-1</SessionID><SnapShotList><SnapShotFileID>a</SnapShotFileID><SnapShotFileID>b</SnapShotFileID></SnapShotList>",
		"<DeviceID>" + deviceID + "</DeviceID><SessionID>s-2</SessionID><UpgradeResult>OK</UpgradeResult><Firmware>V2</Firmware>",
		"<DeviceID>" + deviceID + "</DeviceID><SessionID>s-3</SessionID><UpgradeResult>ERROR</UpgradeResult><Firmware>V2</Firmware><UpgradeFailedReason>02</UpgradeFailedReason>",
		"<DeviceID>" + deviceID + "</DeviceID><Time>2026-09-23T08:09:10</Time><SumNum>1</SumNum><DeviceList Num=\"1\"><Item><DeviceID>" + channel2 + "</DeviceID><CaptureTime>2026-09-23T08:09:10</CaptureTime>" +
			"<Longitude>117.100000</Longitude><Latitude>31.200000</Latitude><Speed>0.0</Speed><Direction>0.0</Direction><Altitude>0.0</Altitude></Item></DeviceList>",
	}
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got) || i >= len(want):
			t.Fatalf("%d notifications, want %d", len(got), len(want))
		case got[i] != want[i]:
			t.Errorf("got  %s\nwant %s", got[i], want[i])
		}
	}
	for target, result := range map[string]string{channel1: "OK", "34020000001370000009": "ERROR"} {
		from := p.mark()
		p.ask("MESSAGE", deviceID, `<Notify><CmdType>Broadcast</CmdType><SN>9</SN><SourceID>`+serverID+`</SourceID><TargetID>`+target+`</TargetID></Notify>`)
		if e := p.response(from, "Broadcast"); e.child("Result") != result || e.child("DeviceID") != target || e.child("SN") != "9" {
			t.Errorf("broadcast to %s: %+v, want %s", target, e, result)
		}
	}
}

func TestPTZPositionsAreSubscribedToInTheirEditionAlone(t *testing.T) {
	for edition, want := range map[string]int{Edition2016: 489, Edition2022: 200, "": 200} {
		p := newPlatform(t)
		registered(t, p, func(c *Config) { c.Edition = edition })
		if a := (&subscriber{p: p, cmd: "PTZPosition", event: "presence"}).subscribe(600); a.code != want {
			t.Errorf("edition %q: %d, want %d", edition, a.code, want)
		}
	}
}
