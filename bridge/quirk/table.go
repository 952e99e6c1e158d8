package quirk

import (
	"strings"
	"sync"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// Table finds the overrides of a device. It is safe for concurrent use.
type Table struct {
	devices map[gb28181.ID]Quirks // by their own ID alone
	models  map[string]Quirks     // by "manufacturer/model", folded

	mu    sync.RWMutex           // guards known
	known map[gb28181.ID]*Quirks // of the devices whose model has a row: theirs, complete
}

// New returns the Table of c, which Validate has passed.
func New(c Config) *Table {
	t := &Table{
		devices: make(map[gb28181.ID]Quirks), models: make(map[string]Quirks), known: make(map[gb28181.ID]*Quirks),
	}
	for key, q := range c {
		if id, err := gb28181.ParseID(key); err == nil {
			t.devices[id] = q
		} else {
			t.models[fold(key)] = q
		}
	}
	return t
}

// Of returns the overrides of a device: its own, and below them those of its model, once that
// is known.
func (t *Table) Of(device gb28181.ID) Quirks {
	if len(t.models) > 0 {
		t.mu.RLock()
		q := t.known[device]
		t.mu.RUnlock()
		if q != nil {
			return *q
		}
	}
	return t.devices[device]
}

// Identify takes over what a device says that it is, and tells whether its overrides are
// others now.
func (t *Table) Identify(device gb28181.ID, manufacturer, model string) (changed bool) {
	if len(t.models) == 0 {
		return false
	}
	row, known := t.models[fold(manufacturer+"/"+model)]
	t.mu.Lock()
	defer t.mu.Unlock()
	_, before := t.known[device]
	if !known {
		delete(t.known, device)
		return before
	}
	q := t.devices[device].over(row)
	t.known[device] = &q
	return true
}

// Models tells whether there are overrides of models: else nobody need be identified.
func (t *Table) Models() bool { return len(t.models) > 0 }

// fold makes a name of a model comparable: devices pad it, and people write it as they like.
func fold(name string) string {
	manufacturer, model, _ := strings.Cut(name, "/")
	return strings.ToLower(strings.TrimSpace(manufacturer) + "/" + strings.TrimSpace(model))
}
