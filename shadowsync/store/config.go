package store

import (
	"errors"
	"fmt"
	"strings"
)

// Config is the part of the configuration below `store`.
type Config struct {
	Path string `yaml:"path"` // folder of the data; made when it is missing
	Sync bool   `yaml:"sync"` // true: a commit is on the disk before it is told; false: it survives the process, not the machine
}

// Default returns the configuration that works with none.
func Default() Config { return Config{Path: "data", Sync: true} }

// Validate returns every complaint about c, joined, each worded
// `key: what is wrong; what is accepted`.
func (c Config) Validate() error {
	var errs []error
	switch {
	case strings.TrimSpace(c.Path) == "":
		errs = append(errs, fmt.Errorf("store.path: %q names no folder; give the folder for the data, such as data", c.Path))
	case strings.ContainsRune(c.Path, 0):
		errs = append(errs, fmt.Errorf("store.path: %q holds a NUL byte; give a path that the system can open", c.Path))
	}
	return errors.Join(errs...)
}
