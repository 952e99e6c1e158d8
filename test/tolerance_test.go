package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// tolerated are commands that a camera with any quirk takes, what comes back, and with which
// quirk it comes back otherwise: with a code, or with part of a list.
var tolerated = []struct {
	commandStory
	codes   map[camera.Quirk]float64
	partial []camera.Quirk
	again   bool // another one above or below has the same CmdType
}{
	{commandStory: commandStory{name: "device_info", device: true, want: map[string]any{"model": "X1", "firmware": "V5.7.3"}}},
	{commandStory: commandStory{name: "device_status", want: map[string]any{"alarm_status.0.duty_status": "OFFDUTY"}}},
	{commandStory: commandStory{name: "presets", want: map[string]any{"presets.4.preset_name": "门厅"}}, partial: []camera.Quirk{camera.SumNumMore}},
	{commandStory: commandStory{name: "records", args: `{"start":"2000-01-01T00:00:00","end":"2099-01-01T00:00:00","type":"alarm"}`,
		want: map[string]any{"records.0.type": "alarm"}}, partial: []camera.Quirk{camera.SumNumMore, camera.StalledList, camera.BrokenRecords}},
	{commandStory: commandStory{name: "ptz_status", want: map[string]any{"max_view_distance": 200.0}}, codes: map[camera.Quirk]float64{camera.PTZUnknown: 502}},
	{commandStory: commandStory{name: "home_position_get", want: map[string]any{"home_position.enabled": false}}, codes: map[camera.Quirk]float64{camera.PTZUnknown: 502}},
	{commandStory: commandStory{name: "home_position", args: `{"enabled":false,"timeout_ms":5000}`}, codes: map[camera.Quirk]float64{camera.HomeCmdType: 408}, again: true},
	{commandStory: commandStory{name: "config_get", args: `{"types":["osd"]}`, want: map[string]any{"osd.items.0.text": "南门"}}},
	{commandStory: commandStory{name: "config_get", args: `{"types":["snapshot"]}`, device: true, want: map[string]any{"snapshot.snap_num": 1.0}}, again: true},
	{commandStory: commandStory{name: "config_get", args: `{"types":["mirror","alarm_report"]}`, device: true, want: map[string]any{"mirror": 0.0}},
		codes: map[camera.Quirk]float64{camera.ConfigOtherwise: 501}, again: true},
	{commandStory: commandStory{name: "preset", args: `{"action":"call","id":3}`}},
	{commandStory: commandStory{name: "iframe"}},
	{commandStory: commandStory{name: "guard", args: `{"on":true}`, device: true}},
	{commandStory: commandStory{name: "raw", args: `{"xml":"<Query><CmdType>Nonsense</CmdType><DeviceID>%C</DeviceID></Query>","timeout_ms":5000}`},
		codes: map[camera.Quirk]float64{camera.UnknownIsIgnored: 408, camera.UnknownIsBadRequest: 502, "": 502, camera.NoResult: 0, camera.WrongSN: 502}},
}

// odd is a camera with one quirk.
type odd struct {
	*camera.Device
	quirk   camera.Quirk
	topic   string // of the device
	channel string
}

// overTCP tells whether a quirk shows over TCP too.
func overTCP(q camera.Quirk) bool {
	switch q {
	case camera.NoContentLength, camera.OtherPort, camera.NATNoise, camera.NewBranch:
		return false
	}
	return true
}

// oddCameras are a registered camera for each quirk.
func oddCameras(t *testing.T, p *program, server string) []*odd {
	t.Helper()
	var all []*odd
	for i, q := range camera.Quirks() {
		if strings.HasPrefix(server, "tcp") && !overTCP(q.Name) {
			continue
		}
		o := &odd{quirk: q.Name, topic: "gb28181/" + deviceID(i+1) + "/", channel: channelID(i+1, 0)}
		o.Device = newCamera(t, server, i+1, func(c *camera.Config) {
			c.Quirks, c.Records, c.RecordsPerPacket, c.Reboot, c.Keepalive = []camera.Quirk{q.Name}, 40, 1, 50*time.Millisecond, time.Minute
			c.Channels[1].Name = "x" + strings.Repeat("门", 20) // for those that cut names
			switch q.Name {
			case camera.LastChallenge:
				c.GBVersion = "3.0" // it is offered several
			case camera.SlowList:
				c.RecordsPerPacket = 5
			}
		})
		if err := o.Register(within(t, 10*time.Second)); err != nil {
			t.Errorf("%s: REGISTER: %v", o.quirk, err)
			continue
		}
		all = append(all, o)
	}
	return all
}

