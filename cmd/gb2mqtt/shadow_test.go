package main

import (
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const shadowTopic = "$aws/things/" + cameraID + "/shadow"

// answerGet makes the shadow's document what state returns at the time.
func (f *fakeBridge) answerGet(topic string, state func() string) {
	f.on(topic+"/get", func(_ map[string]any, token string) {
		f.tell(topic+"/get/accepted", `{"clientToken":"%TOKEN","version":7,"state":`+state()+`}`, token)
	})
}

func TestShadowGetPrintsTheDocument(t *testing.T) {
	f := newFakeBridge(t)
	f.answerGet(shadowTopic+"/name/"+channelID, func() string { return `{"reported":{"recording":true}}` })
	code, out, errs := f.run("shadow", "get", cameraID, channelID)
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	expect(t, "the document", out, "\n    \"reported\": {\n")
	_, out, _ = f.run("shadow", "get", cameraID, channelID, "--json")
	if strings.Count(out, "\n") != 1 || !json.Valid([]byte(out)) {
		t.Errorf("--json is not one line of JSON: %q", out)
	}
}

func TestAShadowThatIsMissingIsToldWithTheNextStep(t *testing.T) {
	f := newFakeBridge(t)
	f.on(shadowTopic+"/get", func(_ map[string]any, token string) {
		f.tell(shadowTopic+"/get/rejected", `{"clientToken":"%TOKEN","code":404,"message":"No shadow exists"}`, token)
	})
	code, _, errs := f.run("shadow", "get", cameraID)
	if code != exitFailed {
		t.Errorf("exit %d, want 1", code)
	}
	expect(t, "the error", errs, "404 No shadow exists", "gb2mqtt devices")
}

// answerUpdate accepts updates of the camera's shadow and lets then follow.
func (f *fakeBridge) answerUpdate(then func()) {
	f.on(shadowTopic+"/update", func(body map[string]any, token string) {
		state, _ := body["state"].(map[string]any)
		if len(state) != 1 || state["desired"] == nil {
			f.t.Errorf("the update asks more than desired: %v", body)
		}
		f.tell(shadowTopic+"/update/accepted", `{"clientToken":"%TOKEN","version":8}`, token)
		then()
	})
}

func TestShadowSetTellsWhenTheDeviceHasMadeItSo(t *testing.T) {
	f := newFakeBridge(t)
	var closed atomic.Bool
	gets := make(chan struct{}, 10)
	f.answerGet(shadowTopic, func() string {
		gets <- struct{}{}
		if closed.Load() {
			return `{"delta":{"recording":true}}` // not what was asked here
		}
		return `{"delta":{"guard":"on"}}`
	})
	f.answerUpdate(func() {
		<-gets // it has seen the delta open
		closed.Store(true)
		f.tell(shadowTopic+"/update/documents", `{"current":{"version":9}}`, "")
	})
	code, out, errs := f.run("shadow", "set", cameraID, `{"guard":"on"}`, "--wait", "20s")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	expect(t, "the output", out, "accepted, version 8\n", "it is so, after ")
}

func TestShadowSetTellsWhatTheDeviceRefused(t *testing.T) {
	f := newFakeBridge(t)
	f.answerGet(shadowTopic, func() string {
		return `{"delta":{"guard":"on"},"reported":{"errors":{"guard":{"code":502,"message":"Result ERROR"},"recording":{"code":400,"message":"other"}}}}`
	})
	f.answerUpdate(func() {})
	code, _, errs := f.run("shadow", "set", cameraID, `{"guard":"on"}`, "--wait", "20s")
	if code != exitFailed || errs != "the device refused: guard: 502 Result ERROR\n" {
		t.Errorf("exit %d, %q", code, errs)
	}
}

func TestShadowSetEndsWhenTheDeviceStaysAway(t *testing.T) {
	f := newFakeBridge(t)
	f.answerGet(shadowTopic, func() string { return `{"delta":{"guard":"on"}}` })
	f.answerUpdate(func() {})
	code, _, errs := f.run("shadow", "set", cameraID, `{"guard":"on"}`, "--wait", "50ms")
	if code != exitFailed {
		t.Errorf("exit %d, want 1", code)
	}
	expect(t, "the error", errs, `not so after 50ms: guard="on"; is the device online?`)

	code, out, _ := f.run("shadow", "set", cameraID, `{"guard":"on"}`)
	if code != exitOK {
		t.Errorf("without --wait: exit %d, want 0", code)
	}
	expect(t, "the output", out, `not so yet: guard="on"`)

	_, out, _ = f.run("shadow", "set", cameraID, `{"guard":"on"}`, "--json")
	if !strings.HasPrefix(out, `{"version":8,"delta":{"guard":"on"},"closed":false,`) {
		t.Errorf("--json: %s", out)
	}
}

func TestShadowSetKeepsWhatAwsRefuses(t *testing.T) {
	f := newFakeBridge(t)
	f.on(shadowTopic+"/update", func(_ map[string]any, token string) {
		f.tell(shadowTopic+"/update/rejected", `{"clientToken":"%TOKEN","code":413,"message":"The payload exceeds the maximum size allowed"}`, token)
	})
	code, _, errs := f.run("shadow", "set", cameraID, `{"guard":"on"}`)
	if code != exitFailed || errs != "413 The payload exceeds the maximum size allowed\n" {
		t.Errorf("exit %d, %q", code, errs)
	}
}

func TestShadowWatchPrintsEveryChangeUntilInterrupted(t *testing.T) {
	f := newFakeBridge(t)
	out, errs, stop := f.start("shadow", "watch", cameraID)
	if line := receive(t, errs); !strings.HasPrefix(line, "watching "+cameraID+" at tcp://") {
		t.Errorf("began with %q", line)
	}
	for _, c := range []struct{ topic, payload, want string }{
		{"update/delta", `{"version":3,"state":{"ptz":{"preset":2},"guard":"on"}}`, `delta     v3 guard="on" ptz.preset=2`},
		{"update/accepted", `{"version":4,"state":{"desired":{"guard":null}}}`, `accepted  v4 desired.guard=null`},
		{"update/documents", `{"current":{"version":4,"state":{"reported":{"guard":"on"}}}}`, `document  v4 reported.guard="on"`},
		{"update/rejected", `{"code":409,"message":"Version conflict"}`, `rejected  409 Version conflict`},
		{"delete/accepted", `{"version":4}`, `deleted   v4`},
	} {
		f.tell(shadowTopic+"/"+c.topic, c.payload, "")
		if line := receive(t, out); !strings.HasSuffix(line, c.want) {
			t.Errorf("%s became %q, want …%q", c.topic, line, c.want)
		}
	}
	if code := stop(); code != exitOK {
		t.Errorf("an interrupt ends with %d, want 0", code)
	}
}

func TestWatchedMessagesAreJSONWhateverTheyHold(t *testing.T) {
	for _, payload := range []string{`{"version":1}`, "not JSON\x00", ""} {
		line, err := watchedJSON(time.UnixMilli(5), "update/delta", []byte(payload))
		if err != nil {
			t.Errorf("%q: %v", payload, err)
		}
		var record struct {
			TS   int64  `json:"ts"`
			Kind string `json:"kind"`
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil || record.TS != 5 || record.Kind != "update/delta" {
			t.Errorf("%q became %s: %v", payload, line, err)
		}
	}
}

// receive returns the next line; the time is only there to end a test that has failed.
func receive(t *testing.T, l lines) string {
	t.Helper()
	select {
	case line := <-l:
		return line
	case <-time.After(20 * time.Second):
		t.Fatal("no line came")
		return ""
	}
}
