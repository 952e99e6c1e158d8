package bridge

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// send is one alarm of a story: its SIP method, what it is, and when it comes.
type send struct {
	method, alarm string
	after         time.Duration
}

func TestAnAlarmByMessageAndByNotifyIsOneEvent(t *testing.T) {
	device, _ := gb28181.ParseID("34020000001320000001")
	const s = time.Second
	for name, c := range map[string]struct {
		sends []send
		want  string // of each: an event of its own (e) or the other half (h)
	}{
		"by both":                         {[]send{{"MESSAGE", "a", 0}, {"NOTIFY", "a", s}}, "eh"},
		"by both, the NOTIFY first":       {[]send{{"NOTIFY", "a", 0}, {"MESSAGE", "a", s}}, "eh"},
		"twice by MESSAGE":                {[]send{{"MESSAGE", "a", 0}, {"MESSAGE", "a", s}}, "ee"},
		"twice by NOTIFY":                 {[]send{{"NOTIFY", "a", 0}, {"NOTIFY", "a", s}}, "ee"},
		"twice by both":                   {[]send{{"MESSAGE", "a", 0}, {"MESSAGE", "a", s}, {"NOTIFY", "a", s}, {"NOTIFY", "a", s}}, "eehh"},
		"a third one":                     {[]send{{"MESSAGE", "a", 0}, {"NOTIFY", "a", s}, {"NOTIFY", "a", s}}, "ehe"},
		"others":                          {[]send{{"MESSAGE", "a", 0}, {"NOTIFY", "b", s}, {"NOTIFY", "a", s}}, "eeh"},
		"too late to be the same":         {[]send{{"MESSAGE", "a", 0}, {"NOTIFY", "a", twinWindow + s}}, "ee"},
		"more than is remembered between": {append(append([]send{{"MESSAGE", "a", 0}}, many(twinsMost)...), send{"NOTIFY", "a", 0}), strings.Repeat("e", twinsMost+2)},
	} {
		twins, got, at := newTwins(), "", time.Unix(0, 0)
		for _, x := range c.sends {
			at = at.Add(x.after)
			in := &fleet.Inbound{Device: device, Method: x.method, At: at, Message: &gb28181.Message{DeviceID: device.String()}}
			one := twins.first(in, &gb28181.Alarm{Time: x.alarm}, func(stored bool) { got += "h" })
			if one != nil {
				got += "e"
				twins.answered(device, one, 200)
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		twins.sweep(at.Add(twinWindow + s))
		if len(twins.devices) != 0 {
			t.Errorf("%s: %d devices are remembered for ever", name, len(twins.devices))
		}
	}
}

func many(n int) (list []send) {
	for i := range n {
		list = append(list, send{"MESSAGE", fmt.Sprint("x", i), 0})
	}
	return list
}

// The other half must not be answered with 200 before the event is on the disk, and one whose
// event was not stored must not swallow its repetition.
func TestTheOtherHalfOfAnAlarmSharesItsFate(t *testing.T) {
	device, _ := gb28181.ParseID("34020000001320000001")
	for _, code := range []int{200, 500} {
		twins, fate := newTwins(), ""
		in := func(method string) *fleet.Inbound {
			return &fleet.Inbound{Device: device, Method: method, Message: new(gb28181.Message)}
		}
		then := func(stored bool) { fate += fmt.Sprint(stored) }
		one := twins.first(in("MESSAGE"), new(gb28181.Alarm), then)
		if twins.first(in("NOTIFY"), new(gb28181.Alarm), then) != nil || fate != "" {
			t.Fatalf("while the event is being stored: %q", fate)
		}
		twins.answered(device, one, code)
		if fate != fmt.Sprint(code == 200) {
			t.Errorf("%d: the other half was told %q", code, fate)
		}
		if again := twins.first(in("NOTIFY"), new(gb28181.Alarm), then); again == nil {
			t.Errorf("%d: its repetition is swallowed", code)
		}
	}
}
