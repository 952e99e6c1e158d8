package test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// oddStories are commands that a camera with any quirk is given over TCP, and the codes with
// which quirks have them come back.
var oddStories = []struct {
	commandStory
	codes map[camera.Quirk]float64
	again bool // another one has the same CmdType, or the bridge asks it itself
}{
	{commandStory: commandStory{name: "device_info", device: true, want: map[string]any{"model": "X1", "firmware": "V5.7.3"}}, again: true},
	{commandStory: commandStory{name: "device_status", want: map[string]any{"alarm_status.0.duty_status": "OFFDUTY"}}},
	{commandStory: commandStory{name: "presets", want: map[string]any{"presets.4.preset_name": "门厅", "partial": nil}}},
	{commandStory: commandStory{name: "records", args: `{"start":"2000-01-01T00:00:00","end":"2099-01-01T00:00:00","type":"alarm"}`,
		want: map[string]any{"records.0.type": "alarm", "partial": nil}}},
	{commandStory: commandStory{name: "ptz_status", want: map[string]any{"max_view_distance": 200.0}}, codes: map[camera.Quirk]float64{camera.PTZUnknown: 502}},
	{commandStory: commandStory{name: "home_position_get", want: map[string]any{"home_position.enabled": false}}, codes: map[camera.Quirk]float64{camera.PTZUnknown: 502}},
	{commandStory: commandStory{name: "home_position", args: `{"enabled":false,"timeout_ms":5000}`}, codes: map[camera.Quirk]float64{camera.HomeCmdType: 408}, again: true},
	{commandStory: commandStory{name: "config_get", args: `{"types":["osd"]}`, want: map[string]any{"osd.items.0.text": "南门"}}},
	{commandStory: commandStory{name: "config_get", args: `{"types":["mirror","alarm_report"]}`, device: true, want: map[string]any{"mirror": 0.0}},
		codes: map[camera.Quirk]float64{camera.ConfigOtherwise: 501}, again: true},
	{commandStory: commandStory{name: "preset", args: `{"action":"call","id":3}`}},
	{commandStory: commandStory{name: "iframe"}},
	{commandStory: commandStory{name: "guard", args: `{"on":true}`, device: true}},
}

// odd is a camera with one quirk.
type odd struct {
	*camera.Device
	quirk   camera.Quirk
	topic   string // of the device
	channel string
}

// given lists the commands that o is given: an answer with a wrong SN is known for what it is by
// its CmdType alone, of which one may wait.
func (o *odd) given() []int {
	var all []int
	for i, s := range oddStories {
		if !s.again || o.quirk != camera.WrongSN {
			all = append(all, i)
		}
	}
	return all
}

// at is where story i goes.
func (o *odd) at(i int) string {
	if oddStories[i].device {
		return o.topic + "cmd/" + oddStories[i].name
	}
	return o.topic + o.channel + "/cmd/" + oddStories[i].name
}

// ask gives o all its commands at once.
func (o *odd) ask(m *client) {
	for _, i := range o.given() {
		args := `{"clientToken":"` + fmt.Sprint(i) + `"}`
		if own := oddStories[i].args; own != "" {
			args = strings.TrimSuffix(args, "}") + "," + own[1:]
		}
		m.publish(o.at(i), args)
	}
}

// compare waits for the answer to story i.
func (o *odd) compare(t *testing.T, m *client, i int) {
	t.Helper()
	s := oddStories[i]
	accepted, rejected := token(o.at(i)+"/accepted", fmt.Sprint(i)), token(o.at(i)+"/rejected", fmt.Sprint(i))
	answer := m.waitFor(0, 60*time.Second, fmt.Sprintf("answer of %s to %s", o.quirk, s.name), func(m message) bool { return accepted(m) || rejected(m) })
	code, _ := at(answer.json(t), "code").(float64)
	if code != s.codes[o.quirk] {
		t.Errorf("%s: %s %s came back as %s, want code %v", o.quirk, s.name, s.args, answer.payload, s.codes[o.quirk])
		return
	}
	for path, want := range s.want {
		if got := element(at(answer.json(t), "result"), path); code == 0 && got != want {
			t.Errorf("%s: %s: %s is %v, want %v, in %s", o.quirk, s.name, path, got, want, answer.payload)
		}
	}
}

// What TestEveryQuirkIsTolerated shows of each quirk over UDP holds over TCP, where messages are
// cut out of a stream, and for commands that have nothing to do with the quirk.
func TestCamerasWithEveryQuirkAreUnderstoodOverTCP(t *testing.T) {
	t.Parallel()
	p := start(t, baseConfig())
	m := connect(t, p.mqtt, "gb28181/#")
	var cameras []*odd
	for i, q := range camera.Quirks() {
		onlyUDP := []camera.Quirk{camera.NoContentLength, camera.OtherPort, camera.NATNoise, camera.NewBranch}
		if slices.Contains(onlyUDP, q.Name) || slices.Contains(slow, q.Name) {
			continue
		}
		o := &odd{quirk: q.Name, topic: "gb28181/" + deviceID(i+1) + "/", channel: channelID(i+1, 0)}
		o.Device = newCamera(t, p.tcp, i+1, func(c *camera.Config) {
			c.Quirks, c.Records, c.RecordsPerPacket, c.Reboot = []camera.Quirk{q.Name}, 40, 1, 50*time.Millisecond
			if q.Name == camera.LastChallenge {
				c.GBVersion = "3.0" // it is offered several
			}
		})
		register(t, o.Device)
		cameras = append(cameras, o)
	}
	for _, o := range cameras {
		m.wait(0, fmt.Sprintf("channel of %s", o.quirk), on(o.topic+o.channel+"/presence", "online"))
		o.ask(m)
	}
	for _, o := range cameras {
		for _, i := range o.given() {
			o.compare(t, m, i)
		}
		if code := keepalive(t, o.Device); code != 200 {
			t.Errorf("%s: a keepalive got %d", o.quirk, code)
		}
		if code, err := o.Alarm(within(t, 10*time.Second), camera.Alarm{Channel: o.channel}); code != 200 {
			t.Errorf("%s: an alarm got %d, %v", o.quirk, code, err)
		}
		m.publish(shadowTopic(o.ID(), "")+"/update", `{"state":{"desired":{"config":{"basic":{"name":"`+string(o.quirk)+`"}}}}}`)
	}
	for _, o := range cameras {
		m.wait(0, fmt.Sprintf("alarm of %s", o.quirk), on(o.topic+o.channel+"/event/alarm"))
		m.reported(o.ID(), "", fmt.Sprintf("what is so of %s", o.quirk), func(r map[string]any) bool {
			return r["presence"] == "online" && r["channels"] == 3.0 && at(r, "info.model") == "X1" && at(r, "config.basic.name") == string(o.quirk)
		})
	}
}
