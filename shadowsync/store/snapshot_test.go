package store

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
)

// Reads while commits are under way: each sees whole commits, and every one that was told.
func TestReaderSeesWholeCommitsAndAllThatWereTold(t *testing.T) {
	s := open(t, t.TempDir())
	names := []string{"a", "b", "c"}
	told := 0 // the last commit that was told
	var mu sync.Mutex
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				mu.Lock()
				least := told
				mu.Unlock()
				var seen []int
				err := s.Scan(Prefix(KindDocument), func(_, value []byte) bool {
					n, _ := strconv.Atoi(string(value))
					seen = append(seen, n)
					return true
				})
				if err != nil {
					t.Errorf("scan: %v", err)
					return
				}
				for _, n := range seen {
					if n != seen[0] || n < least {
						t.Errorf("saw %v after %d was told, want one commit and none before that", seen, least)
						return
					}
				}
			}
		})
	}
	for i := 1; i <= 500; i++ {
		b := new(Batch)
		for _, name := range names {
			b.Set(Key(KindDocument, name), fmt.Append(nil, i))
		}
		if err := s.Commit(context.Background(), b); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		told = i
		mu.Unlock()
	}
	close(stop)
	readers.Wait()
}

func TestWhatAReaderSeesIsNotDiscarded(t *testing.T) {
	h := &handle{durable: 5, readers: make(map[uint64]int)}
	first, again := h.begin(), h.begin()
	h.advance()
	later := h.begin()
	h.end(first)
	if oldest := h.advance(); oldest != 5 {
		t.Errorf("up to commit %d may be discarded while one reads at 5", oldest)
	}
	h.end(again)
	if oldest := h.advance(); oldest != later {
		t.Errorf("up to commit %d may be discarded while the oldest reads at %d", oldest, later)
	}
	h.end(later)
	if oldest := h.advance(); oldest != 9 || len(h.readers) != 0 {
		t.Errorf("up to commit %d of 9 may be discarded, with %v reading, while nobody is", oldest, h.readers)
	}
}
