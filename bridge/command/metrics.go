package command

import (
	"fmt"
	"time"

	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are this room's numbers. The names of commands are those of the mapping's table.
type metrics struct {
	commands *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inflight prometheus.Gauge
	waiting  prometheus.Gauge
	stops    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		commands: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gb2mqtt_command_total", Help: "Commands that were answered, by name and by the class of their code.",
		}, []string{"name", "result"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gb2mqtt_command_seconds", Help: "From taking a command to its answer, by name.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"name"}),
		inflight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gb2mqtt_command_inflight", Help: "Commands under way to devices.",
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gb2mqtt_command_waiting", Help: "Commands that wait for others to the same device.",
		}),
		stops: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gb2mqtt_command_stops_total", Help: "Stops of movements that the bridge sent by itself.",
		}),
	}
	for _, c := range []prometheus.Collector{m.commands, m.seconds, m.inflight, m.waiting, m.stops} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register the command metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) answered(name string, why *mapping.Error, took time.Duration) {
	result := "2xx"
	if why != nil {
		result = fmt.Sprintf("%dxx", why.Code/100)
	}
	m.commands.WithLabelValues(name, result).Inc()
	m.seconds.WithLabelValues(name).Observe(took.Seconds())
}
