package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/broker"
	"github.com/gb2mqtt/gb2mqtt/shadowsync/store"
	"github.com/prometheus/client_golang/prometheus"
)

// leastOutboxEvents is what a short run stores; -benchtime=1000000x stores a million.
const leastOutboxEvents = 5000

// BenchmarkOutboxDrain measures how fast stored events go over a link after its return,
// against the rate at which the link takes the same events live; the store, the link and its
// server are real.
func BenchmarkOutboxDrain(b *testing.B) {
	n := max(b.N, leastOutboxEvents)
	st, err := store.Open(store.Config{Path: b.TempDir(), Sync: true}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = st.Close() })
	server := benchServer(b)

	live := drainRate(b, st, server, n, true)
	stored := drainRate(b, st, server, n, false)
	b.ReportMetric(live, "live/s")
	b.ReportMetric(stored, "stored/s")
	b.ReportMetric(stored/live, "ratio")
	b.ReportMetric(0, "ns/op")
}

// benchServer is another server that takes all that comes.
func benchServer(b *testing.B) string {
	b.Helper()
	c := broker.Default()
	c.Embedded.Listen = []string{"tcp://127.0.0.1:0"}
	br := benchBroker(b, c, nil)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = br.Run(ctx) }()
	b.Cleanup(func() { stop(); <-ended })
	return br.Addrs()[0]
}

// benchBroker is a broker that listens.
func benchBroker(b *testing.B, c broker.Config, j broker.Journal) *broker.Broker {
	b.Helper()
	br, err := broker.New(c, broker.Options{
		Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Journal: j,
		Classify: func(string) broker.Class { return broker.Open },
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := br.Listen(); err != nil {
		b.Fatal(err)
	}
	return br
}

// drainRate is how many of n events a second the link takes: as they are published, or once
// all are stored.
func drainRate(b *testing.B, st *store.Store, server string, n int, live bool) float64 {
	b.Helper()
	name := fmt.Sprint("live-", live)
	link := benchBroker(b, broker.Config{Links: []broker.Link{{Name: name, URL: server}}}, st.Journal())
	ctx, stop := context.WithCancel(context.Background())
	var runs sync.WaitGroup
	defer runs.Wait()
	defer stop()
	start := func() {
		runs.Go(func() { _ = link.Run(ctx) })
		for !link.Links()[0].Up {
			time.Sleep(time.Millisecond)
		}
	}
	if live {
		start()
	}
	var failed atomic.Int64
	var stored sync.WaitGroup
	stored.Add(n)
	begun := time.Now()
	slots := make(chan struct{}, 4096) // of the store's queue
	for i := range n {
		slots <- struct{}{}
		link.PublishEvent(broker.Message{Topic: "e", QoS: 1, Payload: fmt.Appendf(nil, `{"id":"%d","device":"34020000001320000001","alarm_method":5}`, i)}, func(err error) {
			if err != nil {
				failed.Add(1)
			}
			<-slots
			stored.Done()
		})
	}
	stored.Wait()
	if !live {
		begun = time.Now()
		start()
	}
	for st.Journal().Len(name) > 0 {
		time.Sleep(time.Millisecond)
	}
	if failed.Load() > 0 {
		b.Fatalf("%d events not stored", failed.Load())
	}
	return float64(n) / time.Since(begun).Seconds()
}
