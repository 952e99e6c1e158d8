package fleet

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Why a request was refused, as metric labels.
const (
	refusedID           = "id"
	refusedNotAllowed   = "not_allowed"
	refusedBanned       = "banned"
	refusedNoPassword   = "no_password"
	refusedCredentials  = "credentials"
	refusedLimit        = "limit"
	refusedCapacity     = "capacity"
	refusedUnregistered = "unregistered"
	refusedAddress      = "address"
	refusedUnreadable   = "unreadable"
	refusedMethod       = "method"
	refusedRedirected   = "redirected"
)

// Why a message was put off.
const (
	droppedDevice = "device"
	droppedLane   = "lane"
)

// metrics are the fleet's numbers.
type metrics struct {
	transitions *prometheus.CounterVec
	refusals    *prometheus.CounterVec
	dropped     *prometheus.CounterVec
	lifeRefused *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, f *Fleet) (*metrics, error) {
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gb2mqtt_fleet_" + name, Help: help}, []string{label})
	}
	m := &metrics{
		transitions: vec("transitions_total", "Changes of a device's presence, by reason.", "reason"),
		refusals:    vec("refusals_total", "Requests refused, by reason.", "reason"),
		dropped:     vec("dropped_total", "Messages put off with 503 because a queue was full, by whose.", "queue"),
	}
	m.lifeRefused = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gb2mqtt_lifecycle_refused_total", Help: "Events that a device's lifecycle has no move for, by the state it was in.",
	}, []string{"state", "event"})
	all := []prometheus.Collector{m.transitions, m.refusals, m.dropped, m.lifeRefused}
	for l := range Lifecycle(lifecycles) {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gb2mqtt_devices_by_lifecycle", Help: "Devices known, by how far the conversation with them has come.",
			ConstLabels: prometheus.Labels{"state": l.String()},
		}, func() float64 { return float64(f.lives[l].Load()) }))
	}
	for p := Unknown; p <= Offline; p++ {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gb2mqtt_fleet_devices", Help: "Devices known, by presence.",
			ConstLabels: prometheus.Labels{"presence": p.String()},
		}, func() float64 { return float64(f.counts[p].Load()) }))
	}
	all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gb2mqtt_fleet_lane_depth", Help: "Messages that wait to be decoded.",
	}, func() float64 { return float64(f.waiting()) }))
	for _, c := range all {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register fleet metrics: %w", err)
		}
	}
	return m, nil
}
