package broker

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	clients   prometheus.Gauge
	published prometheus.Counter
	received  prometheus.Counter
	dropped   prometheus.Counter
	slow      prometheus.Counter
	panics    prometheus.Counter
	unkept    prometheus.Counter
	refused   *prometheus.CounterVec // what: login, read, publish, will
	linkUp    *prometheus.GaugeVec
	linkLost  *prometheus.CounterVec
	// linkBreaker is 1 for the position that a link's breaker has.
	linkBreaker *prometheus.GaugeVec

	outboxDropped *prometheus.CounterVec // why: age, size
}

func newMetrics(b *Broker) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "gb2mqtt_mqtt_" + name, Help: help})
	}
	m := &metrics{
		clients:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "gb2mqtt_mqtt_clients", Help: "Clients connected to the embedded broker."}),
		published: counter("published_total", "Messages the bridge published."),
		received:  counter("received_total", "Messages that clients of the embedded broker published."),
		dropped:   counter("dropped_total", "Messages not delivered to a client that was too slow."),
		slow:      counter("slow_disconnects_total", "Clients disconnected because they did not read."),
		unkept:    counter("retained_refused_total", "Retained messages of clients delivered but not kept: there were too many."),
		panics:    counter("handler_panics_total", "Requests whose handling panicked."),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gb2mqtt_mqtt_refused_total", Help: "What clients were not allowed to do.",
		}, []string{"what"}),
		linkUp: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gb2mqtt_mqtt_link_up", Help: "1 while a link is connected.",
		}, []string{"link"}),
		linkBreaker: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gb2mqtt_link_breaker_state", Help: "1 for the position of a link's breaker: closed while it is connected, open between two tries, half_open while it is tried.",
		}, []string{"link", "state"}),
		linkLost: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gb2mqtt_mqtt_link_dropped_total", Help: "Messages not sent over a link that was down or too slow.",
		}, []string{"link"}),
		outboxDropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gb2mqtt_mqtt_outbox_dropped_total", Help: "Stored events given up because they were too old or too many.",
		}, []string{"receiver", "why"}),
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.clients, m.published, m.received, m.dropped, m.slow, m.panics, m.unkept, m.refused, m.linkUp, m.linkBreaker, m.linkLost, m.outboxDropped,
	} {
		errs = append(errs, b.opts.Registerer.Register(c))
	}
	for _, o := range b.outboxes {
		errs = append(errs, b.opts.Registerer.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gb2mqtt_mqtt_outbox_messages", Help: "Events stored until their receiver has taken them.",
			ConstLabels: prometheus.Labels{"receiver": o.name},
		}, func() float64 { return float64(o.journal.Len(o.name)) })))
	}
	return m, errors.Join(errs...)
}
