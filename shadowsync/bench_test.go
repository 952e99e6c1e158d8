package shadowsync

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	badger "github.com/dgraph-io/badger/v4"
	"github.com/gb2mqtt/gb2mqtt/shadowsync/store"
)

type nowhere struct{}

func (nowhere) Publish(string, []byte) {}

const (
	benchThings = 10000
	// leastUpdates is what a short run makes; -benchtime=500000x makes more.
	leastUpdates = 5000
	// benchRounds is how often the sides take turns, so that both see the same machine.
	benchRounds = 4
	badgerGroup = 256
)

// BenchmarkUpdatesBesideBadger is durable updates through the whole service, but for MQTT,
// beside values of the same size grouped by 256 into bare Badger with its own defaults: with
// all messages of an update made, and with those alone that somebody asked for.
func BenchmarkUpdatesBesideBadger(b *testing.B) {
	b.Run("all-messages", func(b *testing.B) { updatesBesideBadger(b, nil) })
	b.Run("answers-only", func(b *testing.B) { updatesBesideBadger(b, func(string) bool { return false }) })
}

func updatesBesideBadger(b *testing.B, wanted func(string) bool) {
	s := benchService(b, wanted)
	db, err := badger.Open(badger.DefaultOptions(b.TempDir()).WithSyncWrites(true).WithLogger(nil))
	if err != nil {
		b.Fatal(err)
	}
	n := max(b.N, leastUpdates) / benchRounds
	var service, bare, cpu, bareCPU time.Duration
	b.ResetTimer()
	for range benchRounds {
		begun, before := time.Now(), cpuTime()
		s.updates(n)
		service += time.Since(begun)
		cpu += cpuTime() - before
		d, err := s.Get(Key{Thing: benchThing(0)})
		if err != nil {
			b.Fatal(err)
		}
		begun, before = time.Now(), cpuTime()
		bareUpdates(b, db, n, len(d.Encode()))
		bare += time.Since(begun)
		bareCPU += cpuTime() - before
	}
	b.ReportMetric(float64(benchRounds*n)/service.Seconds(), "updates/s")
	b.ReportMetric(float64(benchRounds*n)/bare.Seconds(), "badger/s")
	b.ReportMetric(bare.Seconds()/service.Seconds(), "ratio")
	b.ReportMetric(cpu.Seconds()*1e6/float64(benchRounds*n), "µs-cpu")
	b.ReportMetric(bareCPU.Seconds()*1e6/float64(benchRounds*n), "µs-badger-cpu")
	b.ReportMetric(0, "ns/op")
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}

// cpuTime is what this process has used of the processors.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benched is a service over a store that syncs, with benchThings shadows.
type benched struct {
	*Service
	b  *testing.B
	st *store.Store
}

func benchService(b *testing.B, wanted func(string) bool) *benched {
	b.Helper()
	st, err := store.Open(store.Config{Path: b.TempDir(), Sync: true}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		b.Fatal(err)
	}
	s, err := New(Default(), st, nowhere{}, Options{Log: slog.New(slog.DiscardHandler), Wanted: wanted})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() {
		if err := s.Run(ctx); err != nil {
			b.Error(err)
		}
	})
	b.Cleanup(func() {
		cancel()
		run.Wait()
		if err := st.Close(); err != nil {
			b.Error(err)
		}
	})
	for i := range benchThings {
		s.Report(Key{Thing: benchThing(i)}, benchReported(), nil)
	}
	if err := s.Flush(ctx); err != nil {
		b.Fatal(err)
	}
	return &benched{s, b, st}
}

func benchThing(i int) string { return fmt.Sprintf("3402000000132%07d", i%benchThings) }

// updates makes n updates and returns once all are durable and answered.
func (s *benched) updates(n int) {
	slots := make(chan struct{}, 3500)
	refused := 0
	reply := func(_ []byte, code int) {
		if code != 200 {
			refused++
		}
		<-slots
	}
	for i := range n {
		slots <- struct{}{}
		s.Handle(Request{
			Topic:   "$aws/things/" + benchThing(i) + "/shadow/update",
			Payload: fmt.Appendf(nil, `{"state":{"desired":{"ptz":{"preset":%d}}},"clientToken":"bench-%d"}`, i, i),
			Reply:   reply,
		})
	}
	if err := s.Flush(context.Background()); err != nil {
		s.b.Error(err)
	}
	if refused > 0 {
		s.b.Errorf("%d updates were refused", refused)
	}
}

// bareUpdates writes n values of size bytes.
func bareUpdates(b *testing.B, db *badger.DB, n, size int) {
	b.Helper()
	value := make([]byte, size)
	for i := 0; i < n; i += badgerGroup {
		err := db.Update(func(txn *badger.Txn) error {
			for k := range min(badgerGroup, n-i) {
				if err := txn.Set([]byte("d"+benchThing(i+k)), value); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// getsPerSecond is the pace of BenchmarkGet.
const getsPerSecond = 10000

// BenchmarkGet is the time that a get takes within the process at a given pace: any of many
// shadows, while some of them change.
func BenchmarkGet(b *testing.B) {
	s := benchService(b, nil)
	n := max(b.N, leastUpdates)
	took := make([]time.Duration, 0, n)
	ctx, stop := context.WithCancel(context.Background())
	var changes sync.WaitGroup
	changes.Go(func() {
		for ctx.Err() == nil {
			s.updates(100)
			time.Sleep(100 * time.Millisecond)
		}
	})
	b.ResetTimer()
	begun := time.Now()
	for i := range n {
		if wait := time.Until(begun.Add(time.Duration(i) * time.Second / getsPerSecond)); wait > 0 {
			time.Sleep(wait)
		}
		asked := time.Now()
		if _, err := s.Get(Key{Thing: benchThing(i * 7919)}); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(asked))
	}
	elapsed := time.Since(begun)
	stop()
	changes.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(n)/elapsed.Seconds(), "gets/s")
	b.ReportMetric(float64(took[n/2].Nanoseconds())/1e3, "µs-p50")
	b.ReportMetric(float64(took[n*99/100].Nanoseconds())/1e3, "µs-p99")
	b.ReportMetric(0, "ns/op")
}

func benchReported() map[string]any {
	return map[string]any{"presence": "online", "presence_reason": "registered", "breaker": "closed", "channels": 4,
		"info": map[string]any{"name": "IPC", "manufacturer": "Vendor", "model": "DS-1", "firmware": "V5.7"}}
}

func BenchmarkStoreGrouped(b *testing.B) {
	st, err := store.Open(store.Config{Path: b.TempDir(), Sync: true}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		b.Fatal(err)
	}
	value := make([]byte, 600)
	slots := make(chan struct{}, 1024)
	for i := 0; b.Loop(); i++ {
		slots <- struct{}{}
		var batch store.Batch
		batch.Set(fmt.Appendf(nil, "d3402000000132%07d", i%benchThings), value)
		st.CommitAsync(&batch, func(err error) {
			if err != nil {
				b.Error(err)
			}
			<-slots
		})
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
	if err := st.Close(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkBareFsync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "f"))
	if err != nil {
		b.Fatal(err)
	}
	block := make([]byte, 4096)
	for b.Loop() {
		if _, err := f.Write(block); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}