// skips tells whether o is not given a command: an answer with a wrong SN is known for what it
// is by its CmdType alone, of which one may wait.
func (o *odd) skips(i int) bool { return o.quirk == camera.WrongSN && tolerated[i].again }

// check waits for the answer to a command and compares it.
func (o *odd) check(t *testing.T, m *client, i int) {
	t.Helper()
	s := tolerated[i]
	to := o.topic + "cmd/" + s.name
	if !s.device {
		to = o.topic + o.channel + "/cmd/" + s.name
	}
	accepted, rejected := token(to+"/accepted", fmt.Sprint(i)), token(to+"/rejected", fmt.Sprint(i))
	answer := m.waitFor(0, 60*time.Second, fmt.Sprintf("answer of %s to %s", o.quirk, s.name), func(m message) bool { return accepted(m) || rejected(m) })
	code, _ := at(answer.json(t), "code").(float64)
	want, own := s.codes[o.quirk]
	if !own {
		want = s.codes[""]
	}
	if code != want {
		t.Errorf("%s: %s %s came back as %s, want code %v", o.quirk, s.name, s.args, answer.payload, want)
		return
	}
	if code != 0 {
		return
	}
	result := at(answer.json(t), "result")
	part := false
	for _, q := range s.partial {
		part = part || q == o.quirk
	}
	if partial, _ := at(result, "partial").(bool); partial != part {
		t.Errorf("%s: %s: partial is %v, want %v, in %s", o.quirk, s.name, partial, part, answer.payload)
	}
	for path, want := range s.want {
		if got := element(result, path); got != want {
			t.Errorf("%s: %s: %s is %v, want %v, in %s", o.quirk, s.name, path, got, want, answer.payload)
		}
	}
}

func TestCamerasWithEveryQuirkAreUnderstood(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			p := start(t, baseConfig())
			server := p.udp
			if network == "tcp" {
				server = p.tcp
			}
			m := connect(t, p.mqtt, "gb28181/#")
			cameras := oddCameras(t, p, server)
			for _, o := range cameras {
				for i, s := range tolerated {
					if o.skips(i) {
						continue
					}
					to, args := o.topic+o.channel+"/", `{"clientToken":"`+fmt.Sprint(i)+`"}`
					if s.device {
						to = o.topic
					}
					if s.args != "" {
						args = strings.TrimSuffix(args, "}") + "," + replaced(s.args[1:], o.channel)
					}
					m.publish(to+"cmd/"+s.name, args)
				}
			}
			for _, o := range cameras {
				for i := range tolerated {
					if !o.skips(i) {
						o.check(t, m, i)
					}
				}
				if code := keepalive(t, o.Device); code != 200 {
					t.Errorf("%s: a keepalive got %d", o.quirk, code)
				}
				if code, err := o.Alarm(within(t, 10*time.Second), camera.Alarm{Channel: o.channel}); code != 200 {
					t.Errorf("%s: an alarm got %d, %v", o.quirk, code, err)
				}
				m.wait(0, fmt.Sprintf("alarm of %s", o.quirk), on(o.topic+o.channel+"/event/alarm"))
				m.publish(shadowTopic(o.ID(), "")+"/update", `{"state":{"desired":{"config":{"basic":{"name":"`+string(o.quirk)+`"}}}}}`)
			}
			for _, o := range cameras {
				for n := range 3 {
					channel := strings.TrimSuffix(o.channel, "0") + fmt.Sprint(n)
					m.waitFor(0, 30*time.Second, fmt.Sprintf("channel of %s", o.quirk), on(o.topic+channel+"/presence", "online"))
				}
				m.reported(o.ID(), "", fmt.Sprintf("what is so of %s", o.quirk), func(r map[string]any) bool {
					return r["presence"] == "online" && r["channels"] == 3.0 && at(r, "info.model") == "X1" && at(r, "config.basic.name") == string(o.quirk)
				})
			}
		})
	}
}
