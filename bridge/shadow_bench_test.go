package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/command"
	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/bridge/guard"
	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/broker"
	"github.com/gb2mqtt/gb2mqtt/shadowsync"
	"github.com/gb2mqtt/gb2mqtt/shadowsync/store"
	"github.com/prometheus/client_golang/prometheus"
)

// The benchmarks of shadows over MQTT measure a whole bridge beside the same broker without
// one: there the same requests get fixed answers of the same topics and sizes, from nothing.

const (
	benchClients = 64
	// leastRequests is what a short run sends; -benchtime=200000x sends more.
	leastRequests = 6400
	// rounds is how often the sides take turns, so that both see the same machine.
	rounds = 4
)

// benchBridge runs a bridge with a store that syncs, and returns where its broker listens.
func benchBridge(b *testing.B) string {
	b.Helper()
	cfg := Config{
		SIP: sip.Default(), Fleet: fleet.Default(), Guard: guard.Default(), Command: command.Default(), MQTT: broker.Default(),
		Shadow: shadowsync.Default(), Store: store.Config{Path: b.TempDir(), Sync: true},
		Version: "bench", TopicPrefix: "gb28181", Encoding: "auto", RecoveryRate: 500, Vanished: time.Hour,
	}
	cfg.SIP.Listen = []string{"udp://127.0.0.1:0"}
	cfg.Fleet.Auth.Password = "12345678"
	cfg.MQTT.Embedded.Listen = []string{"tcp://127.0.0.1:0"}
	cfg.Shadow.ClientReported = true
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan Addresses, 1), make(chan error, 1)
	go func() { ended <- Run(ctx, cfg, slog.New(slog.DiscardHandler), func(a Addresses) { ready <- a }) }()
	b.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	select {
	case a := <-ready:
		return a.MQTT[0]
	case err := <-ended:
		b.Fatal(err)
	}
	return ""
}

// benchFixed runs the broker of a bridge with no shadow behind it: a request gets a fixed
// message on each of the topics that its operation answers on.
func benchFixed(b *testing.B, answers map[string]map[string][]byte) string {
	b.Helper()
	c := broker.Default()
	c.Embedded.Listen = []string{"tcp://127.0.0.1:0"}
	owner := &Bridge{topics: topics{prefix: "gb28181"}}
	owner.cfg.Shadow.Prefix = shadowsync.Default().Prefix
	br, err := broker.New(c, broker.Options{
		Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Classify: owner.classify,
	})
	if err != nil {
		b.Fatal(err)
	}
	br.Handle(func(in *broker.Incoming) {
		op := in.Topic[strings.LastIndexByte(in.Topic, '/')+1:]
		for answer, payload := range answers[op] {
			br.Publish(broker.Message{Topic: in.Topic + "/" + answer, Payload: payload, QoS: 1})
		}
	})
	if err := br.Listen(); err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- br.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	return br.Addrs()[0]
}

// benchReported is a device's reported state; with what is desired and the metadata its
// document has some 600 bytes.
const benchReported = `{"presence":"online","presence_reason":"registered","breaker":"closed","channels":4,"guard":"on",` +
	`"info":{"name":"IPC","manufacturer":"Vendor","model":"DS-1","firmware":"V5.7"}}`

func benchTopic(thing, op string) string { return "$aws/things/" + thing + "/shadow/" + op }

// benchFleet is clients of one broker, each with a thing of its own.
type benchFleet struct {
	b       *testing.B
	clients []*benchClient
}

func benchThing(i int) string { return fmt.Sprintf("3402000000132%07d", i) }

// newBenchFleet connects the clients and makes their shadows; each subscribes to the answers
// given, get/accepted say.
func newBenchFleet(b *testing.B, url string, answers ...string) *benchFleet {
	b.Helper()
	f := &benchFleet{b: b}
	for i := range benchClients {
		thing := benchThing(i)
		first := dialBench(b, url, "first-"+thing, benchTopic(thing, "update/accepted"))
		first.publish(benchTopic(thing, "update"), []byte(`{"state":{"desired":{"ptz":{"preset":1}},"reported":`+benchReported+`}}`))
		first.send()
		if err := first.answered(1, "update/accepted"); err != nil {
			b.Fatal(err)
		}
		_ = first.conn.Close()
		var filters []string
		for _, a := range answers {
			filters = append(filters, benchTopic(thing, a))
		}
		f.clients = append(f.clients, dialBench(b, url, thing, filters...))
	}
	return f
}

// exchange has all clients send n requests in all, each its next one when the answers to the
// last are there, wanted of them for each. It returns how long each took.
func (f *benchFleet) exchange(n int, op string, payload func(i int) []byte, wanted ...string) []time.Duration {
	return f.each(n, func(i int, c *benchClient, _ time.Time) func(int) {
		topic := benchTopic(benchThing(i), op)
		return func(k int) { c.publish(topic, payload(k)) }
	}, wanted...)
}

