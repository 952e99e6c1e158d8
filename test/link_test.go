package test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// metric is the value of a line of /metrics, "" for none.
func metric(t *testing.T, p *program, line string) string {
	t.Helper()
	resp, err := http.Get(p.http + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(body)) {
		if value, found := strings.CutPrefix(l, line+" "); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// A camera that is registered over UDP and TCP is asked over UDP, where nothing arrives from one
// moment on: the bridge finds out and asks it over TCP, and stays there although the camera goes
// on to keep alive over UDP.
func TestABadUDPPathIsLeftForTCP(t *testing.T) {
	t.Parallel() // it waits for lost requests
	p := start(t, baseConfig().with("sip.transaction_timeout", "300ms").with("devices.on_register", []string{}).
		with("devices.subscribe", map[string]string{"catalog": "0s", "alarm": "0s", "position": "0s"}))
	overTCP, overUDP := newCamera(t, p.tcp, 1, nil), newCamera(t, p.udp, 1, nil)
	register(t, overTCP)
	register(t, overUDP)
	m := connect(t, p.mqtt, "gb28181/"+deviceID(1)+"/cmd/+/+")
	topic := "gb28181/" + deviceID(1) + "/cmd/device_info"
	ask := func(n int) bool {
		t.Helper()
		name := fmt.Sprintf("ask-%d", n)
		mark := m.mark()
		m.publish(topic, map[string]any{"clientToken": name})
		answer := m.wait(mark, "answer", func(msg message) bool {
			return token(topic+"/accepted", name)(msg) || token(topic+"/rejected", name)(msg)
		})
		return strings.HasSuffix(answer.topic, "/accepted")
	}
	deviceInfo := func(r *camera.Request) bool { return r.CmdType == "DeviceInfo" }
	if !ask(0) || count(overUDP, deviceInfo) != 1 {
		t.Fatal("a command over a good UDP path failed, or went another way")
	}

	overUDP.SetAnswering(false)
	asked := 1
	for deadline := time.Now().Add(2 * time.Minute); !ask(asked); asked++ {
		if time.Now().After(deadline) {
			t.Fatalf("%d commands over a UDP path on which nothing arrives: none went another way", asked)
		}
		time.Sleep(100 * time.Millisecond) // a refused command costs nothing; don't flood
	}
	if count(overTCP, deviceInfo) != 1 {
		t.Errorf("the camera got %d commands over TCP, want the one that succeeded", count(overTCP, deviceInfo))
	}
	link := at(m.reported(deviceID(1), "", "the new link", func(r map[string]any) bool {
		return at(r, "link.transport") == "tcp" && at(r, "link.level") == "good" && r["breaker"] == "closed"
	}), "link").(map[string]any)
	if health, _ := link["health"].(float64); health < 0.9 || link["switched_at"] == nil {
		t.Errorf("link %v", link)
	}
	if got := metric(t, p, `gb2mqtt_link_switches_total{transport="tcp"}`); got != "1" {
		t.Errorf("%s switches counted, want 1", got)
	}

	if code := keepalive(t, overUDP); code != 200 {
		t.Errorf("keepalive over UDP: %d", code)
	}
	register(t, overUDP)
	for n := range 3 {
		if !ask(asked + 1 + n) {
			t.Error("a command after the switch failed")
		}
	}
	mark := m.mark()
	m.publish("gb28181/"+deviceID(1)+"/cmd/diagnose", map[string]any{"clientToken": "d"})
	told := m.wait(mark, "diagnosis", token("gb28181/"+deviceID(1)+"/cmd/diagnose/accepted", "d")).json(t)
	if at(told, "result.path.transport") != "tcp" || at(told, "result.other_path.transport") != "udp" || at(told, "result.link.level") != "good" {
		t.Errorf("diagnosis %v", told)
	}
}
