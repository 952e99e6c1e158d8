// Package quirk holds what must be told of devices because it can't be detected: overrides by
// device ID, and by manufacturer and model.
//
//	devices.quirks ──▶ Table ──▶ Of(device): its own rows over its model's
//	DeviceInfo ──▶ Identify ──┘
//
// Each override has a room that acts on it.
package quirk

import (
	"cmp"
	"reflect"
	"time"
)

// Quirks are the overrides of one device or model. What is zero, or nil, is not overridden.
type Quirks struct {
	GBVersion    string    `yaml:"gb_version"`    // X-GB-Ver that counts, whatever it shows
	Encoding     string    `yaml:"encoding"`      // of what is sent, as devices.encoding
	Clock        Clock     `yaml:"clock"`         // the device's
	Keepalive    Keepalive `yaml:"keepalive"`     // whatever its BasicParam says
	Digest       Digest    `yaml:"digest"`        // how it is challenged
	OnRegister   []string  `yaml:"on_register"`   // as devices.on_register; an empty list asks nothing
	Subscribe    Subscribe `yaml:"subscribe"`     // as devices.subscribe
	PollCatalog  bool      `yaml:"poll_catalog"`  // at subscribe.catalog's interval, instead of a subscription
	Inflight     int       `yaml:"inflight"`      // as limits.inflight_per_device
	IFrame       string    `yaml:"iframe"`        // how it spells the element: IFameCmd, IFrameCmd
	PTZSpeed     PTZSpeed  `yaml:"ptz_speed"`     // its fastest movements
	ChannelTypes []string  `yaml:"channel_types"` // digits 11-13 of IDs, 200 to 299, that are cameras all the same
}

// Clock is that of a device.
type Clock struct {
	Zone   string `yaml:"zone"`    // of its times, which name none: +08:00
	NoDate bool   `yaml:"no_date"` // it is upset by the Date of a registration's 200
}

// Keepalive is a device's rhythm.
type Keepalive struct {
	Interval time.Duration `yaml:"interval"`
	Misses   int           `yaml:"misses"`
}

// Digest is how a device is challenged.
type Digest struct {
	Algorithms []string `yaml:"algorithms"` // offered in this order
	NoQop      bool     `yaml:"no_qop"`     // it fails with qop
}

// Subscribe is how long each subscription lasts before it is refreshed; 0 is none.
type Subscribe struct {
	Catalog  *time.Duration `yaml:"catalog"`
	Alarm    *time.Duration `yaml:"alarm"`
	Position *time.Duration `yaml:"position"` // the reporting interval
}

// PTZSpeed is what a device takes for its fastest movements.
type PTZSpeed struct {
	Pan   int `yaml:"pan"`
	Tilt  int `yaml:"tilt"`
	Zoom  int `yaml:"zoom"`
	Focus int `yaml:"focus"`
	Iris  int `yaml:"iris"`
}

// over returns q where it says something, else base.
func (q Quirks) over(base Quirks) Quirks {
	return Quirks{
		GBVersion: cmp.Or(q.GBVersion, base.GBVersion),
		Encoding:  cmp.Or(q.Encoding, base.Encoding),
		Clock:     Clock{Zone: cmp.Or(q.Clock.Zone, base.Clock.Zone), NoDate: q.Clock.NoDate || base.Clock.NoDate},
		Keepalive: Keepalive{
			Interval: cmp.Or(q.Keepalive.Interval, base.Keepalive.Interval),
			Misses:   cmp.Or(q.Keepalive.Misses, base.Keepalive.Misses),
		},
		Digest: Digest{
			Algorithms: orElse(q.Digest.Algorithms, base.Digest.Algorithms),
			NoQop:      q.Digest.NoQop || base.Digest.NoQop,
		},
		OnRegister: orElse(q.OnRegister, base.OnRegister),
		Subscribe: Subscribe{
			Catalog:  cmp.Or(q.Subscribe.Catalog, base.Subscribe.Catalog),
			Alarm:    cmp.Or(q.Subscribe.Alarm, base.Subscribe.Alarm),
			Position: cmp.Or(q.Subscribe.Position, base.Subscribe.Position),
		},
		PollCatalog: q.PollCatalog || base.PollCatalog,
		Inflight:    cmp.Or(q.Inflight, base.Inflight),
		IFrame:      cmp.Or(q.IFrame, base.IFrame),
		PTZSpeed: PTZSpeed{
			Pan: cmp.Or(q.PTZSpeed.Pan, base.PTZSpeed.Pan), Tilt: cmp.Or(q.PTZSpeed.Tilt, base.PTZSpeed.Tilt),
			Zoom:  cmp.Or(q.PTZSpeed.Zoom, base.PTZSpeed.Zoom),
			Focus: cmp.Or(q.PTZSpeed.Focus, base.PTZSpeed.Focus), Iris: cmp.Or(q.PTZSpeed.Iris, base.PTZSpeed.Iris),
		},
		ChannelTypes: orElse(q.ChannelTypes, base.ChannelTypes),
	}
}

// Names lists the keys that q overrides, as the configuration has them: clock.zone.
func (q Quirks) Names() []string { return namesOf(reflect.ValueOf(q), "") }

func namesOf(v reflect.Value, path string) (names []string) {
	for i := range v.NumField() {
		f, key := v.Field(i), path+v.Type().Field(i).Tag.Get("yaml")
		switch {
		case f.IsZero():
		case f.Kind() == reflect.Struct:
			names = append(names, namesOf(f, key+".")...)
		default:
			names = append(names, key)
		}
	}
	return names
}

func orElse(list, otherwise []string) []string {
	if list != nil {
		return list
	}
	return otherwise
}

// Location is the zone of the device's times; nil where nothing is said, or Validate has not
// passed it.
func (q Quirks) Location() *time.Location {
	if q.Clock.Zone == "" {
		return nil
	}
	zone, err := parseZone(q.Clock.Zone)
	if err != nil {
		return nil
	}
	return zone
}
