package guard

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// breakerMetrics are the numbers of the breakers, by state.
type breakerMetrics struct {
	devices [HalfOpen + 1]prometheus.Gauge // closed is not counted: it is everybody else
	changes [HalfOpen + 1]prometheus.Counter
}

func newBreakerMetrics(reg prometheus.Registerer) (*breakerMetrics, error) {
	devices := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "gb2mqtt_guard_breakers", Help: "Devices whose breaker is not closed, by state.",
	}, []string{"state"})
	changes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gb2mqtt_guard_breaker_changes_total", Help: "Changes of a device's breaker, by the new state.",
	}, []string{"state"})
	m := new(breakerMetrics)
	for s := Closed; s <= HalfOpen; s++ {
		m.changes[s] = changes.WithLabelValues(s.String())
		if s != Closed {
			m.devices[s] = devices.WithLabelValues(s.String())
		}
	}
	return m, register(reg, devices, changes)
}

// count moves one device from a state to another.
func (m *breakerMetrics) count(from, to State) {
	if from != Closed {
		m.devices[from].Dec()
	}
	if to != Closed {
		m.devices[to].Inc()
	}
}

// lockoutMetrics are the numbers of the lock-out.
type lockoutMetrics struct {
	failures, bans, refusals, slowed prometheus.Counter
}

func newLockoutMetrics(reg prometheus.Registerer) (*lockoutMetrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "gb2mqtt_guard_lockout_" + name, Help: help})
	}
	m := &lockoutMetrics{
		failures: counter("failures_total", "Wrong answers to a digest challenge."),
		bans:     counter("bans_total", "Bans of a device from an address."),
		refusals: counter("refusals_total", "Registrations refused because of a ban."),
		slowed:   counter("slowed_total", "Registrations put off because their address fails for many devices."),
	}
	return m, register(reg, m.failures, m.bans, m.refusals, m.slowed)
}

func register(reg prometheus.Registerer, collectors ...prometheus.Collector) error {
	for _, c := range collectors {
		if err := reg.Register(c); err != nil {
			return fmt.Errorf("register the guard's metrics: %w", err)
		}
	}
	return nil
}
