package guard

import (
	"errors"
	"fmt"
	"time"
)

// Config is this room's part of the configuration.
type Config struct {
	Lockout LockoutConfig `yaml:"lockout"` // sip.auth.lockout
}

// LockoutConfig bounds how often a password may be guessed.
type LockoutConfig struct {
	Failures int           `yaml:"failures"` // wrong answers of one address for one device within Window
	Window   time.Duration `yaml:"window"`
	Ban      time.Duration `yaml:"ban"` // how long the device is refused from that address
}

// Default returns the configuration that works with none.
func Default() Config {
	return Config{Lockout: LockoutConfig{Failures: 10, Window: time.Minute, Ban: 5 * time.Minute}}
}

// The bounds of what is accepted.
const (
	maxFailures = 10_000
	minWindow   = time.Second
	maxWindow   = 24 * time.Hour
)

// Validate returns every complaint about c, joined, each worded `key: what is wrong; what is accepted`.
func (c Config) Validate() error {
	var errs []error
	if n := c.Lockout.Failures; n < 1 || n > maxFailures {
		errs = append(errs, fmt.Errorf("sip.auth.lockout.failures: %d is out of range; use 1 to %d", n, maxFailures))
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"window", c.Lockout.Window}, {"ban", c.Lockout.Ban}} {
		if d.value < minWindow || d.value > maxWindow {
			errs = append(errs, fmt.Errorf("sip.auth.lockout.%s: %v is out of range; use %v to %v", d.key, d.value, minWindow, maxWindow))
		}
	}
	return errors.Join(errs...)
}
