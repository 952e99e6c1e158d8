package fleet

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

func told(changes []ChannelChange) string {
	var s []string
	for _, c := range changes {
		s = append(s, fmt.Sprintf("%c %v>%v %s", c.Channel.ID[19], c.Previous.Presence, c.Channel.Presence, c.Channel.Reason))
	}
	return strings.Join(s, "; ")
}

func TestChannelIsOnlineWhenItsStatusAndItsDeviceAre(t *testing.T) {
	f, _ := newFleet(t, testConfig(time.Minute), nil)
	register(f, cam, home, password, nil)
	one, two := mustID("34020000001310000001"), mustID("34020000001310000002")
	on := func(event string) ChannelStatus {
		return ChannelStatus{ID: one, Status: "ON", Online: true, Event: event}
	}
	off := ChannelStatus{ID: two, Status: "OFF"}
	for i, c := range []struct {
		statuses []ChannelStatus
		complete bool
		want     string
	}{
		{[]ChannelStatus{on(""), off}, true, "1 unknown>online registered; 2 unknown>offline status"},
		{[]ChannelStatus{on("")}, false, ""},
		{[]ChannelStatus{{ID: one, Event: "VLOST"}}, false, "1 online>offline status"},
		{[]ChannelStatus{{ID: one, Event: "UPDATE"}}, false, ""},
		{[]ChannelStatus{{ID: one, Event: "on"}}, false, "1 offline>online registered"},
		{[]ChannelStatus{{ID: one, Event: "DEL"}}, false, "1 online>offline vanished"},
		{[]ChannelStatus{on("ADD")}, false, "1 offline>online registered"},
		{[]ChannelStatus{off}, true, "1 online>offline vanished"},
		{[]ChannelStatus{on(""), off}, true, "1 offline>online registered"},
	} {
		if got := told(f.ApplyCatalog(cam, c.statuses, c.complete).Changes); got != c.want {
			t.Errorf("step %d: got %q, want %q", i, got, c.want)
		}
	}
	f.ApplyCatalog(cam, []ChannelStatus{{ID: two, Event: "DEL"}}, false)
	if d, _ := f.Device(cam); d.Channels != 1 || len(f.Channels(cam)) != 2 {
		t.Errorf("%d there, %d known", d.Channels, len(f.Channels(cam)))
	}
	register(f, cam, home, password, func(r *sip.Request) { r.Expires = 0 })
	if p, reason := f.ChannelPresence(cam, one); p != Offline || reason != ReasonUnregistered {
		t.Errorf("channel of a device that left: %v %s", p, reason)
	}

	want := f.Channels(cam)
	list := make([]Channel, len(want))
	for i, ch := range want {
		row, err := ch.MarshalBinary()
		if err == nil {
			err = list[i].UnmarshalBinary(row)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	f.Forget(cam, one)
	f.Forget(cam, two)
	f.RestoreChannels(cam, list)
	got := f.Channels(cam)
	for i := range got {
		if !got[i].VanishedAt.Equal(want[i].VanishedAt) {
			t.Errorf("vanished at %v, want %v", got[i].VanishedAt, want[i].VanishedAt)
		}
		got[i].VanishedAt, want[i].VanishedAt = time.Time{}, time.Time{}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("restored %+v, want %+v", got, want)
	}
}

func TestCountOfChannelsIsThatOfThoseThere(t *testing.T) {
	f, _ := newFleet(t, testConfig(time.Minute), nil)
	register(f, cam, home, password, nil)
	ids := []string{"34020000001310000001", "34020000001310000002", "34020000001310000003"}
	status := func(n int, event string) ChannelStatus {
		return ChannelStatus{ID: mustID(ids[n]), Status: "ON", Online: true, Event: event}
	}
	all := []ChannelStatus{status(0, ""), status(1, ""), status(2, "")}
	apply := func(complete bool, statuses ...ChannelStatus) func() {
		return func() { f.ApplyCatalog(cam, statuses, complete) }
	}
	forget := func(n int) func() { return func() { f.Forget(cam, mustID(ids[n])) } }
	restore := func() { f.RestoreChannels(cam, f.Channels(cam)) }
	for i, step := range []func(){
		apply(true, all...), apply(true, all...), apply(false, status(0, "DEL")), apply(false, status(0, "DEL")), restore,
		apply(false, status(0, "ADD")), apply(true, all[1]), restore, forget(0), forget(1), forget(1),
		apply(false, all[1], all[1]), apply(true), forget(2), restore,
	} {
		step()
		want := 0
		for _, ch := range f.Channels(cam) {
			if ch.VanishedAt.IsZero() {
				want++
			}
		}
		if d, _ := f.Device(cam); d.Channels != want {
			t.Errorf("step %d: counted %d, want %d", i, d.Channels, want)
		}
	}
}

// BenchmarkDeviceWith100kChannels is a look at a lower platform, as each update of one of its
// channels' shadows takes it: it must not grow with the catalogue.
func BenchmarkDeviceWith100kChannels(b *testing.B) {
	f, _ := newFleet(b, testConfig(time.Minute), nil)
	register(f, cam, home, password, nil)
	statuses := make([]ChannelStatus, 100_000)
	for i := range statuses {
		statuses[i] = ChannelStatus{ID: mustID(fmt.Sprintf("34020000001310%06d", i)), Status: "ON", Online: true}
	}
	f.ApplyCatalog(cam, statuses, true)
	b.ReportAllocs()
	for b.Loop() {
		f.Device(cam)
	}
}

func TestNoMoreChannelsThanTheLimitAreTakenOver(t *testing.T) {
	cfg := testConfig(time.Minute)
	cfg.MaxChannels = 2
	f, _ := newFleet(t, cfg, nil)
	register(f, cam, home, password, nil)
	status := func(n int, event string) ChannelStatus {
		return ChannelStatus{ID: mustID(fmt.Sprintf("3402000000131%07d", n)), Status: "ON", Online: true, Event: event}
	}
	a := f.ApplyCatalog(cam, []ChannelStatus{status(1, ""), status(2, ""), status(3, "")}, false)
	if len(a.Changes) != 2 || a.Refused != 1 {
		t.Errorf("%d changes, %d refused; want 2 and 1", len(a.Changes), a.Refused)
	}
	a = f.ApplyCatalog(cam, []ChannelStatus{status(1, "OFF"), status(4, "DEL"), status(4, "ADD")}, false)
	if len(a.Changes) != 1 || a.Refused != 1 {
		t.Errorf("%d changes, %d refused; want 1 and 1: who is known goes on", len(a.Changes), a.Refused)
	}
}

func TestWhatAnItemSaidBeforeIsKnown(t *testing.T) {
	f, _ := newFleet(t, testConfig(time.Minute), nil)
	register(f, cam, home, password, nil)
	one := mustID("34020000001310000001")
	for i, c := range []struct {
		status ChannelStatus
		known  bool
	}{
		{ChannelStatus{ID: one, Hash: 1}, false},
		{ChannelStatus{ID: one, Hash: 1, Status: "OFF"}, true},
		{ChannelStatus{ID: one, Event: "OFF"}, true}, // says nothing else
		{ChannelStatus{ID: one, Hash: 1}, true},
		{ChannelStatus{ID: one, Hash: 2}, false},
		{ChannelStatus{ID: one, Hash: 1}, false},
	} {
		if a := f.ApplyCatalog(cam, []ChannelStatus{c.status}, false); len(a.Known) != 1 || a.Known[0] != c.known {
			t.Errorf("step %d: known %v, want %v", i, a.Known, c.known)
		}
	}
	f.ItemLost(cam, one)
	if a := f.ApplyCatalog(cam, []ChannelStatus{{ID: one, Hash: 1}}, false); a.Known[0] {
		t.Error("what is lost is known")
	}
}

func TestOnlyWhatHasChangedIsToldAndKept(t *testing.T) {
	f, _ := newFleet(t, testConfig(time.Minute), nil)
	register(f, cam, home, password, nil)
	one, two := mustID("34020000001310000001"), mustID("34020000001310000002")
	all := []ChannelStatus{{ID: one, Status: "ON", Online: true}, {ID: two, Status: "OFF"}}
	kept := func(statuses []ChannelStatus, complete bool) string {
		var s []string
		for _, c := range f.ApplyCatalog(cam, statuses, complete).Changes {
			s = append(s, fmt.Sprintf("%c kept %v counted %v", c.Channel.ID[19], c.Kept(), c.Counted()))
		}
		return strings.Join(s, "; ")
	}
	for i, c := range []struct {
		statuses []ChannelStatus
		complete bool
		want     string
	}{
		{all, false, "1 kept true counted true; 2 kept true counted true"},
		{all, true, ""},
		{[]ChannelStatus{{ID: two, Event: "VLOST"}}, false, "2 kept true counted false"}, // offline as before
		{all[:1], true, "2 kept true counted true"},
		{all, true, "2 kept true counted true"},
	} {
		if got := kept(c.statuses, c.complete); got != c.want {
			t.Errorf("step %d: %q, want %q", i, got, c.want)
		}
	}
	f.ApplyCatalog(cam, all[:1], true)
	if got := f.Vanished(time.Now().Add(-time.Minute)); len(got) != 0 {
		t.Errorf("vanished a minute ago: %v", got)
	}
	if got := f.Vanished(time.Now().Add(time.Minute)); !reflect.DeepEqual(got, map[gb28181.ID][]gb28181.ID{cam: {two}}) {
		t.Errorf("vanished: %v", got)
	}
}

// Two lower platforms, or two recorders out of the box, have channels of one ID (wvp).
func TestChannelsOfOneIDUnderTwoDevicesAreTwo(t *testing.T) {
	f, _ := newFleet(t, testConfig(time.Minute), nil)
	other, ch := mustID("34020000001320000002"), mustID("34020000001310000001")
	for _, id := range []gb28181.ID{cam, other} {
		register(f, id, home, password, nil)
		f.ApplyCatalog(id, []ChannelStatus{{ID: ch, Status: "ON", Online: true}}, true)
	}
	f.ApplyCatalog(other, []ChannelStatus{{ID: ch, Event: "OFF"}}, false)
	mine, _ := f.ChannelPresence(cam, ch)
	theirs, _ := f.ChannelPresence(other, ch)
	if mine != Online || theirs != Offline {
		t.Errorf("the one is %v, the other one, which is off, %v", mine, theirs)
	}
	f.Forget(other, ch)
	if _, there := f.Channel(cam, ch); !there {
		t.Error("it is forgotten with the other's")
	}
}
