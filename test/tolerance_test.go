package test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// tolerance is what a device with a quirk must come to. All of them must be online with their model
// and their three channels, have their keepalive answered, and answer the command device_info.
type tolerance struct {
	edit      func(*camera.Config)
	reported  map[string]any // in the device's shadow
	channel   map[string]any // in the shadow of its first channel
	cmd, args string         // a command to the device, on a channel where it begins with "/"
	code      int            // of its rejection; 0: it is accepted
	want      map[string]any // of the answer
	wish      map[string]any // desired of the device
	check     func(s *tolerant)
}

// tolerant is a device in the story of its quirk.
type tolerant struct {
	t     *testing.T
	p     *program
	m     *client
	d     *camera.Device
	n     int
	topic string
}

var tolerances = map[camera.Quirk]tolerance{
	// Encodings and XML.
	camera.UTF8DeclaredGB2312: {},
	camera.GBKDeclaredUTF8:    {},
	camera.NoDeclaration:      {},
	camera.CutNames: {
		edit:    func(c *camera.Config) { c.Channels[0].Name = "x" + strings.Repeat("门", 20) },
		channel: map[string]any{"catalog.name": "x" + strings.Repeat("门", 15) + "\uFFFD"},
	},
	camera.ControlBytes:   {channel: map[string]any{"catalog.address": "No. 1 Lane"}},
	camera.Unescaped:      {channel: map[string]any{"catalog.address": "A&B <1st floor"}},
	camera.DoubledItemEnd: {},
	camera.TrailingNUL:    {},
	camera.LowerCaseTags:  {},
	camera.DeviceIDFirst:  {},

	// SIP.
	camera.NoContentType:   {},
	camera.NoContentLength: {},
	camera.BareHeaders:     {},
	camera.CompactHeaders:  {},
	camera.LFLineEnds:      {},
	camera.RouteItself:     {},
	camera.ContactNowhere:  {},
	camera.FromItsAddress:  {},
	camera.NewBranch:       {check: newBranch},
	camera.OtherPort:       {cmd: "/presets"},
	camera.ToTag481:        {},
	camera.NATNoise:        {},

	// Registration and keepalives.
	camera.NoExpires:           {reported: map[string]any{"registration.expires": 3600.0}},
	camera.IgnoresQop:          {check: refreshed},
	camera.NcAlways1:           {check: refreshed},
	camera.NeedsAlgorithm:      {},
	camera.LastChallenge:       {edit: func(c *camera.Config) { c.GBVersion = "3.0" }, reported: map[string]any{"registration.gb_version": "3.0"}},
	camera.OnlyKeepalives:      {edit: func(c *camera.Config) { c.Keepalive, c.Reboot = 50*time.Millisecond, 10*time.Millisecond }, cmd: "reboot"},
	camera.KeepaliveInfoStatus: {},
	camera.KeepaliveNoBody:     {},
	camera.KeepaliveOfChannel:  {},

	// Answers.
	camera.WrongSN:        {},
	camera.NoResult:       {},
	camera.ResultWords:    {cmd: "ptz_status", code: 0},
	camera.BodyIn200:      {cmd: "/presets"},
	camera.AnswersAll:     {cmd: "/iframe"},
	camera.NoSumNum:       {cmd: "catalog", want: map[string]any{"channels.2.device_id": "%C2", "channels.3": nil, "partial": nil}},
	camera.SumNumMore:     {cmd: "catalog", want: map[string]any{"channels.2.device_id": "%C2", "partial": true, "sum_num": 4.0}},
	camera.SumNumZero:     {cmd: "catalog", want: map[string]any{"channels.2.device_id": "%C2", "channels.3": nil, "partial": nil}},
	camera.RepeatsPackets: {cmd: "catalog", want: map[string]any{"channels.2.name": "相机2", "channels.3": nil, "partial": nil}},
	camera.ShufflesList: {
		edit: func(c *camera.Config) { c.CatalogPerPacket = 1 },
		cmd:  "catalog", want: map[string]any{"channels.2": present, "channels.3": nil, "partial": nil},
	},
	camera.LateList:    {},
	camera.SlowList:    {edit: records(2), cmd: "/records", args: allTime, want: map[string]any{"records.1": present, "partial": nil}},
	camera.StalledList: {edit: records(8), cmd: "/records", args: allTime, want: map[string]any{"records.6": present, "records.7": nil, "partial": true, "got": 7.0, "sum_num": 8.0}},
	camera.BrokenRecords: {
		edit: func(c *camera.Config) { c.Records, c.RecordsPerPacket = 8, 8 },
		cmd:  "/records", args: allTime, want: map[string]any{"records.3": present, "records.7": nil, "partial": true},
	},
	camera.OneRecordInfo:  {edit: func(c *camera.Config) { c.Records, c.ResponseDelay = 1, 50*time.Millisecond }, check: twoAtOnce},
	camera.WantsType:      {edit: records(1), cmd: "/records", args: allTime, want: map[string]any{"records.0": present}},
	camera.UnaskedCatalog: {reported: map[string]any{"channels": 3.0}},
	camera.ListsItself:    {reported: map[string]any{"channels": 3.0}},
	camera.StatusWords: {
		edit:    func(c *camera.Config) { c.Channels[1].Status = "OFF" },
		channel: map[string]any{"status": "ONLINE"},
		check: func(s *tolerant) {
			s.m.wait(0, "a channel that is off", on(s.topic+"/"+channelID(s.n, 1)+"/presence", "offline"))
		},
	},
	camera.Parental65535: {channel: map[string]any{"catalog.parental": true}},
	camera.ParentServer:  {channel: map[string]any{"catalog.parent_id": serverID}},
	camera.Placeholders:  {channel: map[string]any{"catalog.civil_code": "CivilCode", "catalog.owner": "Owner", "catalog.address": "Address"}},
	camera.Names2011:     {reported: map[string]any{"info.firmware": "V5.7.3", "info.channels": 3.0}, cmd: "device_status"},

	// Notifications.
	camera.NotifyAsMessage:    {check: notified},
	camera.NotifyOutside:      {check: notified},
	camera.NotifyBare:         {check: notified},
	camera.NotifyResponse:     {check: notified},
	camera.SubscribeNoExpires: {reported: map[string]any{"subscriptions.catalog": 3600.0, "subscription_state.catalog": "active"}, check: notified},
	camera.OneSubscription:    {reported: map[string]any{"subscription_state.catalog": "active", "subscription_state.alarm": "active"}},
	camera.SilentSubscription: {reported: map[string]any{"subscription_state.catalog": "active"}},
	camera.EventLowerCase:     {check: notified},
	camera.StatusNotEvent:     {check: notified},
	camera.NoFix: {check: func(s *tolerant) {
		if code, err := s.d.Position(within(s.t, 5*time.Second)); err != nil || code != 200 {
			s.t.Errorf("its position got %d, %v", code, err)
		}
	}},
	camera.TargetID: {check: func(s *tolerant) {
		if code, err := s.d.Position(within(s.t, 5*time.Second), camera.Place{Channel: channelID(s.n, 1), Longitude: 117, Latitude: 31}); err != nil || code != 200 {
			s.t.Errorf("its position got %d, %v", code, err)
		}
		s.m.wait(0, "the position", on(s.topic+"/"+channelID(s.n, 1)+"/event/position"))
	}},
	camera.AlarmTypeOutside: {check: raised(map[string]any{"alarm_type_name": "motion", "alarm_method": 5.0})},
	camera.AlarmWords:       {check: raised(map[string]any{"alarm_priority_text": "high", "alarm_method_text": "video", "alarm_type": 2.0})},
	camera.RepeatsAlarm:     {check: raised(map[string]any{"alarm_type_name": "motion"})},

	// Functions.
	camera.PTZUnknown:        {cmd: "/ptz_status", code: 502, want: map[string]any{"message": "Cann't"}},
	camera.HomeCmdType:       {cmd: "/home_position_get", want: map[string]any{"home_position.enabled": false}},
	camera.BasicOfDevice:     {cmd: "config_get", args: `"types":["basic"]`, want: map[string]any{"basic.heart_beat_count": 3.0}},
	camera.NonsenseHeartbeat: {cmd: "config_get", args: `"types":["basic"]`, reported: map[string]any{"keepalive.interval_s": 60.0, "keepalive.misses": 3.0}},
	camera.RestartsOnConfig: {
		edit: func(c *camera.Config) { c.Reboot = 10 * time.Millisecond },
		wish: map[string]any{"config": map[string]any{"basic": map[string]any{"name": "new"}}}, reported: map[string]any{"config.basic.name": "new"},
	},
	camera.ConfigOtherwise:     {cmd: "/config_get", args: `"types":["osd"]`, want: map[string]any{"osd": present, "missing": nil}},
	camera.ConfigOneEach:       {cmd: "/config_get", args: `"types":["osd","mirror"]`, want: map[string]any{"osd": present, "mirror": present, "missing": nil}},
	camera.SnapShotName:        {cmd: "/config_get", args: `"types":["snapshot"]`, want: map[string]any{"snapshot": present, "missing": nil}},
	camera.AlarmOnlyGuarded:    {check: guarded},
	camera.UnknownIsIgnored:    {cmd: "raw", args: nonsense, code: 408},
	camera.UnknownIsError:      {cmd: "raw", args: nonsense, code: 502},
	camera.UnknownIsBadRequest: {cmd: "raw", args: nonsense, code: 502},
}

