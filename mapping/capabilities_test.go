package mapping

import (
	"fmt"
	"testing"
)

func TestWhatADeviceCanDoIsShownByItsAnswers(t *testing.T) {
	cannot, refused, late := Errorf(CodeNotSupported, "501"), Errorf(CodeDeviceError, "ERROR"), Errorf(CodeTimeout, "no answer")
	for _, c := range []struct {
		name, args string
		answer     map[string]any
		why        *Error
		want       string
	}{
		{name: "presets", want: "map[presets:true]"},
		{name: "presets", why: cannot, want: "map[presets:false]"},
		{name: "presets", why: refused, want: "map[]"},
		{name: "presets", why: late, want: "map[]"},
		{name: "presets", args: `{}`, want: "map[presets:true]"},
		{name: "ptz", args: `{"pan":0}`, want: "map[]"}, // sent is not done
		{name: "ptz", args: `{"pan":0}`, why: cannot, want: "map[ptz:false]"},
		{name: "records", args: `{"next":"x.1"}`, want: "map[]"}, // the device was not asked
		{name: "raw", args: `{"xml":"<Query><CmdType>A</CmdType></Query>"}`, want: "map[]"},
		{name: "diagnose", want: "map[]"},
		{name: "config_get", args: `{"types":["osd","mirror"]}`, answer: map[string]any{"osd": map[string]any{}}, want: "map[config:map[mirror:false osd:true]]"},
		{name: "config_get", args: `{"types":["osd"]}`, why: cannot, want: "map[config:map[osd:false]]"},
	} {
		cmd, why := ParseCommand(c.name, false, []byte(c.args))
		if why != nil {
			t.Fatal(why)
		}
		if got := fmt.Sprint(Capabilities(cmd, c.answer, c.why)); got != c.want {
			t.Errorf("%s %s, %v, %v: shows %s, want %s", c.name, c.args, c.answer, c.why, got, c.want)
		}
	}
}
