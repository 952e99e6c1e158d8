package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
	"github.com/gb2mqtt/gb2mqtt/test/load/measure"
	"github.com/gb2mqtt/gb2mqtt/test/load/scenario"
)

// asked names the kind that each load over MQTT is counted as.
var asked = map[scenario.Load]string{
	scenario.Commands: "command", scenario.MuteCommands: "mute_command", scenario.ShadowUpdates: "update",
	scenario.ShadowGets: "get", scenario.HotUpdates: "hot_update", scenario.HotGets: "hot_get",
}

// requests asks over MQTT: each load on connections of its own, so that none waits for
// another before the bridge.
type requests struct {
	fleet  *camera.Fleet
	things int
	askers map[scenario.Load][]*asker
	mute   map[bool][]int // places in the fleet of those that answer (false) and don't (true)
	total  map[string]*measure.Recorder
	number int
}

// dialRequests connects for the loads that a plan has.
func dialRequests(ctx context.Context, at string, s *scenario.Scenario, plan *scenario.Plan, fleet *camera.Fleet) (*requests, error) {
	r := &requests{fleet: fleet, things: s.Fleet.Things, askers: make(map[scenario.Load][]*asker), mute: make(map[bool][]int), total: make(map[string]*measure.Recorder)}
	for i := range fleet.Devices() {
		mute := chosen(i, float64(s.Fleet.Mute))
		r.mute[mute] = append(r.mute[mute], i)
	}
	for load, kind := range asked {
		r.total[kind] = new(measure.Recorder)
		if plan.Most(load) == 0 {
			continue
		}
		for i := range s.Fleet.Clients {
			a, err := newAsker(ctx, at, kind+"-"+strconv.Itoa(i))
			if err != nil {
				return nil, err
			}
			r.askers[load] = append(r.askers[load], a)
		}
	}
	return r, nil
}

// chosen reports whether the device at place i is one of a share, evenly spread.
func chosen(i int, share float64) bool { return int(float64(i+1)*share) > int(float64(i)*share) }

// all are the connections.
func (r *requests) all() []*asker {
	var all []*asker
	for _, some := range r.askers {
		all = append(all, some...)
	}
	return all
}

// prepare makes the things whose shadows are read, and returns once all are there.
func (r *requests) prepare(ctx context.Context) error {
	var names []string
	if len(r.askers[scenario.ShadowGets]) > 0 {
		for i := range r.things {
			names = append(names, "load-"+strconv.Itoa(i))
		}
	}
	if len(r.askers[scenario.HotGets]) > 0 {
		names = append(names, hotThing)
	}
	if len(names) == 0 {
		return nil
	}
	askers := slices.Concat(r.askers[scenario.ShadowGets], r.askers[scenario.HotGets])
	var all errgroup.Group
	for i, a := range askers {
		all.Go(func() error {
			for n := i; n < len(names); n += len(askers) { // one after the other: the bridge bounds what a connection has open
				if err := create(ctx, a, names[n]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return all.Wait()
}

// create writes the shadow of one thing.
func create(ctx context.Context, a *asker, thing string) error {
	end := make(chan string, 1)
	a.ask(ask{topic: shadow(thing, "update"), payload: []byte(`{"state":{"desired":{"n":0}}}`), done: func(code string) { end <- code }})
	select {
	case code := <-end:
		if code != codeOK {
			return fmt.Errorf("the shadow of thing %s is not taken (code %q, empty: no answer); shadow.things must say any, and limits let them in", thing, code)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

const hotThing = "load-hot"

func shadow(thing, do string) string { return "$aws/things/" + thing + "/shadow/" + do }

// issue sends one request of a load, if there is anybody to send it to. wanted is how many
// devices shall live now.
func (r *requests) issue(load scenario.Load, wanted int, count *measure.Recorder) {
	topic, payload, ok := r.compose(load, wanted)
	if !ok {
		return
	}
	some := r.askers[load]
	r.number++
	some[r.number%len(some)].ask(ask{topic: topic, payload: payload, count: []*measure.Recorder{count, r.total[asked[load]]}})
}

func (r *requests) compose(load scenario.Load, wanted int) (topic string, payload []byte, ok bool) {
	thing := "load-" + strconv.Itoa(rand.IntN(r.things))
	switch load {
	case scenario.HotUpdates, scenario.HotGets:
		thing = hotThing
	case scenario.Commands, scenario.MuteCommands:
		d := r.device(load == scenario.MuteCommands, wanted)
		if d == nil {
			return "", nil, false
		}
		return "gb28181/" + d.ID() + "/cmd/device_info", []byte("{}"), true
	}
	if load == scenario.ShadowGets || load == scenario.HotGets {
		return shadow(thing, "get"), nil, true
	}
	return shadow(thing, "update"), fmt.Appendf(nil, `{"state":{"desired":{"n":%d}}}`, r.number), true
}

// device picks one that is registered, by chance; nil when those it looks at are not.
func (r *requests) device(mute bool, wanted int) *camera.Device {
	places := r.mute[mute]
	for range min(len(places), 8) {
		if i := places[rand.IntN(len(places))]; i < wanted {
			if d := r.fleet.Devices()[i]; d.Registered() {
				return d
			}
		}
	}
	return nil
}
