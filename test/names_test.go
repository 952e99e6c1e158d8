package test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestNamedShadowsOfAThingAreListedRetained(t *testing.T) {
	folder := t.TempDir()
	p := startIn(t, folder, baseConfig())
	const list = "$aws/things/plain/shadow/names"
	results := func(msg message) []string {
		var page struct{ Results []string }
		if err := json.Unmarshal(msg.payload, &page); err != nil && len(msg.payload) > 0 {
			t.Fatalf("%s carries %q: %v", msg.topic, msg.payload, err)
		}
		return page.Results
	}
	lists := func(want ...string) func(message) bool {
		return func(msg message) bool {
			return msg.topic == list && len(results(msg)) == len(want) && (len(want) == 0 || reflect.DeepEqual(results(msg), want))
		}
	}
	m := connect(t, p.mqtt, list)
	for _, name := range []string{"", "b", "a"} {
		m.publish(shadowTopic("plain", name)+"/update", `{"state":{"desired":{"x":1}}}`)
	}
	m.wait(0, "the list of both", lists("a", "b"))

	m.publish(list, `{"results":["forged"]}`) // 3.1.1: acknowledged and dropped
	d := newCamera(t, p.udp, 1, nil)
	register(t, d)
	for _, filter := range []string{list, "$aws/things/#", "$aws/things/+/shadow/names", "$aws/things/plain/shadow/+"} {
		late := connect(t, p.mqtt, filter)
		if msg := late.wait(0, "the retained list with "+filter, on(list)); !msg.retained || !lists("a", "b")(msg) {
			t.Errorf("%s told %q, retained %v", filter, msg.payload, msg.retained)
		}
		if strings.ContainsAny(filter, "#") {
			late.wait(0, "the list of the camera's channels", func(msg message) bool {
				return msg.topic == "$aws/things/"+d.ID()+"/shadow/names" && len(results(msg)) == 3
			})
		}
	}

	p.kill()
	p = startIn(t, folder, baseConfig())
	m = connect(t, p.mqtt, list)
	m.wait(0, "the list after a crash", lists("a", "b"))
	mark := m.mark()
	m.publish(shadowTopic("plain", "a")+"/delete", "")
	m.wait(mark, "the shorter list", lists("b"))
	m.publish(shadowTopic("plain", "b")+"/delete", "")
	m.wait(mark, "the end of the list", func(msg message) bool { return msg.topic == list && len(msg.payload) == 0 })
	late := connect(t, p.mqtt, list, "$aws/things/plain/shadow/get/accepted")
	late.publish(shadowTopic("plain", "")+"/get", "")
	late.wait(0, "the classic shadow", on("$aws/things/plain/shadow/get/accepted"))
	if got := late.messages(list); len(got) > 0 {
		t.Errorf("a list of nothing is retained: %q", got[0].payload)
	}
}
