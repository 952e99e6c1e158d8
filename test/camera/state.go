package camera

import (
	"maps"
	"slices"
	"time"
)

// State is a snapshot of what the platform has made of the device.
type State struct {
	Registered bool
	Granted    time.Duration // Expires of the last 200 to a REGISTER
	Date       string        // its Date header
	Heartbeat  time.Duration // between keepalives; BasicParam may have changed it
	Reboots    int
	Failures   []string          // why Controls were not carried out, the newest last
	Target                       // of the device itself
	Targets    map[string]Target // by the DeviceID that a Control or an alarm has named
}

// Target is what Controls change, for the device or for one channel.
type Target struct {
	Guard     bool
	Alarm     bool // it was guarded and has raised an alarm since
	Recording bool
	IFrames   int // key frames asked for

	Pan, Tilt, Zoom float64 // degrees clockwise, degrees downwards, times [GB28181-2022 A.2.1.11]
	Moving          bool
	Focus, Iris     int // speeds that run now
	Preset          int // last called; 0: none
	Presets         map[int]Preset
	Home            HomePosition
	Cruise          int            // group that runs; -1: none
	Cruises         map[int]Cruise // by group; track n is group n
	Scan            int            // group that runs; -1: none
	Scans           map[int]Scan   // by group
	Aux             map[int]bool
	Track           Tracking

	pan, tilt, zoom int       // speeds that run
	since           time.Time // when they began
}

// Preset is a stored position.
type Preset struct {
	Name            string
	Pan, Tilt, Zoom float64
}

// HomePosition is where a camera returns to by itself [GB28181-2022 A.2.3.1.10].
type HomePosition struct {
	Enabled     bool
	ResetTime   int // seconds
	PresetIndex int
}

// Cruise is a tour of presets [GB28181-2022 A.3.5].
type Cruise struct {
	Name    string
	Presets []int
	Stay    int // seconds at each
	Speed   int // 1…4095
}

// Scan is a sweep between two limits [GB28181-2022 A.3.6].
type Scan struct {
	Left, Right float64 // degrees, where the camera looked when it was told
	Speed       int     // 1…4095; 0: never told
}

// Tracking is what a camera follows by itself.
type Tracking struct {
	Mode      string // Auto, Manual or Stop; "" when never told
	DeviceID2 string // the panorama channel
	Area      Area   // of Manual
}

// Area is a rectangle on a picture of Length times Width pixels [GB28181-2022 A.2.3.1.8].
type Area struct{ Length, Width, MidPointX, MidPointY, LengthX, LengthY int }

// At full speed a camera turns, tilts and zooms by so much in a second.
const (
	panPerSecond  = 90.0
	tiltPerSecond = 60.0
	zoomPerSecond = 5.0
)

// Limits of the mechanics; a movement beyond them ends there.
const (
	tiltLeast, tiltMost = -30.0, 90.0
	zoomLeast, zoomMost = 1.0, 30.0
)

// state is the live form of State. The device's mutex guards it.
type state struct {
	own     string
	known   map[string]bool // what requests may be about: the device, and all that its catalogue ever had
	targets map[string]*Target
	configs map[string]map[string]*element // by target and ConfigType: what DeviceConfig has set
	cards   []card
	upgrade *upgrade // that is under way; nil: none
	reboots int

	failures []string
}

func (s *state) init(cfg Config) {
	s.own = cfg.ID
	s.known = make(map[string]bool, len(cfg.Channels)+1)
	s.known[cfg.ID] = true
	for _, c := range cfg.Channels {
		s.known[c.ID] = true
	}
	s.cards = newCards(cfg.Cards)
}

// target returns the state of id, brought up to now.
func (s *state) target(id string) *Target {
	t := s.targets[id]
	if t == nil {
		t = newTarget()
		if s.targets == nil {
			s.targets = make(map[string]*Target)
		}
		s.targets[id] = t
	}
	t.advance(time.Now())
	return t
}

// factoryPresets are what a camera comes with.
var factoryPresets = map[int]Preset{
	1: {"大门", 0, 0, 1}, 2: {"院子", 72, 10, 2}, 3: {"围墙", 144, 5, 4}, 4: {"停车场", 216, 20, 3}, 5: {"门厅", 288, 30, 1},
}

// factoryCruises are the tours it comes with.
var factoryCruises = map[int]Cruise{
	0: {"夜间", []int{1, 2, 3}, usualStay, usualSpeed}, 1: {"日间", []int{4, 5}, 30, 8},
}

func newTarget() *Target {
	return &Target{Zoom: zoomLeast, Cruise: -1, Scan: -1, Presets: maps.Clone(factoryPresets), Cruises: maps.Clone(factoryCruises)}
}

// advance moves the camera as far as it has come by now.
func (t *Target) advance(now time.Time) {
	if t.Moving {
		s := now.Sub(t.since).Seconds()
		t.Pan = wrap(t.Pan + s*panPerSecond*float64(t.pan)/255)
		t.Tilt = min(max(t.Tilt-s*tiltPerSecond*float64(t.tilt)/255, tiltLeast), tiltMost)
		t.Zoom = min(max(t.Zoom+s*zoomPerSecond*float64(t.zoom)/15, zoomLeast), zoomMost)
	}
	t.since = now
}

// wrap brings an angle into 0 ≤ a < 360.
func wrap(a float64) float64 {
	for a < 0 {
		a += 360
	}
	for a >= 360 {
		a -= 360
	}
	return a
}

// State returns a snapshot.
func (d *Device) State() State {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := State{Registered: d.registered, Granted: d.granted, Date: d.platformDate, Heartbeat: d.beatEvery,
		Reboots: d.state.reboots, Failures: slices.Clone(d.state.failures), Target: d.state.target(d.cfg.ID).copy(), Targets: make(map[string]Target)}
	for id := range d.state.targets {
		s.Targets[id] = d.state.target(id).copy()
	}
	return s
}

// Channel returns the state of one channel, or of the device under its own ID.
func (d *Device) Channel(id string) Target {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.state.targets[id]; t != nil {
		t.advance(time.Now())
		return t.copy()
	}
	return *newTarget()
}

// copy returns t with maps of its own.
func (t *Target) copy() Target {
	c := *t
	c.Presets, c.Cruises, c.Scans, c.Aux = maps.Clone(t.Presets), maps.Clone(t.Cruises), maps.Clone(t.Scans), maps.Clone(t.Aux)
	return c // the points of a cruise are never changed in place
}
