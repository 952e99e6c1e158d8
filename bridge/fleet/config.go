package fleet

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// Config is the part of the configuration below `sip` that decides who may be there and how
// long a silent device counts as there.
type Config struct {
	Auth             Auth      `yaml:"auth"`
	Keepalive        Keepalive `yaml:"keepalive"`
	Redirect         Redirect  `yaml:"redirect"`
	AdoptOnKeepalive bool      `yaml:"-"` // devices.adopt_on_keepalive
	TellKeepalives   bool      `yaml:"-"` // devices.keepalive_events: plain ones too are Messages
	MaxDevices       int       `yaml:"-"` // limits.devices; 0: no limit
	MaxChannels      int       `yaml:"-"` // limits.catalog_items, of one device; 0: no limit
	Domain           string    `yaml:"-"` // sip.domain, the digest realm
}

// Auth is who may register.
type Auth struct {
	Password   string            `yaml:"password"`   // of devices without one of their own
	Devices    map[string]string `yaml:"devices"`    // device ID -> password
	Algorithms []string          `yaml:"algorithms"` // offered to devices of X-GB-Ver 3.0
	Allow      []string          `yaml:"allow"`      // CIDRs; empty: all
}

// Keepalive is what holds until a device's own BasicParam is known.
type Keepalive struct {
	Interval time.Duration `yaml:"interval"`
	Misses   int           `yaml:"misses"`
}

// The bounds of Keepalive. A second is for tests and closed networks; what a device says of
// itself has narrower bounds.
const (
	minInterval = time.Second
	maxInterval = time.Hour
	maxMisses   = 10
)

// Default returns the configuration that works with none, but for a password.
func Default() Config {
	return Config{
		Auth:      Auth{Algorithms: sip.Algorithms()},
		Keepalive: Keepalive{Interval: time.Minute, Misses: 3}, // [GB28181-2022 9.6.1]
		Domain:    sip.Default().Domain,
	}
}

// Validate returns every complaint about c, joined, each worded `key: what is wrong; what is accepted`.
func (c Config) Validate() error {
	var errs []error
	complain := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, id := range slices.Sorted(maps.Keys(c.Auth.Devices)) {
		if _, err := gb28181.ParseID(id); err != nil {
			complain("sip.auth.devices: %w", err)
		} else if c.Auth.Devices[id] == "" {
			complain("sip.auth.devices.%s: the password is empty; give one, or leave the device out for sip.auth.password", id)
		}
	}
	known := sip.Algorithms()
	if len(c.Auth.Algorithms) == 0 {
		complain("sip.auth.algorithms: nothing to offer; use some of %s", strings.Join(known, ", "))
	}
	for i, a := range c.Auth.Algorithms {
		if slices.Contains(c.Auth.Algorithms[:i], a) {
			complain("sip.auth.algorithms[%d]: %q is there twice; keep one of them", i, a)
		}
		if !slices.Contains(known, a) {
			complain("sip.auth.algorithms[%d]: %q is not known; use some of %s", i, a, strings.Join(known, ", "))
		}
	}
	for i, a := range c.Auth.Allow {
		if _, err := netip.ParsePrefix(a); err != nil {
			complain("sip.auth.allow[%d]: %q is not a network; use CIDR notation as in 192.168.0.0/16", i, a)
		}
	}
	if k := c.Keepalive.Interval; k < minInterval || k > maxInterval {
		complain("sip.keepalive.interval: %v is out of range; use %v to %v (cameras default to 60s)", k, minInterval, maxInterval)
	}
	if m := c.Keepalive.Misses; m < 1 || m > maxMisses {
		complain("sip.keepalive.misses: %d is out of range; use 1 to %d", m, maxMisses)
	}
	if err := c.Redirect.Validate(); err != nil {
		errs = append(errs, err)
	}
	if c.MaxDevices < 0 {
		complain("limits.devices: %d is negative; use 0 for no limit", c.MaxDevices)
	}
	return errors.Join(errs...)
}

// heartbeat is the configured one.
func (c Config) heartbeat() Heartbeat {
	return Heartbeat{Interval: c.Keepalive.Interval, Misses: c.Keepalive.Misses}
}

// networks parses Allow, which Validate has passed.
func (a Auth) networks() ([]netip.Prefix, error) {
	var nets []netip.Prefix
	for i, s := range a.Allow {
		n, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("sip.auth.allow[%d]: %w", i, err)
		}
		nets = append(nets, n.Masked())
	}
	return nets, nil
}
