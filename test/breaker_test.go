package test

import (
	"testing"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// The breaker of a camera that keeps alive and answers nothing opens, is tried again and again by
// the bridge itself, and closes once the camera answers; shadow, events and metrics tell.
func TestABreakerOpensIsProbedAndCloses(t *testing.T) {
	t.Parallel() // it waits for lost requests
	p := start(t, baseConfig().with("sip.transaction_timeout", "200ms").with("devices.on_register", []string{}).
		with("devices.subscribe", map[string]string{"catalog": "0s", "alarm": "0s", "position": "0s"}))
	d := newCamera(t, p.udp, 1, nil)
	register(t, d)
	topic := "gb28181/" + d.ID()
	m := connect(t, p.mqtt, topic+"/#")
	moved := func(mark int, state, reason string) map[string]any {
		t.Helper()
		return m.wait(mark, "breaker "+state+" "+reason, func(msg message) bool {
			if msg.topic != topic+"/event/breaker" {
				return false
			}
			event := msg.json(t)
			return event["state"] == state && (reason == "" || event["reason"] == reason)
		}).json(t)
	}
	d.SetAnswering(false)
	mark := m.mark()
	for n := range 3 {
		name := string(rune('a' + n))
		m.publish(topic+"/cmd/device_info", map[string]any{"clientToken": name})
		if rejected := m.wait(mark, "rejection", token(topic+"/cmd/device_info/rejected", name)).json(t); rejected["code"] != 408.0 {
			t.Fatalf("command %d got %v, want 408", n, rejected)
		}
	}
	opened := moved(mark, "open", "timeouts")
	if at, told := opened["retry_at"].(float64); !told || at-opened["ts"].(float64) > 5000 {
		t.Errorf("event %v, want a retry_at within 5 s", opened)
	}
	moved(mark, "half_open", "")
	moved(mark, "open", "probe_failed")
	probe := obeyed(t, d, "a probe", func(r *camera.Request) bool { return r.CmdType == "DeviceStatus" })
	mark = m.mark()
	d.SetAnswering(true)
	moved(mark, "closed", "")
	m.reported(d.ID(), "", "its breaker closed", func(r map[string]any) bool { return r["breaker"] == "closed" })
	if metric(t, p, `gb2mqtt_guard_breaker_changes_total{state="closed"}`) != "1" {
		t.Error("the metrics do not count one breaker that closed")
	}
	if probe.Root != "Query" {
		t.Errorf("the probe is a %s, want a Query", probe.Root)
	}
}
