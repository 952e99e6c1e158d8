package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/eclipse/paho.golang/paho"
	"golang.org/x/sync/errgroup"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
	"github.com/gb2mqtt/gb2mqtt/test/load/measure"
	"github.com/gb2mqtt/gb2mqtt/test/load/scenario"
)

// run is one load test under way: the fleet, the requests over MQTT, the faults, and who
// looks at it.
//
//	plan ─▶ driver ─▶ fleet.Want, issue ─▶ bridge
//	           └────▶ enter: faults, silence, neighbours of a phase
type run struct {
	s        *scenario.Scenario
	plan     *scenario.Plan
	at       target
	fleet    *camera.Fleet
	network  *network
	requests *requests
	watcher  *watcher
	sampler  *sampler
	phases   []map[string]*measure.Recorder // of what goes over MQTT
	all      *errgroup.Group

	leave []func() // what ends with the phase
}

// firstID is the first device's.
const firstID = "34020000001320000001"

// also names the bridge's own metrics that objectives ask for.
func also(s *scenario.Scenario) []string {
	var names []string
	for _, o := range s.Objectives {
		if strings.HasPrefix(o.Of, "gb2mqtt_") {
			names = append(names, o.Of)
		}
	}
	return names
}

// load runs s against the bridge at a target and returns what it came to.
func load(ctx context.Context, s *scenario.Scenario, at target, seed uint64, show func(*run, measure.Sample)) (_ *measure.Result, err error) {
	ctx, end := context.WithCancel(ctx)
	all, ctx := errgroup.WithContext(ctx)
	defer func() {
		end()
		if broken := all.Wait(); broken != nil && errors.Is(err, context.Canceled) {
			err = broken // it is what ended the rest
		} else {
			err = errors.Join(err, broken)
		}
	}()
	r := &run{s: s, plan: scenario.NewPlan(s), at: at, all: all}
	all.Go(func() error {
		select {
		case <-at.ended:
			return at.why()
		case <-ctx.Done():
			return nil
		}
	})
	sip, ok := at.sip[s.Fleet.Transport]
	if !ok {
		return nil, fmt.Errorf("the bridge does not listen for SIP over %s", s.Fleet.Transport)
	}
	if r.network, err = newNetwork(ctx, s, sip, seed, all); err != nil {
		return nil, err
	}
	if r.fleet, err = camera.NewFleet(camera.FleetConfig{
		Device:  camera.Config{Server: r.network.address, ServerID: at.serverID, Password: at.password, Keepalive: time.Duration(s.Fleet.Keepalive)},
		FirstID: firstID, Devices: max(int(r.plan.Most(scenario.Devices)), 1), Channels: s.Fleet.Channels,
	}); err != nil {
		return nil, err
	}
	r.fleet.Want(0)
	for i, d := range r.fleet.Devices() {
		d.SetAnswering(!chosen(i, float64(s.Fleet.Mute)))
	}
	if err := r.connect(ctx); err != nil {
		return nil, err
	}
	over := make(chan error, 1)
	alive, done := context.WithCancel(ctx)
	defer done()
	go func() { over <- r.fleet.Run(alive) }()
	result, err := r.measured(ctx, show)
	done()
	return result, errors.Join(err, <-over)
}

// connect opens what goes over MQTT.
func (r *run) connect(ctx context.Context) error {
	var err error
	if r.requests, err = dialRequests(ctx, r.at.mqtt, r.s, r.plan, r.fleet); err != nil {
		return err
	}
	for _, a := range r.requests.all() {
		r.all.Go(func() error { return a.Run(ctx) })
	}
	r.watcher = newWatcher(time.Duration(r.s.Fleet.Keepalive))
	for _, d := range r.fleet.Devices() {
		r.watcher.add(d.ID(), d)
	}
	lost := make(chan error, 1)
	client, err := r.watcher.watch(ctx, r.at.mqtt, func(err error) {
		select {
		case lost <- err:
		default:
		}
	})
	if err != nil {
		return err
	}
	r.all.Go(func() error {
		select {
		case err := <-lost:
			return fmt.Errorf("mqtt: the watcher of presences: %w", err)
		case <-ctx.Done():
			_ = client.Disconnect(&paho.Disconnect{}) // the broker may be gone already
			return nil
		}
	})
	prepared, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return r.requests.prepare(prepared)
}