// each has all clients send n requests in all: what begin returns for a client prepares its
// k-th one, and may wait.
func (f *benchFleet) each(n int, begin func(i int, c *benchClient, began time.Time) (request func(k int)), wanted ...string) []time.Duration {
	took := make([][]time.Duration, len(f.clients))
	began := time.Now()
	var all sync.WaitGroup
	for i, c := range f.clients {
		all.Go(func() {
			request := begin(i, c, began)
			for k := range n / len(f.clients) {
				request(k)
				sent := time.Now()
				c.send()
				if err := c.answered(len(wanted), wanted...); err != nil {
					f.b.Error(err)
					return
				}
				took[i] = append(took[i], time.Since(sent))
			}
		})
	}
	all.Wait()
	return slices.Concat(took...)
}

// rated is the requests of several rounds.
type rated struct {
	took         []time.Duration
	elapsed, cpu time.Duration
}

func (r *rated) round(exchange func() []time.Duration) {
	begun, before := time.Now(), cpuTime()
	r.took = append(r.took, exchange()...)
	r.elapsed += time.Since(begun)
	r.cpu += cpuTime() - before
}

// cpuTime is what this process has used of the processors: bridge, store and clients.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (r *rated) perSecond() float64 { return float64(len(r.took)) / r.elapsed.Seconds() }

// cpuEach is the microseconds of processor time that a request took, its client's included.
func (r *rated) cpuEach() float64 {
	return float64(r.cpu.Nanoseconds()) / 1e3 / float64(max(len(r.took), 1))
}

func (r *rated) quantile(q float64) time.Duration {
	if len(r.took) == 0 {
		return 0
	}
	slices.Sort(r.took)
	return r.took[min(len(r.took)-1, int(q*float64(len(r.took))))]
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func presetUpdate(i int) []byte {
	return fmt.Appendf(nil, `{"state":{"desired":{"ptz":{"preset":%d}}},"clientToken":"bench-%d"}`, i%255+1, i)
}

// The answers of the broker without shadows, as a bridge gives them.
var (
	fixedAccepted  = []byte(`{"state":{"desired":{"ptz":{"preset":7}}},"metadata":{"desired":{"ptz":{"preset":{"timestamp":1795600000}}}},"version":7,"timestamp":1795600000,"clientToken":"bench-7"}`)
	fixedDelta     = []byte(`{"state":{"ptz":{"preset":7}},"metadata":{"ptz":{"preset":{"timestamp":1795600000}}},"version":7,"timestamp":1795600000,"clientToken":"bench-7"}`)
	fixedDocument  = []byte(`{"state":{"desired":{"ptz":{"preset":7}},"reported":` + benchReported + `},"metadata":{"desired":{"ptz":{"preset":{"timestamp":1795600000}}},"reported":{"presence":{"timestamp":1795600000},"presence_reason":{"timestamp":1795600000},"breaker":{"timestamp":1795600000},"channels":{"timestamp":1795600000},"guard":{"timestamp":1795600000},"info":{"name":{"timestamp":1795600000},"manufacturer":{"timestamp":1795600000},"model":{"timestamp":1795600000},"firmware":{"timestamp":1795600000}}}},"version":7,"timestamp":1795600000,"clientToken":"bench-7"}`)
	fixedDocuments = slices.Concat([]byte(`{"previous":`), fixedDocument, []byte(`,"current":`), fixedDocument, []byte(`}`))
)

// BenchmarkShadowUpdates is durable updates by 64 clients, each with a thing of its own and
// one request under way, until all messages that it subscribed to are there.
func BenchmarkShadowUpdates(b *testing.B) {
	for _, subscribed := range [][]string{{"accepted"}, {"accepted", "delta", "documents"}} {
		b.Run(strings.Join(subscribed, "+"), func(b *testing.B) {
			all := map[string][]byte{"accepted": fixedAccepted, "delta": fixedDelta, "documents": fixedDocuments}
			fixedAnswers, wanted := map[string][]byte{}, []string(nil)
			for _, s := range subscribed {
				fixedAnswers[s] = all[s]
				wanted = append(wanted, "update/"+s)
			}
			fixedAnswers["accepted"] = fixedAccepted
			bare := newBenchFleet(b, benchFixed(b, map[string]map[string][]byte{"update": fixedAnswers}), wanted...)
			whole := newBenchFleet(b, benchBridge(b), wanted...)
			n := max(b.N, leastRequests) / rounds
			var shadows, fixed rated
			b.ResetTimer()
			for range rounds {
				fixed.round(func() []time.Duration { return bare.exchange(n, "update", presetUpdate, wanted...) })
				shadows.round(func() []time.Duration { return whole.exchange(n, "update", presetUpdate, wanted...) })
			}
			b.ReportMetric(shadows.perSecond(), "updates/s")
			b.ReportMetric(fixed.perSecond(), "fixed/s")
			b.ReportMetric(shadows.perSecond()/fixed.perSecond(), "ratio")
			b.ReportMetric(shadows.cpuEach(), "µs-cpu")
			b.ReportMetric(fixed.cpuEach(), "µs-fixed-cpu")
			b.ReportMetric(millis(shadows.quantile(0.99)), "ms-p99")
			b.ReportMetric(millis(fixed.quantile(0.99)), "ms-fixed-p99")
			b.ReportMetric(0, "ns/op")
		})
	}
}
