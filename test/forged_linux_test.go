package test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// The addresses of the stories about forgery: loopback has them all on Linux alone.
const (
	victimIP   = "127.0.0.1"
	forgerIP   = "127.0.0.3"
	strangerIP = "127.0.0.4"
)

// forgery is a story with a camera that is well (1), a device with a password of its own (2) that
// is registered and forges, and what of the first one must not change.
type forgery struct {
	t      *testing.T
	p      *program
	m      *client
	victim *camera.Device
	forger *raw
	mark   int            // of the inbox: nothing of the victim comes after it
	before map[string]any // its shadow
}

const forgersPassword = "forger's"

func newForgery(t *testing.T, scheme string) *forgery {
	f := &forgery{t: t, p: start(t, baseConfig().with("sip.auth.devices", map[string]any{deviceID(2): forgersPassword}))}
	url := map[string]string{"udp": f.p.udp, "tcp": f.p.tcp}[scheme]
	f.victim = newCamera(t, url, 1, func(c *camera.Config) { c.Local = victimIP })
	f.m = connect(t, f.p.mqtt, "gb28181/#")
	register(t, f.victim)
	f.m.reported(deviceID(1), "", "its subscriptions", func(r map[string]any) bool {
		return at(r, "subscription_state.catalog") == "active" && at(r, "subscription_state.alarm") == "active" && at(r, "channels") == 3.0
	})
	f.m.reported(deviceID(1), channelID(1, 2), "its channels", func(r map[string]any) bool { return r["presence"] == "online" })
	f.forger = dialRaw(t, url, forgerIP)
	if a := f.forger.register(deviceID(2), forgersPassword); a.code != 200 {
		t.Fatalf("the forger got\n%s", a.text)
	}
	f.m.wait(0, "the forger's presence", on("gb28181/"+deviceID(2)+"/presence", "online"))
	f.settle()
	return f
}

// settle begins anew: from here on nothing of the victim may change.
func (f *forgery) settle() {
	f.t.Helper()
	f.before = f.m.shadow(deviceID(1), "")
	f.victim.Forget()
	f.mark = f.m.mark()
}

// unchanged fails the test if anything of the victim has changed, or it was asked anything. What
// the forger has said is over once its own alarm has come through.
func (f *forgery) unchanged(what string) {
	f.t.Helper()
	mark := f.m.mark()
	if a := f.forger.send(request{method: "MESSAGE", from: from(deviceID(2)), body: alarmBody(999, deviceID(2), "2026-09-23T08:00:00")}); a.code != 200 {
		f.t.Fatalf("%s: the forger's own alarm got\n%s", what, a.text)
	}
	f.m.wait(mark, "the forger's alarm", on("gb28181/"+deviceID(2)+"/event/alarm"))
	f.m.mu.Lock()
	for _, x := range f.m.inbox[f.mark:] {
		if strings.HasPrefix(x.topic, "gb28181/"+deviceID(1)+"/") {
			f.t.Errorf("%s: %s %s", what, x.topic, x.payload)
		}
	}
	f.m.mu.Unlock()
	after := f.m.shadow(deviceID(1), "")
	for _, part := range []string{"state", "version"} {
		if !reflect.DeepEqual(f.before[part], after[part]) {
			f.t.Errorf("%s: %s is %v, was %v", what, part, after[part], f.before[part])
		}
	}
	for _, r := range f.victim.Received() {
		f.t.Errorf("%s: it was sent %s %s", what, r.Method, r.CmdType)
	}
	f.settle()
}

