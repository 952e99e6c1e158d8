package command

import (
	"errors"
	"fmt"
	"time"
)

// Config is this room's part of the configuration.
type Config struct {
	InflightPerDevice int           `yaml:"inflight_per_device"` // limits.inflight_per_device: commands under way to one device
	QueuePerDevice    int           `yaml:"queue_per_device"`    // limits.queue_per_device: commands that wait behind them
	CatalogItems      int           `yaml:"catalog_items"`       // limits.catalog_items: of one list; the rest is refused
	PTZMax            time.Duration `yaml:"ptz_max"`             // devices.ptz_max: a movement that nobody stops is stopped after this
}

// Default returns the configuration that works with none.
func Default() Config {
	return Config{InflightPerDevice: 4, QueuePerDevice: 32, CatalogItems: 100_000, PTZMax: 30 * time.Second}
}

// Validate returns every complaint about c, joined, each worded `key: what is wrong; what is accepted`.
func (c Config) Validate() error {
	var errs []error
	for _, n := range []struct {
		key              string
		value, low, high int
	}{
		{"limits.inflight_per_device", c.InflightPerDevice, 1, 1000},
		{"limits.queue_per_device", c.QueuePerDevice, 0, 100_000},
		{"limits.catalog_items", c.CatalogItems, 1, 10_000_000},
	} {
		if n.value < n.low || n.value > n.high {
			errs = append(errs, fmt.Errorf("%s: %d is out of range; use %d to %d", n.key, n.value, n.low, n.high))
		}
	}
	if c.PTZMax < time.Second || c.PTZMax > time.Hour {
		errs = append(errs, fmt.Errorf("devices.ptz_max: %v is out of range; use 1s to 1h", c.PTZMax))
	}
	return errors.Join(errs...)
}
