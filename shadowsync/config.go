package shadowsync

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Config is the part of the configuration below `shadow`.
type Config struct {
	Prefix         string        `yaml:"prefix"`          // what the topics of all shadows begin with
	History        time.Duration `yaml:"history"`         // how long each reported document is kept; 0: not kept
	MaxDocument    int           `yaml:"max_document"`    // bytes of desired and reported of a client's update, after the merge
	ClientReported bool          `yaml:"client_reported"` // true: clients may write reported too
	Things         string        `yaml:"things"`          // any | devices
	Shadows        int           `yaml:"-"`               // limits.shadows: that clients may have made; 0: no limit
	Rate           int           `yaml:"-"`               // limits.shadow_rate: requests per second and thing; 0: no limit
}

// The values of Config.Things.
const (
	ThingsAny     = "any"
	ThingsDevices = "devices"
)

// The bounds of what can be configured.
const (
	minMaxDocument = 256
	maxMaxDocument = 128 << 10
	maxHistory     = 366 * 24 * time.Hour
	maxPrefix      = 256
)

// Default returns the configuration that works with none.
func Default() Config {
	return Config{Prefix: "$aws/things", History: 72 * time.Hour, MaxDocument: 8192, Things: ThingsAny}
}

// Validate returns every complaint about c, joined, each worded
// `key: what is wrong; what is accepted`.
func (c Config) Validate() error {
	var errs []error
	complain := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("shadow."+key+": "+format, args...))
	}
	switch {
	case c.Prefix == "":
		complain("prefix", "it is empty; give the beginning of the topics, such as $aws/things")
	case strings.ContainsAny(c.Prefix, "+#\x00") || !utf8.ValidString(c.Prefix):
		complain("prefix", "%q can't begin a topic; use text without +, # and NUL, such as $aws/things", c.Prefix)
	case strings.HasPrefix(c.Prefix, "/") || strings.HasSuffix(c.Prefix, "/") || strings.Contains(c.Prefix, "//"):
		complain("prefix", "%q has an empty level; use single slashes between the levels, none at the ends", c.Prefix)
	case len(c.Prefix) > maxPrefix:
		complain("prefix", "it has %d bytes; use at most %d", len(c.Prefix), maxPrefix)
	}
	if c.History < 0 || c.History > maxHistory {
		complain("history", "%v is out of range; use 0s (none) to %v", c.History, maxHistory)
	}
	if c.MaxDocument < minMaxDocument || c.MaxDocument > maxMaxDocument {
		complain("max_document", "%d is out of range; use %d to %d bytes (AWS: 8192)", c.MaxDocument, minMaxDocument, maxMaxDocument)
	}
	if c.Things != ThingsAny && c.Things != ThingsDevices {
		complain("things", "%q is not known; use any or devices", c.Things)
	}
	return errors.Join(errs...)
}
