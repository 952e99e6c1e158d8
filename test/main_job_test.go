package test

import (
	"strings"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// The story of the product: a camera registers over SIP and is a thing on MQTT.
func TestCameraIsAThing(t *testing.T) {
	p := start(t, baseConfig())
	for n, server := range map[int]string{1: p.udp, 2: p.tcp} {
		network, _, _ := strings.Cut(server, "://")
		t.Run(network, func(t *testing.T) {
			d := newCamera(t, server, n, nil)
			topic := "gb28181/" + d.ID()
			m := connect(t, p.mqtt, topic+"/#", "$aws/things/"+d.ID()+"/#")

			register(t, d)
			m.wait(0, "presence online", on(topic+"/presence", "online"))
			if date := d.State().Date; !strings.Contains(date, "T") || strings.Contains(date, "GMT") {
				t.Errorf("the 200 of REGISTER has Date %q, want local time without zone [GB28181-2022 9.10.3]", date)
			}
			if code := keepalive(t, d); code != 200 {
				t.Errorf("keepalive got %d, want 200", code)
			}

			gate := channelID(n, 2)
			reported := m.reported(d.ID(), gate, "the third channel, which came in the second packet", func(r map[string]any) bool {
				return at(r, "catalog.name") == "相机2" && r["presence"] == "online"
			})
			if reported["status"] != "ON" {
				t.Errorf("channel status %v, want ON", reported["status"])
			}
			reported = m.reported(d.ID(), "", "model and channels", func(r map[string]any) bool {
				return at(r, "info.model") == "X1" && at(r, "channels") == 3.0
			})
			if got := at(reported, "registration.transport"); got != network {
				t.Errorf("registration.transport is %v, want %s", got, network)
			}

			mark := m.mark()
			m.publish(topic+"/"+gate+"/cmd/ptz", map[string]any{"pan": 100, "tilt": -50, "clientToken": "t1"})
			// Right at 64H and down at 32H [GB28181-2022 A.3.2].
			r := obeyed(t, d, "the PTZ command", control("PTZCmd", "A50F010564320050"))
			if r.DeviceID != gate {
				t.Errorf("the PTZ command is for %s, want the channel %s", r.DeviceID, gate)
			}
			m.wait(mark, "accepted", token(topic+"/"+gate+"/cmd/ptz/accepted", "t1"))

			if code, err := d.Alarm(within(t, 5*time.Second), camera.Alarm{Channel: gate, Priority: 1, Method: 5, Type: 2, Description: "入侵"}); err != nil || code != 200 {
				t.Fatalf("alarm got %d, %v", code, err)
			}
			alarm := m.wait(mark, "alarm event", on(topic+"/"+gate+"/event/alarm")).json(t)
			for key, want := range map[string]any{
				"device": d.ID(), "channel": gate, "alarm_priority": 1.0, "alarm_method": 5.0, "alarm_method_name": "video",
				"alarm_type": 2.0, "alarm_description": "入侵",
			} {
				if alarm[key] != want {
					t.Errorf("alarm event has %s = %v, want %v", key, alarm[key], want)
				}
			}
			obeyed(t, d, "the Response to its alarm", func(r *camera.Request) bool { return r.Root == "Response" && r.CmdType == "Alarm" })
		})
	}
}

func TestCleanStopSaysOfflineLastAndTakesNoLongerThanFiveSeconds(t *testing.T) {
	p := start(t, baseConfig())
	d := newCamera(t, p.udp, 1, nil)
	m := connect(t, p.mqtt, "gb28181/#")
	m.wait(0, "bridge/state online", on("gb28181/bridge/state", "online"))
	info := m.wait(0, "bridge/info", on("gb28181/bridge/info")).json(t)
	if info["server_id"] != serverID || info["started_at"] == nil || info["version"] == nil {
		t.Errorf("bridge/info is %v", info)
	}
	register(t, d)
	m.wait(0, "presence", on("gb28181/"+d.ID()+"/presence", "online"))
	took, code := p.stop()
	if code != 0 || took > 5*time.Second {
		t.Errorf("ended with %d after %v, want 0 within 5 s", code, took)
	}
	m.wait(0, "bridge/state offline", on("gb28181/bridge/state", "offline"))
	m.mu.Lock()
	defer m.mu.Unlock()
	if last := m.inbox[len(m.inbox)-1]; last.topic != "gb28181/bridge/state" {
		t.Errorf("the last message is %s %s, want bridge/state offline", last.topic, last.payload)
	}
}
