package main

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"github.com/gb2mqtt/gb2mqtt/test/load/measure"
)

// watcher sees every presence that the bridge publishes, and measures how far from the
// moment that the rule names a silent device is told to be unknown or offline.
type watcher struct {
	interval time.Duration // K
	devices  map[string]*watched
	now      atomic.Pointer[measure.Recorder] // of the phase
	total    measure.Recorder
}

// The rule: silent for more than 1.5 K is unknown, for 3 K in all offline.
const (
	unknownAfter = 1.5
	offlineAfter = 3
)

// device is what is watched of one: camera.Device.
type device interface {
	LastSign() time.Time // zero: there was none
	SetSilent(silent bool)
}

// watched is a device, and whether it is silent for the test's sake.
type watched struct {
	device
	silent atomic.Bool
}

func newWatcher(interval time.Duration) *watcher {
	return &watcher{interval: interval, devices: make(map[string]*watched)}
}

// add has a device watched; all are added before watch.
func (w *watcher) add(id string, d device) { w.devices[id] = &watched{device: d} }

// setSilent makes a device neither send nor hear, or live again.
func (w *watcher) setSilent(id string, silent bool) {
	if d := w.devices[id]; d.silent.Swap(silent) != silent {
		d.SetSilent(silent)
	}
}

// watch subscribes, and returns; what comes is measured until the client is disconnected.
func (w *watcher) watch(ctx context.Context, at string, lost func(error)) (*paho.Client, error) {
	c, err := dialMQTT(ctx, at, "load-watcher", w.received, lost)
	if err != nil {
		return nil, err
	}
	return c, subscribe(ctx, c, "gb28181/+/presence")
}

func (w *watcher) received(m *paho.Publish) {
	after := map[string]float64{"unknown": unknownAfter, "offline": offlineAfter}[string(m.Payload)]
	parts := strings.Split(m.Topic, "/")
	count := w.now.Load()
	if after == 0 || len(parts) != 3 || m.Retain || count == nil {
		return
	}
	d := w.devices[parts[1]]
	if d == nil || !d.silent.Load() {
		return
	}
	last := d.LastSign()
	if last.IsZero() {
		return
	}
	due := last.Add(time.Duration(after * float64(w.interval)))
	for _, r := range []*measure.Recorder{count, &w.total} {
		r.Answered(time.Since(due).Abs(), false)
	}
}