// slow are the quirks that take their time: a list without a true end is over when it is quiet.
var slow = []camera.Quirk{camera.NoSumNum, camera.SumNumMore, camera.SumNumZero, camera.LateList, camera.SlowList, camera.StalledList,
	camera.BrokenRecords, camera.RestartsOnConfig}

// present is any value.
var present any = "present"

const (
	allTime  = `"start":"2000-01-01T00:00:00","end":"2099-01-01T00:00:00"`
	nonsense = `"xml":"<Query><CmdType>Nonsense</CmdType><DeviceID>%D</DeviceID></Query>","timeout_ms":300`
)

// records gives each channel so many recordings, each in a packet of its own.
func records(n int) func(*camera.Config) {
	return func(c *camera.Config) { c.Records, c.RecordsPerPacket = n, 1 }
}

// limit is for one step of a story: a list without an end is quiet for 5 s first, an answer that
// does not come is waited for for 10 s.
const limit = 30 * time.Second

func TestEveryQuirkIsTolerated(t *testing.T) {
	for _, q := range camera.Quirks() {
		if _, there := tolerances[q.Name]; !there {
			t.Errorf("%s (%s: %s) is not tried", q.Name, q.Who, q.What)
		}
	}
	tolerate(t, func(q camera.Quirk) bool { return !slices.Contains(slow, q) })
}

