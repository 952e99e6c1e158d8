package bridge

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what only the routing between the rooms can count.
type metrics struct {
	answers *prometheus.CounterVec
	events  *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, recovering func() int) *metrics {
	m := &metrics{
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gb2mqtt_bridge_command_answers_total", Help: "Answers to commands that came over MQTT, by code.",
		}, []string{"code"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gb2mqtt_bridge_events_total", Help: "Events published, by type.",
		}, []string{"type"}),
	}
	reg.MustRegister(m.answers, m.events, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gb2mqtt_bridge_recovering_devices", Help: "Devices that wait to be brought up to date, or are asked.",
	}, func() float64 { return float64(recovering()) }))
	return m
}

func (m *metrics) answered(code int) { m.answers.WithLabelValues(strconv.Itoa(code)).Inc() }
