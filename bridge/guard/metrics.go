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

// linkMetrics are the numbers of the links to devices.
type linkMetrics struct {
	devices [Bad + 1]prometheus.Gauge
}

func newLinkMetrics(reg prometheus.Registerer) (*linkMetrics, error) {
	devices := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "gb2mqtt_guard_links", Help: "Devices that were asked something in the last minutes, by how good their link is.",
	}, []string{"level"})
	m := new(linkMetrics)
	for l := Good; l <= Bad; l++ {
		m.devices[l] = devices.WithLabelValues(l.String())
	}
	return m, register(reg, devices)
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

// capacityMetrics are the numbers of the signalling slots.
type capacityMetrics struct {
	slots, floor, used, session, period prometheus.Gauge
	refused, swept                      prometheus.Counter
}

func newCapacityMetrics(reg prometheus.Registerer) (*capacityMetrics, error) {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "gb2mqtt_guard_capacity_" + name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "gb2mqtt_guard_capacity_" + name, Help: help})
	}
	m := &capacityMetrics{
		slots:   gauge("slots", "Registrations that may be at work at once."),
		floor:   gauge("floor_slots", "The least of it, by the size of the fleet."),
		used:    gauge("used_slots", "Registrations at work."),
		session: gauge("session_seconds", "How long one is at work, mean."),
		period:  gauge("gc_period_seconds", "Time from one garbage collection to the next, mean."),
		refused: counter("refused_total", "Registrations put off with 503 because all slots were taken."),
		swept:   counter("swept_total", "Slots taken back because their registration was lost."),
	}
	return m, register(reg, m.slots, m.floor, m.used, m.session, m.period, m.refused, m.swept)
}

// show copies c, whose lock is held or which nobody knows yet.
func (m *capacityMetrics) show(c *Capacity) {
	m.slots.Set(float64(c.size))
	m.floor.Set(float64(c.floor))
	m.used.Set(float64(len(c.used)))
	m.session.Set(c.session.Seconds())
	m.period.Set(c.period.Seconds())
}

func register(reg prometheus.Registerer, collectors ...prometheus.Collector) error {
	for _, c := range collectors {
		if err := reg.Register(c); err != nil {
			return fmt.Errorf("register the guard's metrics: %w", err)
		}
	}
	return nil
}
