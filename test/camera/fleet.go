package camera

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// FleetConfig says how many devices there are and what becomes of them.
type FleetConfig struct {
	Device   Config // what they have in common; ID and Channels are filled in
	FirstID  string // of the first; the others count on in the last seven digits
	Devices  int
	Channels int           // of each device
	Ramp     float64       // devices that begin in a second; 0: all at once
	Duration time.Duration // from the start; 0: until the context ends
	Alarms   float64       // per minute and device
	Events   float64       // of the catalogue, per minute and device: a channel goes off or comes on
	Position time.Duration // between two positions that a device tells by itself; 0: it tells them where they are subscribed to
	Die      Death         // who falls silent for good
	Sockets  int           // UDP sockets that they share; 0: one each, beyond 4,000 devices 500 for all; -1: always one each
}

// deviceBuffer is what a device of a fleet can read at once: what platforms ask is far
// smaller.
const deviceBuffer = 8192

// Beyond so many devices the default is to share so many sockets: a socket of its own costs
// each device a file, a goroutine and its buffer.
const (
	ownSockets    = 4000
	sharedSockets = 500
)

// Fleet is many devices that share clocks, statistics and, when they are very many, sockets.
type Fleet struct {
	cfg     FleetConfig
	stats   *Stats
	clocks  []*clock
	hub     *hub
	wheel   wheel
	devices []*Device

	wanted                atomic.Int64 // devices that shall live: the first so many
	started, dead, failed atomic.Int64
	firstFailure          atomic.Pointer[error]
	last                  atomic.Pointer[Progress] // before the end began
}

// Progress is a fleet's present.
type Progress struct {
	Devices    int `json:"devices"`
	Started    int `json:"started"`
	Registered int `json:"registered"`
	Dead       int `json:"dead"`   // silent by Die
	Failed     int `json:"failed"` // could not open a socket or connection
}

// NewFleet checks cfg and makes the devices; none does anything before Run.
func NewFleet(cfg FleetConfig) (*Fleet, error) {
	var bad []error
	if !isID(cfg.FirstID) {
		bad = append(bad, fmt.Errorf("first ID %q: a GB/T 28181 ID has 20 digits", cfg.FirstID))
	}
	if cfg.Devices < 1 || cfg.Channels < 0 || cfg.Channels > 10000 {
		bad = append(bad, fmt.Errorf("%d devices with %d channels: 1 device or more, with 0 to 10000 channels, are wanted", cfg.Devices, cfg.Channels))
	}
	if cfg.Ramp < 0 || cfg.Alarms < 0 || cfg.Events < 0 || cfg.Position < 0 || cfg.Duration < 0 {
		bad = append(bad, fmt.Errorf("ramp %v, alarms %v, catalogue events %v, positions %v, duration %v: none may be negative",
			cfg.Ramp, cfg.Alarms, cfg.Events, cfg.Position, cfg.Duration))
	}
	if cfg.Die.Share < 0 || cfg.Die.Share > 1 || cfg.Die.At < 0 {
		bad = append(bad, fmt.Errorf("die %v: a share between 0 and 1 is wanted", cfg.Die))
	}
	if len(bad) > 0 {
		return nil, errors.Join(bad...)
	}
	common := cfg.Device
	common.ID = cfg.FirstID
	common, err := common.withDefaults()
	if err != nil {
		return nil, err
	}
	if cfg.Sockets == 0 && cfg.Devices > ownSockets {
		cfg.Sockets = sharedSockets
	}
	f := &Fleet{cfg: cfg, stats: new(Stats), hub: newHub(common.Server, common.Local, max(cfg.Sockets, 0))}
	f.wanted.Store(int64(cfg.Devices))
	for range runtime.GOMAXPROCS(0) {
		f.clocks = append(f.clocks, newClock())
	}
	serial, _ := strconv.Atoi(cfg.FirstID[13:]) // seven digits, as isID has seen
	if last := max(serial+cfg.Devices, cfg.Devices*cfg.Channels); last > 1e7 {
		return nil, fmt.Errorf("%d devices of %d channels from %s on need more than the seven digits of a serial number; use fewer, or a lower first ID",
			cfg.Devices, cfg.Channels, cfg.FirstID)
	}
	for i := range cfg.Devices {
		c := common
		c.ID = fmt.Sprintf("%s%07d", cfg.FirstID[:13], serial+i)
		c.Channels = channelsOf(c.ID, i, cfg.Channels)
		if c.Seed != 0 {
			c.Seed += uint64(i)
		}
		d := newDevice(c)
		d.clock, d.wheel, d.hub, d.stats, d.buffer = f.clocks[i%len(f.clocks)], &f.wheel, f.hub, f.stats, deviceBuffer
		f.devices = append(f.devices, d)
	}
	f.wheel.devices = f.devices
	f.wheel.every.Store(int64(common.Keepalive))
	return f, nil
}

