package bridge

import (
	"strconv"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what only the routing between the rooms can count.
type metrics struct {
	answers *prometheus.CounterVec
	events  *prometheus.CounterVec
	// switches counts the devices that are asked another way because theirs was bad.
	switches *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, recovering func() int) *metrics {
	m := &metrics{
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gb2mqtt_bridge_command_answers_total", Help: "Answers to commands that came over MQTT, by code.",
		}, []string{"code"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gb2mqtt_bridge_events_total", Help: "Events published, by type.",
		}, []string{"type"}),
		switches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gb2mqtt_link_switches_total", Help: "Devices that are asked by another way, for theirs was bad, by the transport taken.",
		}, []string{"transport"}),
	}
	for _, n := range []sip.Network{sip.UDP, sip.TCP} {
		m.switches.WithLabelValues(n.String())
	}
	reg.MustRegister(m.answers, m.events, m.switches, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gb2mqtt_bridge_recovering_devices", Help: "Devices that wait to be brought up to date, or are asked.",
	}, func() float64 { return float64(recovering()) }))
	return m
}

func (m *metrics) answered(code int) { m.answers.WithLabelValues(strconv.Itoa(code)).Inc() }
