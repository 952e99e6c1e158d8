package test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestPastOfAShadowIsTold(t *testing.T) {
	c, folder := baseConfig(), t.TempDir()
	p := startIn(t, folder, c)
	d := newCamera(t, p.udp, 1, nil)
	m := connect(t, p.mqtt)
	register(t, d)
	m.reported(d.ID(), "", "model", func(r map[string]any) bool { return at(r, "info.model") == "X1" && r["channels"] == 3.0 })
	before := time.Now().UnixMilli()
	m.publish(shadowTopic(d.ID(), "")+"/update", map[string]any{"state": map[string]any{"desired": map[string]any{"guard": "on"}}})
	m.reported(d.ID(), "", "guard", func(r map[string]any) bool { return r["guard"] == "on" })
	if took, code := p.stop(); code != 0 {
		t.Fatalf("stopped with %d after %v", code, took)
	}
	p = startIn(t, folder, c)

	history := func(args ...string) []map[string]any {
		t.Helper()
		stdout, stderr, code := runProgram(t, folder, gb2mqttBinary, append([]string{"shadow", "history", d.ID(), "--json", "--url", p.mqtt}, args...)...)
		if code != 0 {
			t.Fatalf("history %v ended with %d:\n%s%s", args, code, stdout, stderr)
		}
		var list []map[string]any
		for line := range strings.Lines(stdout) {
			var past map[string]any
			if err := json.Unmarshal([]byte(line), &past); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			list = append(list, past)
		}
		return list
	}
	if then := history("--at", strconv.FormatInt(before, 10)); len(then) != 1 || at(then[0], "state.reported.info.model") != "X1" || at(then[0], "state.reported.guard") == "on" || then[0]["ts"] == nil {
		t.Errorf("before the wish it was %v", then)
	}
	since := history("--from", time.UnixMilli(before+1).UTC().Format(time.RFC3339Nano))
	if len(since) < 2 || at(since[0], "state.reported.guard") != "on" || at(since[len(since)-1], "state.reported.presence") != "unknown" {
		t.Errorf("since the wish it was %v, want the guard first and the restart last", since)
	}
	if _, stderr, code := runProgram(t, folder, gb2mqttBinary, "shadow", "history", d.ID(), "--at", "yesterday"); code != 2 || !strings.Contains(stderr, "RFC 3339") {
		t.Errorf("--at yesterday ended with %d: %s", code, stderr)
	}
}
