package shadowsync

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what the service tells of itself.
type metrics struct {
	requests *prometheus.CounterVec
	reports  *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, depth, cached func() float64) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gb2mqtt_shadow_requests_total", Help: "Answered shadow requests of clients, by operation and code.",
		}, []string{"op", "code"}),
		reports: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gb2mqtt_shadow_reports_total", Help: "The bridge's own updates, by result: written, unchanged, refused, failed, held (until the store takes them).",
		}, []string{"result"}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.reports,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gb2mqtt_shadow_queue", Help: "Requests and reports that wait for the writer.",
		}, depth),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gb2mqtt_shadow_cache_bytes", Help: "About how much memory parsed documents take.",
		}, cached),
	} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("shadow: metrics: %w", err)
		}
	}
	return m, nil
}