// bodies are what a device may say of another, or of another's channel.
func bodies(device, channel string) map[string]string {
	body := func(root, cmd, subject, rest string) string {
		return fmt.Sprintf("<%s><CmdType>%s</CmdType><SN>1</SN><DeviceID>%s</DeviceID>%s</%s>", root, cmd, subject, rest, root)
	}
	return map[string]string{
		"a keepalive":           body("Notify", "Keepalive", device, "<Status>OK</Status>"),
		"an alarm":              alarmBody(1, device, "2026-09-23T08:00:00"),
		"an alarm of a channel": alarmBody(1, channel, "2026-09-23T08:00:00"),
		"its info":              body("Response", "DeviceInfo", device, "<Result>OK</Result><Model>forged</Model>"),
		"its status":            body("Response", "DeviceStatus", device, "<Result>OK</Result><Status>ERROR</Status>"),
		"its configuration":     body("Response", "ConfigDownload", device, "<Result>OK</Result><BasicParam><HeartBeatInterval>5</HeartBeatInterval></BasicParam>"),
		"where it is":           body("Notify", "MobilePosition", device, "<Longitude>1</Longitude><Latitude>2</Latitude>"),
		"where a channel looks": body("Notify", "PTZPosition", channel, "<Pan>1</Pan>"),
		"the end of its media":  body("Notify", "MediaStatus", channel, "<NotifyType>121</NotifyType>"),
		"its catalogue":         body("Response", "Catalog", device, "<SumNum>0</SumNum>"),
		"a channel that went":   body("Notify", "Catalog", device, "<SumNum>1</SumNum><DeviceList Num='1'><Item><DeviceID>"+channel+"</DeviceID><Event>DEL</Event></Item></DeviceList>"),
		"no XML":                "<Notify><CmdType>Alarm",
		"nothing":               "",
	}
}

func TestNoInputOfOneDeviceChangesAnotherOne(t *testing.T) {
	for _, scheme := range []string{"udp", "tcp"} {
		t.Run(scheme, func(t *testing.T) {
			f := newForgery(t, scheme)
			stranger := dialRaw(t, map[string]string{"udp": f.p.udp, "tcp": f.p.tcp}[scheme], strangerIP)
			for what, body := range bodies(deviceID(1), channelID(1, 0)) {
				for _, method := range []string{"MESSAGE", "NOTIFY"} {
					for who, r := range map[string]*raw{"the forger": f.forger, "a stranger": stranger} {
						if a := r.send(request{method: method, from: from(deviceID(1)), body: body}); a.code != 403 {
							t.Errorf("%s with %s, From forged by %s, got\n%s", method, what, who, a.text)
						}
					}
					if a := f.forger.send(request{method: method, from: from(deviceID(2)), to: from(deviceID(1)), body: body}); a.code != 200 && what != "no XML" {
						t.Errorf("%s with %s of another, under its own name, got\n%s", method, what, a.text)
					}
				}
				f.unchanged(what)
			}
			f.registrations(stranger)
			if code := keepalive(t, f.victim); code != 200 {
				t.Errorf("in the end the victim's keepalive gets %d", code)
			}
		})
	}
}

// registrations forges REGISTERs.
func (f *forgery) registrations(stranger *raw) {
	f.t.Helper()
	for range 12 { // beyond the lock-out of an address and an ID
		for who, r := range map[string]*raw{"the forger": f.forger, "a stranger": stranger} {
			if a := r.register(deviceID(1), forgersPassword, "Expires: 0"); a.code != 401 && a.code != 403 {
				f.t.Fatalf("REGISTER by %s with a wrong password got\n%s", who, a.text)
			}
		}
	}
	if a := f.forger.send(request{method: "REGISTER", from: from(deviceID(1)), headers: []string{"Contact: *", "Expires: 0"}}); a.code != 403 && a.code != 401 {
		f.t.Errorf("Contact: * without a password got\n%s", a.text)
	}
	// It may name another in To and in Contact: it registers itself, and is answered itself.
	victim := f.victim.Local().String()
	q := request{method: "REGISTER", from: from(deviceID(2)), to: from(deviceID(1)), headers: []string{"Contact: <sip:" + deviceID(1) + "@" + victim + ">"}}
	a := f.forger.send(q)
	q.headers = append(q.headers, "Authorization: "+digest(deviceID(2), forgersPassword, a.header("www-authenticate")))
	if a = f.forger.send(q); a.code != 200 {
		f.t.Errorf("REGISTER with a foreign To and Contact got\n%s", a.text)
	}
	f.unchanged("forged REGISTERs")
	if err := f.victim.Refresh(within(f.t, 5*time.Second)); err != nil {
		f.t.Errorf("the victim is locked out: %v", err)
	}
}

