package command

import "testing"

// A position is asked for with what the standard has as a subscription's body alone: who takes it
// and says nothing, or refuses it, can't tell where it is. Who gives no SIP answer is another case.
func TestWhoLeavesAPositionUnansweredCannotTellIt(t *testing.T) {
	for _, c := range []struct {
		name  string
		set   func(d *device)
		want  int
		other int // of a query whose answer is owed
	}{
		{"a 200 and nothing more", func(*device) {}, 501, 408},
		{"Result ERROR", func(d *device) {
			d.reply = func(d *device, s sent) {
				for _, cmdType := range []string{"MobilePosition", "DeviceInfo"} {
					d.say(response(cmdType, s.sn, "<Result>ERROR</Result>"))
				}
			}
		}, 501, 502},
		{"SIP 400", func(d *device) { d.code = 400 }, 501, 502},
		{"SIP 501", func(d *device) { d.code = 501 }, 501, 501},
		{"SIP 404", func(d *device) { d.code = 404 }, 404, 404},
	} {
		story(t, Default(), func(t *testing.T, d *device) {
			c.set(d)
			if _, why := d.do(channel, "position", ""); code(why) != c.want {
				t.Errorf("%s: position gets %v, want %d", c.name, why, c.want)
			}
			if _, why := d.do(cam, "device_info", ""); code(why) != c.other {
				t.Errorf("%s: device_info gets %v, want %d", c.name, why, c.other)
			}
		})
	}
}
