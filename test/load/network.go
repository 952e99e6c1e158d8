package main

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gb2mqtt/gb2mqtt/test/faults"
	"github.com/gb2mqtt/gb2mqtt/test/load/scenario"
)

// network is the way from the cameras to the bridge: straight, or through a bad network when
// the scenario has one.
type network struct {
	address string // what the cameras use: udp://host:port or tcp://host:port
	proxy   *faults.Proxy
}

// newNetwork lays the way. Its proxy, where there is one, runs in all.
func newNetwork(ctx context.Context, s *scenario.Scenario, at string, seed uint64, all *errgroup.Group) (*network, error) {
	if !s.Faulty() {
		return &network{address: s.Fleet.Transport + "://" + at}, nil
	}
	const connections = 1 << 20 // one for each device over TCP; the sockets that devices share over UDP
	p, err := faults.Listen(faults.Config{Network: s.Fleet.Transport, Target: at, Seed: seed, Clients: connections, Queue: 1 << 20})
	if err != nil {
		return nil, err
	}
	all.Go(func() error { return p.Run(ctx) })
	return &network{address: s.Fleet.Transport + "://" + p.Addr(), proxy: p}, nil
}

// set makes the network as bad as f says.
func (n *network) set(f scenario.Faults) error {
	if n.proxy == nil {
		return nil
	}
	return n.proxy.Set(faults.Faults{
		Loss: float64(f.Loss), Delay: time.Duration(f.Delay), Jitter: time.Duration(f.Jitter),
		Duplicate: float64(f.Duplicate), Reorder: float64(f.Reorder), Cut: f.Cut,
	})
}
