package bridge

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// getsPerSecond is the pace at which the gets of BenchmarkShadowGet come.
const getsPerSecond = 5000

// BenchmarkShadowGet is the time that a get takes over MQTT at a given pace, beside that of a
// fixed answer of the same size from the same broker.
func BenchmarkShadowGet(b *testing.B) {
	bare := newBenchFleet(b, benchFixed(b, map[string]map[string][]byte{"update": {"accepted": fixedAccepted}, "get": {"accepted": fixedDocument}}), "get/accepted")
	whole := newBenchFleet(b, benchBridge(b), "get/accepted")
	n := max(b.N, leastRequests) / rounds
	var shadows, fixed rated
	b.ResetTimer()
	for range rounds {
		fixed.round(func() []time.Duration { return bare.paced(n, getsPerSecond, "get", "get/accepted") })
		shadows.round(func() []time.Duration { return whole.paced(n, getsPerSecond, "get", "get/accepted") })
	}
	p99, fixed99 := shadows.quantile(0.99), fixed.quantile(0.99)
	b.ReportMetric(shadows.perSecond(), "gets/s")
	b.ReportMetric(millis(p99), "ms-p99")
	b.ReportMetric(millis(fixed99), "ms-fixed-p99")
	b.ReportMetric(float64(p99)/float64(fixed99), "p99-ratio")
	b.ReportMetric(millis(shadows.quantile(0.5)), "ms-p50")
	b.ReportMetric(millis(fixed.quantile(0.5)), "ms-fixed-p50")
	b.ReportMetric(0, "ns/op")
}

// paced has the clients send n requests in all, perSecond of them, each client at its own
// beat and none before its last one was answered. It returns how long each took.
func (f *benchFleet) paced(n, perSecond int, op, wanted string) []time.Duration {
	beat := time.Second * time.Duration(len(f.clients)) / time.Duration(perSecond)
	return f.each(n, func(i int, c *benchClient, began time.Time) func(int) {
		topic := benchTopic(benchThing(i), op)
		offset := beat * time.Duration(i) / time.Duration(len(f.clients))
		return func(k int) {
			time.Sleep(time.Until(began.Add(offset + beat*time.Duration(k))))
			c.publish(topic, nil)
		}
	}, wanted)
}

// The load on the hot shadow of BenchmarkHotShadow.
const (
	hotGets    = 2000 // a second
	hotUpdates = 200
	hotWindow  = 10 // requests of a connection on their way: more are refused
)

// BenchmarkHotShadow is what updates of other shadows lose by one that is asked for 2,000
// times and changed 200 times a second.
func BenchmarkHotShadow(b *testing.B) {
	url := benchBridge(b)
	others := newBenchFleet(b, url, "update/accepted")
	n := max(b.N, leastRequests) / rounds
	var calm, beside rated
	var gets, updates int
	b.ResetTimer()
	for range rounds {
		update := func() []time.Duration { return others.exchange(n, "update", presetUpdate, "update/accepted") }
		calm.round(update)
		begun := time.Now()
		cool := heat(b, url, "hot")
		beside.round(update)
		g, u := cool()
		seconds := time.Since(begun).Seconds()
		gets, updates = gets+int(float64(g)/seconds), updates+int(float64(u)/seconds)
	}
	b.ReportMetric(beside.perSecond()/calm.perSecond(), "ratio")
	b.ReportMetric(calm.perSecond(), "calm/s")
	b.ReportMetric(beside.perSecond(), "beside/s")
	b.ReportMetric(millis(calm.quantile(0.99)), "ms-calm-p99")
	b.ReportMetric(millis(beside.quantile(0.99)), "ms-beside-p99")
	b.ReportMetric(float64(gets)/rounds, "hot-gets/s")
	b.ReportMetric(float64(updates)/rounds, "hot-updates/s")
	b.ReportMetric(0, "ns/op")
}

// heat asks for the shadow of thing and changes it, until cool is called, which returns how
// often each was done.
func heat(b *testing.B, url, thing string) (cool func() (gets, updates int)) {
	end := make(chan struct{})
	var all sync.WaitGroup
	load := func(op string, perSecond int, payload func(int) []byte, count *int) {
		c := dialBench(b, url, "hot-"+op, benchTopic(thing, op+"/accepted"), benchTopic(thing, op+"/rejected"))
		slots, gone := make(chan struct{}, hotWindow), make(chan struct{})
		take := func() {
			select {
			case slots <- struct{}{}:
			case <-gone:
			}
		}
		all.Go(func() {
			defer c.conn.Close()
			begun := time.Now()
			for k := 0; ; k++ {
				select {
				case <-end:
					for range hotWindow { // until the last one is answered
						take()
					}
					return
				case <-time.After(time.Until(begun.Add(time.Duration(k) * time.Second / time.Duration(perSecond)))):
				}
				take()
				c.publish(benchTopic(thing, op), payload(k))
				c.send()
			}
		})
		all.Go(func() {
			defer close(gone)
			for topic := c.next(); topic != nil; topic = c.next() {
				if strings.HasSuffix(string(topic), "accepted") {
					*count++
				}
				<-slots
			}
		})
	}
	var gets, updates int
	load("update", hotUpdates, presetUpdate, &updates)
	load("get", hotGets, func(int) []byte { return nil }, &gets)
	return func() (int, int) {
		close(end)
		all.Wait()
		return gets, updates
	}
}
