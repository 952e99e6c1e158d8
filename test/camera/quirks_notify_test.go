package camera

import (
	"regexp"
	"testing"
)

// notices are quirks that show in what a subscriber to the catalogue is sent: a channel is off at
// first, which is told.
var notices = map[Quirk]func(m *message, s *subscriber) bool{
	NotifyAsMessage: func(m *message, _ *subscriber) bool { return m.method == "MESSAGE" },
	NotifyOutside: func(m *message, s *subscriber) bool {
		return m.method == "NOTIFY" && m.header("call-id") != s.callID && param(m.header("to"), "tag") == ""
	},
	NotifyBare: func(m *message, s *subscriber) bool {
		return m.header("call-id") == s.callID && m.header("event") == "" && m.header("subscription-state") == ""
	},
	NotifyResponse: func(m *message, _ *subscriber) bool { return bodyOf(m).name == "Response" },
	EventLowerCase: func(m *message, _ *subscriber) bool {
		return bodyOf(m).find("DeviceList").find("Item").child("Event") == "off"
	},
	StatusNotEvent: func(m *message, _ *subscriber) bool {
		i := bodyOf(m).find("DeviceList").find("Item")
		return i.child("Status") == "OFF" && i.child("Event") == ""
	},
}

func TestQuirksOfNotifications(t *testing.T) {
	for q, shown := range notices {
		t.Run(string(q), func(t *testing.T) {
			t.Parallel()
			p := newPlatform(t)
			registered(t, p, func(c *Config) { c.Quirks = []Quirk{q} }) // its second channel is OFF
			s := &subscriber{p: p, cmd: "Catalog", event: "Catalog;id=7"}
			s.subscribe(600)
			m, _ := p.await(0, isCmd("Catalog"))
			if !shown(m, s) {
				t.Errorf("it sends %+v", m)
			}
		})
	}
}

// words are quirks of what a Notify says, of a position and of an alarm.
var words = map[Quirk]struct{ cmd, want, not string }{
	NoFix:            {"MobilePosition", `<Longitude>null</Longitude>\s*<Latitude>null<`, `31\.`},
	TargetID:         {"MobilePosition", `<TargetID>` + deviceID + `<`, `DeviceID`},
	AlarmTypeOutside: {"Alarm", `<AlarmType>6</AlarmType>\s*<Info>\s*<AlarmTypeParam>`, `xxx`},
	AlarmWords:       {"Alarm", `<AlarmPriority>high</AlarmPriority>\s*<AlarmMethod>video<`, `<AlarmMethod>5`},
}

func TestQuirksOfPositionsAndAlarms(t *testing.T) {
	for q, w := range words {
		p := newPlatform(t)
		d := registered(t, p, func(c *Config) { c.Quirks = []Quirk{q} })
		if _, err := d.Position(soon(t)); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Alarm(soon(t), Alarm{Type: 6, EventType: 1}); err != nil {
			t.Fatal(err)
		}
		m, _ := p.await(0, isCmd(w.cmd))
		if !regexp.MustCompile(w.want).MatchString(m.body) || regexp.MustCompile(w.not).MatchString(m.body) {
			t.Errorf("%s: %s, want %s and not %s", q, m.body, w.want, w.not)
		}
	}
}

// subscribing are quirks of subscriptions, and of what follows an alarm.
var subscribing = map[Quirk]func(t *testing.T, p *platform, d *Device){
	SubscribeNoExpires: func(t *testing.T, p *platform, _ *Device) {
		if m := (&subscriber{p: p, cmd: "Catalog", event: "Catalog"}).subscribe(600); m.code != 200 || m.header("expires") != "" {
			t.Errorf("%d with Expires %q", m.code, m.header("expires"))
		}
	},
	OneSubscription: func(t *testing.T, p *platform, d *Device) {
		(&subscriber{p: p, cmd: "Catalog", event: "Catalog"}).subscribe(600)
		(&subscriber{p: p, cmd: "Alarm", event: "presence"}).subscribe(600)
		_, catalog := d.Subscription("Catalog")
		if _, alarm := d.Subscription("Alarm"); catalog || !alarm {
			t.Errorf("catalogue %v, alarms %v; want the newer alone", catalog, alarm)
		}
	},
	SilentSubscription: func(t *testing.T, p *platform, d *Device) {
		if m := (&subscriber{p: p, cmd: "Catalog", event: "Catalog"}).subscribe(600); m.code != 200 {
			t.Fatal(m.code)
		}
		if _, err := d.ChangeCatalog(soon(t), Change{"OFF", Channel{ID: channel1}}); err == nil {
			t.Error("a change was notified")
		}
		if n := p.count(isMethod("NOTIFY")); n != 0 {
			t.Errorf("%d NOTIFYs", n)
		}
	},
	RepeatsAlarm: func(t *testing.T, p *platform, d *Device) {
		for range 2 {
			if _, err := d.Alarm(soon(t), Alarm{}); err != nil {
				t.Fatal(err)
			}
		}
		_, at := p.await(0, isCmd("Alarm"))
		second, at := p.await(at+1, isCmd("Alarm"))
		sn := bodyOf(second).child("SN")
		p.ask("MESSAGE", deviceID, `<?xml version="1.0"?>`+"\r\n"+frame("Response", "Alarm", sn, deviceID, tag("Result", "OK")))
		again, _ := p.await(at+1, isCmd("Alarm"))
		if bodyOf(again).child("SN") == sn {
			t.Errorf("alarm %s was repeated, want the one that was not confirmed", bodyOf(again).child("SN"))
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		if over, waits := d.confirmed[sn]; waits && !over {
			t.Errorf("alarm %s still waits to be confirmed", sn)
		}
	},
}

func TestQuirksOfSubscriptions(t *testing.T) {
	for q, check := range subscribing {
		t.Run(string(q), func(t *testing.T) {
			t.Parallel()
			p := newPlatform(t)
			check(t, p, registered(t, p, func(c *Config) { c.Quirks = []Quirk{q} }))
		})
	}
}
