package store

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what the store tells of itself.
type metrics struct {
	commits *prometheus.CounterVec
	errors  prometheus.Counter
	group   prometheus.Histogram
	sync    prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		commits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gb2mqtt_store_commits_total", Help: "Batches, by result: ok, error, refused (never reached the writer).",
		}, []string{"result"}),
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gb2mqtt_store_errors_total", Help: "Groups that could not be committed.",
		}),
		group: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gb2mqtt_store_group_batches", Help: "Batches in one group commit.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 9),
		}),
		sync: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gb2mqtt_store_commit_seconds", Help: "Duration of a group commit with its sync.",
			Buckets: prometheus.ExponentialBuckets(0.00025, 2, 14),
		}),
	}
	if reg == nil {
		return m, nil
	}
	for i, c := range m.all() {
		if err := reg.Register(c); err != nil {
			for _, done := range m.all()[:i] {
				reg.Unregister(done)
			}
			return nil, fmt.Errorf("store: metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.commits, m.errors, m.group, m.sync}
}

func (m *metrics) unregister(reg prometheus.Registerer) {
	if reg == nil {
		return
	}
	for _, c := range m.all() {
		reg.Unregister(c)
	}
}
