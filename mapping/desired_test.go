package mapping

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

func TestWishesBecomeCommandsAndCloseTheirDelta(t *testing.T) {
	for _, c := range []struct{ delta, body string }{
		{`{"guard":"on"}`, "<GuardCmd>SetGuard</GuardCmd>"},
		{`{"guard":"off"}`, "<GuardCmd>ResetGuard</GuardCmd>"},
		{`{"recording":true}`, "<RecordCmd>Record</RecordCmd>"},
		{`{"recording":false}`, "<RecordCmd>StopRecord</RecordCmd>"},
		{`{"ptz":{"preset":5}}`, "<PTZCmd>A50F01820005003C</PTZCmd>"},
		{`{"ptz":{"tilt":-3.5}}`, "<PTZPreciseCtrl>\r\n<Tilt>-3.50</Tilt>\r\n</PTZPreciseCtrl>"},
		{`{"home_position":{"enabled":true,"preset_index":3}}`, "<HomePosition>\r\n<Enabled>1</Enabled>\r\n<PresetIndex>3</PresetIndex>\r\n</HomePosition>"},
	} {
		wishes := Wishes(object(t, c.delta), true)
		if len(wishes) != 1 || wishes[0].Err != nil {
			t.Errorf("%s: %+v", c.delta, wishes)
			continue
		}
		cmd, why := wishes[0].Command(nil)
		if why != nil {
			t.Errorf("%s: %v", c.delta, why)
			continue
		}
		if body := string(cmd.Encode(1, target, Peer{})); !strings.Contains(body, c.body) {
			t.Errorf("%s: %s wants %s", c.delta, body, c.body)
		}
		reported, err := json.Marshal(cmd.Reported)
		if err != nil || !Covered(object(t, string(reported)), object(t, c.delta)) {
			t.Errorf("%s is reported as %s, which does not close the delta", c.delta, reported)
		}
	}
}

func TestWhatCannotBeHarmsNothingElse(t *testing.T) {
	wishes := Wishes(object(t, `{"guard":"maybe","recording":true,"ptz":{"preset":0,"pan":-3,"spin":1},
		"foo":{"bar":1},"config":{"osd":{"on":true}},"stream":{"state":"playing"},"a.b":1,"subscriptions":7}`), true)
	want := []struct {
		path string
		code int
		says string
	}{
		{"a.b", 400, "unknown"}, {"config.osd", 400, "osd.on is unknown; osd has length"}, {"foo", 400, "guard, recording, ptz.preset"},
		{"guard", 400, `"maybe" is not accepted; use "on" or "off"`}, {"ptz.pan", 400, "-3 is not accepted; use a number from 0 to 360"},
		{"ptz.preset", 400, "0 is not accepted; use a whole number from 1 to 255"}, {"ptz.spin", 400, "unknown"},
		{"recording", 0, ""}, {"stream", 501, "not available"}, {"subscriptions", 400, "alarm, catalog, position"},
	}
	if len(wishes) != len(want) {
		t.Fatalf("%d wishes, want %d: %+v", len(wishes), len(want), wishes)
	}
	for i, w := range wishes {
		cmd, _ := w.Command(nil)
		switch {
		case w.Path != want[i].path:
			t.Errorf("wish %d is %s, want %s", i, w.Path, want[i].path)
		case want[i].code == 0 && (w.Err != nil || cmd == nil):
			t.Errorf("%s: %v", w.Path, w.Err)
		case want[i].code != 0 && (w.Err == nil || w.Err.Code != want[i].code || !strings.Contains(w.Err.Message, want[i].says) || cmd != nil):
			t.Errorf("%s: %v, want %d with %q", w.Path, w.Err, want[i].code, want[i].says)
		}
	}
}

func TestWhatAWishLeavesOutIsTakenFromWhatIsReported(t *testing.T) {
	wishes := Wishes(object(t, `{"home_position":{"reset_time":60}}`), true)
	if _, why := wishes[0].Command(nil); why == nil || why.Code != 400 || !strings.Contains(why.Message, "home_position.enabled is missing") {
		t.Errorf("without anything reported: %v", why)
	}
	cmd, why := wishes[0].Command(object(t, `{"enabled":true,"reset_time":5}`))
	if why != nil {
		t.Fatal(why)
	}
	if body := string(cmd.Encode(1, target, Peer{})); !strings.Contains(body, "<Enabled>1</Enabled>\r\n<ResetTime>60</ResetTime>") {
		t.Errorf("got %s", body)
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

// A camera that takes a missing axis for zero must not turn away: all that is wanted goes at once.
func TestAxesThatAreWishedForTogetherAreOneCommand(t *testing.T) {
	wishes := Wishes(object(t, `{"ptz":{"pan":120.5,"tilt":15,"zoom":4,"preset":3}}`), true)
	if len(wishes) != 4 {
		t.Fatalf("%+v", wishes)
	}
	for _, w := range wishes {
		cmd, why := w.Command(nil)
		if why != nil {
			t.Fatalf("%s: %v", w.Path, why)
		}
		body := string(cmd.Encode(1, target, Peer{}))
		if w.Path == "ptz.preset" {
			if !strings.Contains(body, "PTZCmd") {
				t.Errorf("%s: %s", w.Path, body)
			}
			continue
		}
		if !strings.Contains(body, "<Pan>120.50</Pan>\r\n<Tilt>15.00</Tilt>\r\n<Zoom>4.00</Zoom>") ||
			!Covered(cmd.Reported, object(t, `{"ptz":{"pan":120.5,"tilt":15,"zoom":4}}`)) {
			t.Errorf("%s: %s reports %v", w.Path, body, cmd.Reported)
		}
	}
}

// FuzzWishes holds that whatever is desired, each wish either says why it can't be, or becomes a
// body that can be read.
func FuzzWishes(f *testing.F) {
	for _, seed := range []string{
		`{"guard":"on","recording":true,"ptz":{"preset":5,"pan":1,"tilt":-3.5,"zoom":2},"home_position":{"enabled":true}}`,
		`{"config":{"basic":{"name":"a"},"mirror":3,"video":[{"stream_number":0,"video_format":5,"resolution":"6","frame_rate":25,"bit_rate_type":1}]}}`,
		`{"config":{"osd":{"items":[{"text":"南门","x":1,"y":2}]},"record_plan":{"record_schedules":[{"week_day_num":1,"time_segments":[]}]}}}`,
		`{"a.b":{"c":[1,null,{}]},"ptz":[],"config":null,"subscriptions":{"alarm":-1}}`,
	} {
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, delta []byte, onChannel bool) {
		var v map[string]any
		if json.Unmarshal(delta, &v) != nil {
			return
		}
		for _, w := range Wishes(v, onChannel) {
			if (w.Row == nil) == (w.Err == nil) {
				t.Fatalf("%s: row %v and error %v", w.Path, w.Row, w.Err)
			}
			if w.Err != nil {
				if w.Err.Code < 400 || w.Err.Message == "" {
					t.Fatalf("%s: refused with %+v", w.Path, w.Err)
				}
				continue
			}
			cmd, why := w.Command(nil)
			if c, want, is := w.Configuration(); is {
				cmd, why = WriteConfiguration(c, want)
			}
			if cmd == nil {
				continue // it lacks what only the device knows, or is made so without a command
			}
			if why != nil {
				t.Fatalf("%s: both a command and %v", w.Path, why)
			}
			if m, err := gb28181.Decode(cmd.Encode(17, target, Peer{Encoding: gb28181.GB18030})); err != nil || m.SN != 17 {
				t.Fatalf("%s %v: the body is not readable: %v", w.Path, w.Value, err)
			}
		}
	})
}
