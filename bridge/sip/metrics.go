package sip

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Reasons why a message or a connection is dropped without an answer, beside the faults.
const (
	dropForeign      = "foreign_response"    // from somebody that we did not ask
	dropUnmatched    = "unmatched_response"  // late, or of no request of ours
	dropProvisional  = "provisional"         // a 1xx: the final answer is what counts
	dropUnanswerable = "unanswerable"        // broken, and says too little to be answered
	dropPanic        = "panic"               // a fault of ours, logged
	dropWrite        = "write"               // the system did not take an answer
	dropStuck        = "stuck_connection"    // a TCP peer that does not read
	dropSlow         = "slow_connection"     // a TCP peer whose message never ends
	dropConnections  = "connection_limit"    // too many TCP connections
	dropGarbage      = "garbage_on_stream"   // what stands between two messages of a TCP stream
	dropAccept       = "accept"              // the system could not accept a connection
	dropRead         = "read"                // the system could not read a socket
	dropReply        = "reply_without_path"  // an answer whose connection has gone
	dropFallback     = "unreadable_for_both" // neither the scan nor the library can read it
)

// metrics are this room's numbers. Labels are closed sets: nothing from the wire gets in.
type metrics struct {
	requests        [len(known) + 1]prometheus.Counter
	answers         [7]prometheus.Counter // by the first digit
	dropped         *prometheus.CounterVec
	retransmissions prometheus.Counter
	fallbacks       prometheus.Counter
	connections     prometheus.Gauge
	clients         prometheus.Gauge
	servers         prometheus.Gauge
	rtt             prometheus.Histogram
	timeouts        prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gb2mqtt_sip_requests_total", Help: "SIP requests received, by method.",
	}, []string{"method"})
	answers := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gb2mqtt_sip_answers_total", Help: "SIP responses sent, by class of status.",
	}, []string{"class"})
	m := &metrics{
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gb2mqtt_sip_dropped_total", Help: "What was received and not dealt with, and broken requests answered, by reason.",
		}, []string{"reason"}),
		retransmissions: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gb2mqtt_sip_retransmissions_total", Help: "Requests of the platform sent again for want of an answer.",
		}),
		fallbacks: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gb2mqtt_sip_parse_fallbacks_total", Help: "Requests that the scan left to the full parser.",
		}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gb2mqtt_sip_tcp_connections", Help: "TCP connections of devices.",
		}),
		clients: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gb2mqtt_sip_client_transactions", Help: "Requests of the platform that wait for an answer.",
		}),
		servers: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gb2mqtt_sip_server_transactions", Help: "Transactions kept for rare requests of devices.",
		}),
		rtt: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gb2mqtt_sip_rtt_seconds", Help: "From the first send of a request of the platform to its final answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
		timeouts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gb2mqtt_sip_timeouts_total", Help: "Requests of the platform that nobody answered in time.",
		}),
	}
	for i, k := range known {
		m.requests[i] = requests.WithLabelValues(k)
	}
	m.requests[len(known)] = requests.WithLabelValues("other")
	for i := range m.answers {
		if i > 0 {
			m.answers[i] = answers.WithLabelValues(fmt.Sprintf("%dxx", i))
		}
	}
	for _, c := range []prometheus.Collector{
		requests, answers, m.dropped, m.retransmissions, m.fallbacks, m.connections, m.clients, m.servers, m.rtt, m.timeouts,
	} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register the SIP metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) request(method string) { m.requests[methodIndex(method)].Inc() }

func (m *metrics) answer(code int) {
	if class := code / 100; 1 <= class && class <= 6 {
		m.answers[class].Inc()
	}
}

func (m *metrics) drop(reason string) { m.dropped.WithLabelValues(reason).Inc() }

func (m *metrics) answered(rtt time.Duration) { m.rtt.Observe(rtt.Seconds()) }
