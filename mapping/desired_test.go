package mapping

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestWishesBecomeCommandsAndCloseTheirDelta(t *testing.T) {
	for _, c := range []struct{ delta, body string }{
		{`{"guard":"on"}`, "<GuardCmd>SetGuard</GuardCmd>"},
		{`{"guard":"off"}`, "<GuardCmd>ResetGuard</GuardCmd>"},
		{`{"recording":true}`, "<RecordCmd>Record</RecordCmd>"},
		{`{"recording":false}`, "<RecordCmd>StopRecord</RecordCmd>"},
		{`{"ptz":{"preset":5}}`, "<PTZCmd>A50F01820005003C</PTZCmd>"},
	} {
		wishes := Wishes(object(t, c.delta), true)
		if len(wishes) != 1 || wishes[0].Err != nil {
			t.Errorf("%s: %+v", c.delta, wishes)
			continue
		}
		cmd := wishes[0].Command()
		if body := string(cmd.Encode(1, target, Peer{})); !strings.Contains(body, c.body) {
			t.Errorf("%s: %s wants %s", c.delta, body, c.body)
		}
		reported, err := json.Marshal(cmd.Reported)
		if err != nil || !reflect.DeepEqual(object(t, string(reported)), object(t, c.delta)) {
			t.Errorf("%s is reported as %s, which does not close the delta", c.delta, reported)
		}
	}
}

func TestWhatCannotBeHarmsNothingElse(t *testing.T) {
	wishes := Wishes(object(t, `{"guard":"maybe","recording":true,"ptz":{"preset":0,"pan":3,"spin":1},
		"foo":{"bar":1},"config":{"osd":{"on":true}},"stream":{"state":"playing"},"a.b":1,"subscriptions":7}`), true)
	want := []struct {
		path string
		code int
		says string
	}{
		{"a.b", 400, "unknown"}, {"config.osd", 501, "not available in this version"}, {"foo", 400, "guard, recording, ptz.preset"},
		{"guard", 400, `"maybe" is not accepted; use "on" or "off"`}, {"ptz.pan", 501, "not available"},
		{"ptz.preset", 400, "0 is not accepted; use a whole number from 1 to 255"}, {"ptz.spin", 400, "unknown"},
		{"recording", 0, ""}, {"stream", 501, "not available"}, {"subscriptions", 400, "alarm, catalog, position"},
	}
	if len(wishes) != len(want) {
		t.Fatalf("%d wishes, want %d: %+v", len(wishes), len(want), wishes)
	}
	for i, w := range wishes {
		switch {
		case w.Path != want[i].path:
			t.Errorf("wish %d is %s, want %s", i, w.Path, want[i].path)
		case want[i].code == 0 && (w.Err != nil || w.Command() == nil):
			t.Errorf("%s: %v", w.Path, w.Err)
		case want[i].code != 0 && (w.Err == nil || w.Err.Code != want[i].code || !strings.Contains(w.Err.Message, want[i].says) || w.Command() != nil):
			t.Errorf("%s: %v, want %d with %q", w.Path, w.Err, want[i].code, want[i].says)
		}
	}
}

func TestADeviceHasNoWishesOfAChannel(t *testing.T) {
	wishes := Wishes(object(t, `{"guard":"on","recording":true}`), false)
	if len(wishes) != 2 || wishes[0].Err != nil || wishes[1].Err == nil || !strings.Contains(wishes[1].Err.Message, "channel") {
		t.Errorf("%+v", wishes)
	}
}

func object(t *testing.T, text string) (v map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}
