package shadowsync

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	badger "github.com/dgraph-io/badger/v4"
	"github.com/gb2mqtt/gb2mqtt/shadowsync/store"
)

// The three benchmarks belong together: a durable update through the whole service, the
// same bytes grouped by 256 into bare Badger with its own defaults, and one sync of the disk.

type nowhere struct{}

func (nowhere) Publish(string, []byte) {}

const benchThings = 10000

func BenchmarkDurableUpdate(b *testing.B) {
	st, err := store.Open(store.Config{Path: b.TempDir(), Sync: true}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		b.Fatal(err)
	}
	s, err := New(Default(), st, nowhere{}, Options{Log: slog.New(slog.DiscardHandler)})
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
	for i := range benchThings {
		s.Report(Key{Thing: fmt.Sprintf("3402000000132%07d", i)}, benchReported(), nil)
	}
	if err := s.Flush(ctx); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	slots := make(chan struct{}, 3500)
	refused := 0
	reply := func(_ []byte, code int) {
		if code != 200 {
			refused++
		}
		<-slots
	}
	for i := 0; b.Loop(); i++ {
		slots <- struct{}{}
		s.Handle(Request{
			Topic:   fmt.Sprintf("$aws/things/3402000000132%07d/shadow/update", i%benchThings),
			Payload: fmt.Appendf(nil, `{"state":{"desired":{"ptz":{"preset":%d}}},"clientToken":"bench-%d"}`, i, i),
			Reply:   reply,
		})
	}
	if err := s.Flush(ctx); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
	cancel()
	run.Wait()
	if refused > 0 {
		b.Errorf("%d updates were refused", refused)
	}
	if err := st.Close(); err != nil {
		b.Fatal(err)
	}
}

func benchReported() map[string]any {
	return map[string]any{"presence": "online", "presence_reason": "registered", "breaker": "closed", "channels": 4,
		"info": map[string]any{"name": "IPC", "manufacturer": "Vendor", "model": "DS-1", "firmware": "V5.7"}}
}

func BenchmarkBareBadgerGroupedBy256(b *testing.B) {
	db, err := badger.Open(badger.DefaultOptions(b.TempDir()).WithSyncWrites(true).WithLogger(nil))
	if err != nil {
		b.Fatal(err)
	}
	value := make([]byte, 600)
	n := 0
	for b.Loop() {
		if n++; n%256 != 0 {
			continue // 256 iterations are one transaction
		}
		err := db.Update(func(txn *badger.Txn) error {
			for i := range 256 {
				if err := txn.Set(fmt.Appendf(nil, "s/3402000000132%07d", (n+i)%benchThings), value); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
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