func TestEverySlowQuirkIsTolerated(t *testing.T) {
	t.Parallel()
	tolerate(t, func(q camera.Quirk) bool { return slices.Contains(slow, q) })
}

// tolerate has the devices of some quirks tell their stories, all with one bridge: they begin
// together, and are looked at one after the other.
func tolerate(t *testing.T, which func(camera.Quirk) bool) {
	p := start(t, baseConfig())
	stories := make(map[camera.Quirk]*tolerant)
	for i, q := range camera.Quirks() {
		if row, there := tolerances[q.Name]; there && which(q.Name) {
			stories[q.Name] = begin(t, p, q.Name, 100+i, row)
		}
	}
	for q, s := range stories {
		t.Run(string(q), func(t *testing.T) {
			s.t, s.m.t = t, t
			s.end(tolerances[q])
		})
	}
}

// begin has a device register and publishes its command.
func begin(t *testing.T, p *program, q camera.Quirk, n int, row tolerance) *tolerant {
	t.Helper()
	s := &tolerant{t: t, p: p, n: n, topic: "gb28181/" + deviceID(n)}
	s.d = newCamera(t, p.udp, n, func(c *camera.Config) {
		if c.Quirks = []camera.Quirk{q}; row.edit != nil {
			row.edit(c)
		}
	})
	s.m = connect(t, p.mqtt, s.topic+"/#")
	register(t, s.d)
	if row.wish != nil {
		s.m.publish(shadowTopic(s.d.ID(), "")+"/update", map[string]any{"state": map[string]any{"desired": row.wish}})
	}
	if row.cmd != "" {
		args := `{"clientToken":"row"`
		if row.args != "" {
			args += "," + strings.ReplaceAll(row.args, "%D", deviceID(n))
		}
		s.m.publish(s.commandTopic(row.cmd), args+"}")
	}
	return s
}