// channelsOf names the channels of device i: type 131, or 132 where that is the devices'
// own type, so that no channel has the ID of a device.
func channelsOf(id string, i, count int) []Channel {
	kind := "131"
	if id[10:13] == kind {
		kind = "132"
	}
	channels := make([]Channel, count)
	for c := range channels {
		n := i*count + c
		channels[c] = Channel{ID: fmt.Sprintf("%s%s%07d", id[:10], kind, n), Name: "Channel " + strconv.Itoa(n), Status: "ON", PTZType: 1}
	}
	return channels
}

// Stats returns the counters, which go on counting.
func (f *Fleet) Stats() *Stats { return f.stats }

// Devices returns the devices, in the order of their IDs.
func (f *Fleet) Devices() []*Device { return f.devices }

// Progress counts the devices by what they are doing; after Run, by what they were doing
// when their time was over, before they unregistered.
func (f *Fleet) Progress() Progress {
	if last := f.last.Load(); last != nil {
		return *last
	}
	p := Progress{Devices: len(f.devices), Started: int(f.started.Load()), Dead: int(f.dead.Load()), Failed: int(f.failed.Load())}
	for _, d := range f.devices {
		if d.Registered() && !d.silence.Load() {
			p.Registered++
		}
	}
	return p
}

// Run starts the devices at the ramp's pace, lets them live for Duration or until ctx ends,
// and unregisters those that are alive, for 5 s at most. It fails when no device at all
// could reach the platform's address.
func (f *Fleet) Run(ctx context.Context) error {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	for _, c := range f.clocks {
		wg.Go(func() { c.run(life) })
	}
	wg.Go(func() { f.wheel.run(life) })
	if f.cfg.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.cfg.Duration)
		defer cancel()
	}
	err := f.live(ctx)
	if err == nil {
		last := f.Progress()
		f.last.Store(&last)
		f.unregister(context.WithoutCancel(ctx))
	}
	for _, d := range f.devices {
		d.Close()
	}
	f.hub.close()
	end()
	wg.Wait()
	return err
}

// start brings one device to life, and plans its death when it is one of those that die.
func (f *Fleet) start(ctx context.Context, d *Device) {
	if err := d.Start(ctx); err != nil {
		if ctx.Err() == nil {
			f.failed.Add(1)
			f.firstFailure.CompareAndSwap(nil, &err)
		}
		return
	}
	f.started.Add(1)
	d.register(d.expires(), nil)
	f.planDeath(d)
}

// leaving is how long the devices have to unregister.
const leaving = 5 * time.Second

// unregister ends all registrations, at the pace of the ramp.
func (f *Fleet) unregister(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaving)
	defer cancel()
	left := make(chan struct{}, len(f.devices))
	waiting := 0
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	burst := max(len(f.devices)/200, 1) // all are asked within 2 s
	for _, d := range f.devices {
		if !d.Registered() || d.silent() {
			continue
		}
		if waiting%burst == burst-1 {
			<-pace.C
		}
		waiting++
		d.register(0, func(error) { left <- struct{}{} })
	}
	for range waiting {
		select {
		case <-left:
		case <-ctx.Done():
			return
		}
	}
}