// The dialogs and queries of a device are its own, whoever knows their Call-ID, SN or branch.
func TestNobodyAnswersOrEndsWhatAnotherWasAsked(t *testing.T) {
	f := newForgery(t, "udp")
	subscribed := f.subscription("Alarm")
	for who, id := range map[string]string{"under its own name": deviceID(2), "under the victim's": deviceID(1)} {
		f.forger.send(request{method: "NOTIFY", from: from(id), callID: subscribed.CallID, headers: []string{
			"Event: presence", "Subscription-State: terminated;reason=rejected"}})
		f.unchanged("the end of its subscription, told " + who)
	}

	// A query is under way to the victim: its SN, Call-ID and branch are known to the forger.
	f.m.publish("gb28181/"+deviceID(1)+"/"+channelID(1, 0)+"/cmd/presets", map[string]any{"clientToken": "q"})
	asked := obeyed(f.t, f.victim, "the query", camera.Command("PresetQuery"))
	forged := fmt.Sprintf("<Response><CmdType>PresetQuery</CmdType><SN>%s</SN><DeviceID>%s</DeviceID><SumNum>1</SumNum>"+
		"<PresetList Num='1'><Item><PresetID>66</PresetID></Item></PresetList></Response>", asked.SN, asked.DeviceID)
	if a := f.forger.send(request{method: "MESSAGE", from: from(deviceID(2)), body: forged}); a.code != 200 {
		f.t.Errorf("a Response to another's query got\n%s", a.text)
	}
	for _, code := range []string{"200 OK", "404 Not Found"} {
		if _, err := f.forger.conn.Write(fmt.Appendf(nil, "SIP/2.0 %s\r\nVia: %s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\nContent-Length: %d\r\n\r\n%s",
			code, asked.Header("via"), asked.Header("from"), asked.Header("to"), asked.CallID, asked.Header("cseq"), len(forged), forged)); err != nil {
			f.t.Fatal(err)
		}
	}
	accepted := f.m.wait(f.mark, "the answer", token("gb28181/"+deviceID(1)+"/"+channelID(1, 0)+"/cmd/presets/accepted", "q")).json(t)
	if presets := fmt.Sprint(accepted["result"]); strings.Contains(presets, "66") {
		t.Errorf("the answer is the forger's: %v", presets)
	}
}

// subscription returns a SUBSCRIBE that the victim has got, after asking for one anew.
func (f *forgery) subscription(cmdType string) camera.Request {
	f.t.Helper()
	f.m.publish(shadowTopic(deviceID(1), "")+"/update", map[string]any{"state": map[string]any{"desired": map[string]any{
		"subscriptions": map[string]any{"alarm": 600}}}})
	r := obeyed(f.t, f.victim, "a SUBSCRIBE", func(r *camera.Request) bool { return r.Method == "SUBSCRIBE" && r.CmdType == cmdType })
	f.m.reported(deviceID(1), "", "the wish", func(r map[string]any) bool { return at(r, "subscriptions.alarm") == 600.0 })
	f.settle()
	return r
}

// What one device has sent must not make the same of another look like its repetition, nor may an
// answer go to where a Via points.
func TestTransactionsOfDevicesAreTheirOwn(t *testing.T) {
	f := newForgery(t, "udp")
	honest := dialRaw(t, f.p.udp, "127.0.0.5")
	if a := honest.register(deviceID(3), sipPassword); a.code != 200 {
		t.Fatalf("got\n%s", a.text)
	}
	same := request{method: "MESSAGE", callID: "constant", cseq: "20", branch: "same", body: alarmBody(1, "", "2026-09-23T08:00:00")}
	for r, id := range map[*raw]string{f.forger: deviceID(2), honest: deviceID(3)} {
		same.from = from(id)
		if a := r.send(same); a.code != 200 {
			t.Errorf("%s got\n%s", id, a.text)
		}
		f.m.wait(0, "its alarm", on("gb28181/"+id+"/event/alarm"))
	}
	same.method, same.body = "OPTIONS", ""
	for r, id := range map[*raw]string{f.forger: deviceID(2), honest: deviceID(3)} {
		same.from = from(id)
		if a := r.send(same); a.code != 200 {
			t.Errorf("OPTIONS of %s got\n%s", id, a.text)
		}
	}
	via := strings.Replace(string(f.forger.render(request{method: "MESSAGE", from: from(deviceID(2))})),
		"UDP "+f.forger.conn.LocalAddr().String()+";rport", "UDP "+honest.conn.LocalAddr().String()+";received=127.0.0.5", 1)
	if _, err := f.forger.conn.Write([]byte(via)); err != nil {
		t.Fatal(err)
	}
	if a := f.forger.read(time.Now().Add(5 * time.Second)); a.code != 200 {
		t.Errorf("the answer to a request with a forged Via is\n%s", a.text)
	}
}