// commandTopic is where a command of a row goes.
func (s *tolerant) commandTopic(cmd string) string {
	if name, onChannel := strings.CutPrefix(cmd, "/"); onChannel {
		return s.topic + "/" + channelID(s.n, 0) + "/cmd/" + name
	}
	return s.topic + "/cmd/" + cmd
}

// end sees that the device has come to what its row says.
func (s *tolerant) end(row tolerance) {
	s.t.Helper()
	s.m.waitFor(0, limit, "the third channel", on(s.topic+"/"+channelID(s.n, 2)+"/presence", "online"))
	s.shows(s.d.ID(), "", map[string]any{"presence": "online", "info.model": "X1", "channels": 3.0}, row.reported)
	channel := map[string]any{"presence": "online"}
	if row.channel["catalog.name"] == nil {
		channel["catalog.name"] = "相机0"
	}
	s.shows(s.d.ID(), channelID(s.n, 0), channel, row.channel)
	if row.cmd != "" {
		s.answered(row)
	}
	// Not before: of two queries of a kind, an answer with an SN of its own is nobody's.
	s.m.publish(s.topic+"/cmd/device_info", `{"clientToken":"info"}`)
	info := s.m.waitFor(0, limit, "device_info", token(s.topic+"/cmd/device_info/accepted", "info")).json(s.t)
	if at(info, "result.model") != "X1" {
		s.t.Errorf("device_info is %v", info)
	}
	if row.check != nil {
		row.check(s)
	}
	if code := keepalive(s.t, s.d); code != 200 {
		s.t.Errorf("its keepalive got %d", code)
	}
}

// shows waits until a shadow reports all that is wanted.
func (s *tolerant) shows(thing, name string, wants ...map[string]any) {
	s.t.Helper()
	for _, want := range wants {
		for path, value := range want {
			s.m.reportedWithin(limit, thing, name, fmt.Sprintf("%s = %v", path, value), func(r map[string]any) bool { return at(r, path) == value })
		}
	}
}

// answered looks at the answer to the row's command.
func (s *tolerant) answered(row tolerance) {
	s.t.Helper()
	base := s.commandTopic(row.cmd)
	a := s.m.waitFor(0, limit, "the answer to "+row.cmd, func(x message) bool {
		return token(base+"/accepted", "row")(x) || token(base+"/rejected", "row")(x)
	}).json(s.t)
	code, _ := a["code"].(float64)
	if int(code) != row.code {
		s.t.Errorf("%s: got %v, want code %d", row.cmd, a, row.code)
		return
	}
	result := a["result"]
	if row.code != 0 {
		result = a
	}
	for path, want := range row.want {
		got := element(result, path)
		text, isText := want.(string)
		text = strings.ReplaceAll(text, "%C2", channelID(s.n, 2))
		switch {
		case want == present && got == nil, isText && want != present && !strings.Contains(fmt.Sprint(got), text), !isText && got != want:
			s.t.Errorf("%s: %s is %v, want %v; all of it: %v", row.cmd, path, got, want, result)
		}
	}
}

