package test

import "testing"

func TestSubscriptionsAreUpheldAsConfiguredAndAsDesired(t *testing.T) {
	p := start(t, baseConfig())
	d := newCamera(t, p.udp, 1, nil)
	m := connect(t, p.mqtt, "gb28181/"+d.ID()+"/cmd/#")
	register(t, d)
	m.reported(d.ID(), "", "both subscriptions", func(r map[string]any) bool {
		return at(r, "subscription_state.catalog") == "active" && at(r, "subscription_state.alarm") == "active" &&
			at(r, "subscriptions.alarm") == 3600.0 && at(r, "subscriptions.position") == 0.0
	})
	m.publish(shadowTopic(d.ID(), "")+"/update", map[string]any{"state": map[string]any{"desired": map[string]any{
		"subscriptions": map[string]any{"alarm": 0, "position": 5}}}})
	m.reported(d.ID(), "", "the wish", func(r map[string]any) bool {
		return at(r, "subscriptions.alarm") == 0.0 && at(r, "subscription_state.alarm") == "off" && at(r, "subscriptions.position") == 5.0
	})
	if delta := at(m.shadow(d.ID(), ""), "state.delta"); delta != nil {
		t.Errorf("a delta is left: %v", delta)
	}

	mark := m.mark()
	m.publish("gb28181/"+d.ID()+"/cmd/subscribe", map[string]any{"kind": "catalog", "expires": 600, "clientToken": "s"})
	m.wait(mark, "accepted", token("gb28181/"+d.ID()+"/cmd/subscribe/accepted", "s"))
	m.publish("gb28181/"+d.ID()+"/cmd/subscribe", map[string]any{"kind": "alarm", "expires": 600, "clientToken": "a"})
	if rejected := m.wait(mark, "rejected", token("gb28181/"+d.ID()+"/cmd/subscribe/rejected", "a")).json(t); rejected["code"] != 409.0 {
		t.Errorf("a subscription beside what is desired got %v, want 409", rejected)
	}
	m.publish("gb28181/"+d.ID()+"/cmd/diagnose", map[string]any{"clientToken": "d"})
	told := m.wait(mark, "diagnosis", token("gb28181/"+d.ID()+"/cmd/diagnose/accepted", "d")).json(t)
	for _, key := range []string{"registration", "path", "keepalive", "encoding", "breaker", "subscriptions", "exchanges", "findings", "last_seen_at"} {
		if at(told, "result."+key) == nil {
			t.Errorf("the diagnosis has no %s: %v", key, told)
		}
	}
}
