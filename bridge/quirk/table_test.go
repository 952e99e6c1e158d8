package quirk

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

func mustID(s string) gb28181.ID {
	id, err := gb28181.ParseID(s)
	if err != nil {
		panic(err)
	}
	return id
}

var (
	cam   = mustID("34020000001320000001")
	other = mustID("34020000001320000002")
)

func TestADevicesOwnRowComesBeforeItsModelsKeyByKey(t *testing.T) {
	none, hour := time.Duration(0), time.Hour
	table := New(Config{
		cam.String(): {Encoding: "utf-8", OnRegister: []string{}, Subscribe: Subscribe{Alarm: &none}, PTZSpeed: PTZSpeed{Pan: 63}},
		"ACME/X1": {Encoding: "gb18030", IFrame: "IFameCmd", OnRegister: []string{"catalog"}, Subscribe: Subscribe{Alarm: &hour, Catalog: &hour},
			PTZSpeed: PTZSpeed{Pan: 7, Zoom: 7}, Keepalive: Keepalive{Misses: 5}},
	})
	if q := table.Of(cam); q.Encoding != "utf-8" || q.IFrame != "" {
		t.Errorf("before its model is known: %+v", q)
	}
	if !table.Identify(cam, " acme", "x1 ") || !table.Identify(other, "ACME", "X1") {
		t.Error("the model has a row, and nothing has changed")
	}
	want := Quirks{Encoding: "utf-8", IFrame: "IFameCmd", OnRegister: []string{}, Subscribe: Subscribe{Alarm: &none, Catalog: &hour},
		PTZSpeed: PTZSpeed{Pan: 63, Zoom: 7}, Keepalive: Keepalive{Misses: 5}}
	if got := table.Of(cam); !reflect.DeepEqual(got, want) {
		t.Errorf("once its model is known: %+v, want %+v", got, want)
	}
	if q := table.Of(other); q.Encoding != "gb18030" || q.PTZSpeed.Pan != 7 {
		t.Errorf("the other of that model: %+v", q)
	}
	if !table.Identify(other, "ACME", "X2") || table.Identify(other, "ACME", "X2") || table.Of(other).Encoding != "" {
		t.Errorf("of a model that has no row: %+v", table.Of(other))
	}
}

// Each key must count whether a device or its model has it: over must forget none.
func TestEveryKeyOfAModelReachesItsDevices(t *testing.T) {
	day := 24 * time.Hour
	full := Quirks{
		GBVersion: "2.0", Encoding: "utf-8", Clock: Clock{"+00:00", true}, Keepalive: Keepalive{time.Minute, 4},
		Digest: Digest{[]string{"SM3"}, true}, OnRegister: []string{"catalog"}, Subscribe: Subscribe{&day, &day, &day}, PollCatalog: true,
		Inflight: 1, IFrame: "IFameCmd", PTZSpeed: PTZSpeed{1, 2, 3, 4, 5}, ChannelTypes: []string{"215"},
	}
	unset(t, "", reflect.ValueOf(full))
	for what, got := range map[string]Quirks{"a model's": Quirks{}.over(full), "a device's": full.over(Quirks{})} {
		if !reflect.DeepEqual(got, full) {
			t.Errorf("%s: %+v, want %+v", what, got, full)
		}
	}
}

// unset complains about what the test itself has forgotten.
func unset(t *testing.T, path string, v reflect.Value) {
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Struct {
			unset(t, path+v.Type().Field(i).Name+".", f)
		} else if f.IsZero() {
			t.Errorf("%s%s is not tried", path, v.Type().Field(i).Name)
		}
	}
}

func TestWhatIsOverriddenHasItsNames(t *testing.T) {
	none := time.Duration(0)
	q := Quirks{Clock: Clock{Zone: "+00:00"}, OnRegister: []string{}, Subscribe: Subscribe{Alarm: &none}, Inflight: 1}
	if got, want := q.Names(), []string{"clock.zone", "on_register", "subscribe.alarm", "inflight"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (Quirks{}).Names(); got != nil {
		t.Errorf("nothing overrides %q", got)
	}
}

func TestAZoneIsAnOffset(t *testing.T) {
	if (Quirks{}).Location() != nil {
		t.Error("nothing said is a zone")
	}
	at := time.Date(2026, 9, 23, 8, 0, 0, 0, Quirks{Clock: Clock{Zone: "-03:30"}}.Location())
	if got := at.UTC().Format(time.DateTime); got != "2026-09-23 11:30:00" {
		t.Errorf("8:00 at -03:30 is %s UTC", got)
	}
}