// refreshed registers again with the nonce that is known.
func refreshed(s *tolerant) {
	if err := s.d.Refresh(within(s.t, 10*time.Second)); err != nil {
		s.t.Errorf("its refresh: %v", err)
	}
}

// newBranch repeats an alarm with another branch, as some devices repeat whatever gets no answer.
func newBranch(s *tolerant) {
	r := dialRaw(s.t, s.p.udp, "")
	if a := r.register(deviceID(99), sipPassword); a.code != 200 {
		s.t.Fatalf("got\n%s", a.text)
	}
	m := connect(s.t, s.p.mqtt, "gb28181/"+deviceID(99)+"/event/alarm")
	for sn, cseq := range []string{"7", "7", "8"} {
		q := request{method: "MESSAGE", from: from(deviceID(99)), callID: "c", cseq: cseq, branch: fmt.Sprint("b", sn), body: alarmBody(int(cseq[0]), deviceID(99), "2026-09-23T08:00:0"+cseq)}
		if a := r.send(q); a.code != 200 {
			s.t.Errorf("got\n%s", a.text)
		}
	}
	m.wait(0, "the second alarm", func(x message) bool { return x.json(s.t)["alarm_time"] == 1790121608000.0 })
	if n := m.mark(); n != 2 {
		s.t.Errorf("%d events of two alarms, the first of which was repeated", n)
	}
}

// twoAtOnce asks for recordings twice before the first answer.
func twoAtOnce(s *tolerant) {
	base := s.commandTopic("/records")
	for _, name := range []string{"one", "two"} {
		s.m.publish(base, `{"clientToken":"`+name+`",`+allTime+`}`)
	}
	for _, name := range []string{"one", "two"} {
		s.m.wait(0, name, token(base+"/accepted", name))
	}
}

// notified has the device tell that a channel has gone off.
func notified(s *tolerant) {
	s.m.reportedWithin(limit, s.d.ID(), "", "a subscription to the catalogue", func(r map[string]any) bool {
		return at(r, "subscription_state.catalog") == "active"
	})
	off := camera.Change{Event: "OFF", Channel: camera.Channel{ID: channelID(s.n, 1)}}
	if code, err := s.d.ChangeCatalog(within(s.t, 5*time.Second), off); err != nil || code != 200 {
		s.t.Errorf("its notification got %d, %v", code, err)
	}
	s.m.wait(0, "a channel that is off", on(s.topic+"/"+channelID(s.n, 1)+"/presence", "offline"))
}

// raised has the device raise an alarm, and compares the event.
func raised(want map[string]any) func(*tolerant) {
	return func(s *tolerant) {
		if code, err := s.d.Alarm(within(s.t, 5*time.Second), camera.Alarm{Channel: channelID(s.n, 0), Type: 2}); err != nil || code != 200 {
			s.t.Errorf("its alarm got %d, %v", code, err)
		}
		e := s.m.wait(0, "the alarm", on(s.topic+"/"+channelID(s.n, 0)+"/event/alarm")).json(s.t)
		for path, v := range want {
			if at(e, path) != v {
				s.t.Errorf("%s is %v, want %v, in %v", path, at(e, path), v, e)
			}
		}
	}
}

// guarded has the device raise an alarm, which it does once it is on guard.
func guarded(s *tolerant) {
	alarm := camera.Alarm{Channel: channelID(s.n, 0), Method: 5, Type: 2}
	if _, err := s.d.Alarm(within(s.t, 5*time.Second), alarm); err == nil {
		s.t.Error("it raised an alarm without guard")
	}
	s.m.publish(s.topic+"/cmd/guard", map[string]any{"on": true, "clientToken": "guard"})
	s.m.wait(0, "guard", token(s.topic+"/cmd/guard/accepted", "guard"))
	if code, err := s.d.Alarm(within(s.t, 5*time.Second), alarm); err != nil || code != 200 {
		s.t.Errorf("its alarm got %d, %v", code, err)
	}
	s.m.wait(0, "the alarm", on(s.topic+"/"+channelID(s.n, 0)+"/event/alarm"))
}