// measured drives the plan and gathers what it comes to.
func (r *run) measured(ctx context.Context, show func(*run, measure.Sample)) (*measure.Result, error) {
	totals := map[string]*measure.Recorder{"presence": &r.watcher.total}
	for kind, count := range r.requests.total {
		totals[kind] = count
	}
	for range r.s.Phases {
		counts := map[string]*measure.Recorder{"presence": new(measure.Recorder)}
		for kind := range r.requests.total {
			counts[kind] = new(measure.Recorder)
		}
		r.phases = append(r.phases, counts)
	}
	r.sampler = newSampler(&measure.Scraper{URL: r.at.metrics, Also: also(r.s)}, r.fleet, totals, func(s measure.Sample) { show(r, s) })
	began := time.Now()
	gathered := make(chan error, 1)
	go func() { gathered <- r.sampler.Run(ctx, began) }()
	d := driver{plan: r.plan, issue: r.issue, gap: rand.ExpFloat64,
		enter: func(phase, devices int) error { return r.enter(ctx, phase, devices) },
		want: func(devices int) {
			r.sampler.want(devices)
			r.fleet.Want(devices)
		},
	}
	err := d.Run(ctx)
	for _, leave := range r.leave {
		leave()
	}
	if err == nil {
		r.sampler.turn(ctx, -1, 0, 0)
	}
	<-gathered
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	r.drain(ctx)
	return r.result(), nil
}

// issue makes one request of a load.
func (r *run) issue(load scenario.Load, phase, wanted int) {
	switch load {
	case scenario.Registrations:
		r.fleet.Refresh()
	case scenario.Alarms:
		r.fleet.Alarm()
	default:
		r.requests.issue(load, wanted, r.phases[phase][asked[load]])
	}
}

// enter leaves the phase before and makes the next one's faults.
func (r *run) enter(ctx context.Context, phase, devices int) error {
	p := r.s.Phases[phase]
	r.sampler.turn(ctx, phase, float64(devices), r.plan.End(phase)[scenario.Devices])
	r.watcher.now.Store(r.phases[phase]["presence"])
	for _, leave := range r.leave {
		leave()
	}
	r.leave = nil
	if err := r.network.set(p.Faults); err != nil {
		return err
	}
	if p.Keepalive != nil {
		r.fleet.SetKeepalive(time.Duration(*p.Keepalive))
	}
	for i, d := range r.fleet.Devices() {
		r.watcher.setSilent(d.ID(), chosen(i, float64(p.Silent)))
	}
	if p.Slow {
		r.beside(ctx, func(ctx context.Context) error { return slowSubscriber(ctx, r.at.mqtt) })
	}
	if p.Disk > 0 {
		if r.at.folder == "" {
			return fmt.Errorf("phase %s: disk_writers need the folder of the bridge's store, which is known of a bridge that is started here alone", p.Name)
		}
		r.beside(ctx, func(ctx context.Context) error { return writeDisk(ctx, r.at.folder, p.Disk) })
	}
	if p.Stop > 0 {
		return r.stand(p)
	}
	return nil
}

// beside runs something until the phase ends.
func (r *run) beside(ctx context.Context, do func(context.Context) error) {
	ctx, end := context.WithCancel(ctx)
	over := make(chan struct{})
	r.all.Go(func() error {
		defer close(over)
		return do(ctx)
	})
	r.leave = append(r.leave, func() { end(); <-over })
}

// stand makes the bridge's process stand still from now on, for as long as p says.
func (r *run) stand(p scenario.Phase) error {
	if r.at.pid == 0 {
		return fmt.Errorf("phase %s: stop needs the bridge's process; name it with --pid", p.Name)
	}
	if err := halt(r.at.pid); err != nil {
		return fmt.Errorf("phase %s: stop the bridge: %w", p.Name, err)
	}
	again := func() { _ = goOn(r.at.pid) } // it may have been killed meanwhile
	timer := time.AfterFunc(time.Duration(p.Stop), again)
	r.leave = append(r.leave, func() { timer.Stop(); again() })
	return nil
}

// drain waits for the ends of what is under way, which all come within patience.
func (r *run) drain(ctx context.Context) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience + 2*time.Second); time.Now().Before(deadline); {
		waiting := 0
		for _, a := range r.requests.all() {
			waiting += a.waiting()
		}
		if waiting == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// result sums the phases up.
func (r *run) result() *measure.Result {
	result := &measure.Result{Samples: r.sampler.samples}
	for i, b := range r.sampler.bounds[:len(r.sampler.bounds)-1] {
		end := r.sampler.bounds[i+1]
		bounds := measure.Bounds{Name: r.s.Phases[b.phase].Name, Begin: b.at, End: end.at, Kinds: make(map[string]measure.Kind), RegisteredAfter: -1, Devices: r.plan.End(b.phase)[scenario.Devices]}
		if end.since >= 0 {
			bounds.RegisteredAfter = max(end.since-b.at, 0)
		}
		long := time.Duration((end.at - b.at) * float64(time.Second))
		for _, k := range camera.Kinds() {
			bounds.Kinds[k.String()] = end.looks[k.String()].Since(b.looks[k.String()]).Over(long)
		}
		for kind, count := range r.phases[b.phase] {
			bounds.Kinds[kind] = count.Look().Over(long)
		}
		result.Phases = append(result.Phases, measure.NewPhase(bounds, result.Samples, also(r.s)))
	}
	return result
}
