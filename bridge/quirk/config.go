package quirk

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// Config is the section devices.quirks: overrides by device ID, or by "manufacturer/model" as
// DeviceInfo has them, in either case of letters.
type Config map[string]Quirks

// The words that keys may hold.
var (
	// Queries are those that a device is asked once it is registered.
	Queries = []string{"device_info", "catalog", "device_status"}
	// Encodings are those of what is sent.
	Encodings = []string{"auto", "gb18030", "utf-8"}

	versions = []string{"1.0", "1.1", "2.0", "3.0"} // [GB28181-2022 Annex I]
)

// Validate returns every complaint about c, joined, each worded `key: what is wrong; what is accepted`.
func (c Config) Validate() error {
	var errs []error
	folded := make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(c)) {
		key := "devices.quirks." + name
		v := validator{key: key, errs: &errs}
		if _, err := gb28181.ParseID(name); err != nil {
			if manufacturer, model, isModel := strings.Cut(name, "/"); !isModel || strings.TrimSpace(manufacturer) == "" || strings.TrimSpace(model) == "" {
				errs = append(errs, fmt.Errorf("%s: %q is no device and no model; use 20 digits, or manufacturer/model as the device_info of the device has them", key, name))
			}
			if first, twice := folded[fold(name)]; twice {
				errs = append(errs, fmt.Errorf("%s: it is the model of devices.quirks.%s in other letters; keep one of them", key, first))
			}
			folded[fold(name)] = name
		}
		v.quirks(c[name])
	}
	return errors.Join(errs...)
}

// validator gathers the complaints about one row.
type validator struct {
	key  string
	errs *[]error
}

func (v validator) complain(key, format string, args ...any) {
	*v.errs = append(*v.errs, fmt.Errorf("%s.%s: "+format, append([]any{v.key, key}, args...)...))
}

func (v validator) quirks(q Quirks) {
	v.word("gb_version", q.GBVersion, versions)
	v.word("encoding", q.Encoding, Encodings)
	v.word("iframe", q.IFrame, mapping.IFrameSpellings)
	if _, err := parseZone(q.Clock.Zone); q.Clock.Zone != "" && err != nil {
		v.complain("clock.zone", "%q is not a zone; use an offset from UTC as in +08:00", q.Clock.Zone)
	}
	if k := q.Keepalive.Interval; k != 0 && (k < time.Second || k > time.Hour) {
		v.complain("keepalive.interval", "%v is out of range; use 1s to 1h", k)
	}
	v.number("keepalive.misses", q.Keepalive.Misses, 10)
	v.list("digest.algorithms", q.Digest.Algorithms, sip.Algorithms())
	if q.Digest.Algorithms != nil && len(q.Digest.Algorithms) == 0 {
		v.complain("digest.algorithms", "nothing to offer; use some of %s", strings.Join(sip.Algorithms(), ", "))
	}
	v.list("on_register", q.OnRegister, Queries)
	v.expiry("subscribe.catalog", q.Subscribe.Catalog, time.Minute)
	v.expiry("subscribe.alarm", q.Subscribe.Alarm, time.Minute)
	v.expiry("subscribe.position", q.Subscribe.Position, time.Second)
	v.number("inflight", q.Inflight, 1000)
	v.number("ptz_speed.pan", q.PTZSpeed.Pan, 255)
	v.number("ptz_speed.tilt", q.PTZSpeed.Tilt, 255)
	v.number("ptz_speed.zoom", q.PTZSpeed.Zoom, 15)
	v.number("ptz_speed.focus", q.PTZSpeed.Focus, 255)
	v.number("ptz_speed.iris", q.PTZSpeed.Iris, 255)
	for i, t := range q.ChannelTypes {
		if len(t) != 3 || t[0] != '2' || strings.Trim(t, "0123456789") != "" {
			v.complain(fmt.Sprintf("channel_types[%d]", i), "%q is not a type that is no channel; use 200 to 299, the digits 11 to 13 of an ID", t)
		}
	}
}

func (v validator) word(key, word string, known []string) {
	if word != "" && !slices.Contains(known, word) {
		v.complain(key, "%q is not known; use one of %s", word, strings.Join(known, ", "))
	}
}

func (v validator) list(key string, words, known []string) {
	for i, word := range words {
		if word == "" || !slices.Contains(known, word) {
			v.complain(fmt.Sprintf("%s[%d]", key, i), "%q is not known; use some of %s", word, strings.Join(known, ", "))
		}
	}
}

// number complains about n unless it is 1 to most, or not given.
func (v validator) number(key string, n, most int) {
	if n < 0 || n > most {
		v.complain(key, "%d is out of range; use 1 to %d", n, most)
	}
}

func (v validator) expiry(key string, d *time.Duration, least time.Duration) {
	if d != nil && *d != 0 && (*d < least || *d > 24*time.Hour) {
		v.complain(key, "%v is out of range; use %v to 24h, or 0s for no subscription", *d, least)
	}
}

// parseZone reads an offset from UTC.
func parseZone(s string) (*time.Location, error) {
	t, err := time.Parse("-07:00", s)
	if err != nil {
		return nil, err
	}
	_, offset := t.Zone()
	return time.FixedZone("UTC"+s, offset), nil
}
