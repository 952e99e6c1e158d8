package due

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatIsDueIsDoneInItsOrderAndWhenItIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			mu   sync.Mutex
			q    Queue[string]
			done []string
		)
		start := time.Now()
		put := func(e *Entry[string], after time.Duration) {
			e.At = start.Add(after)
			q.Put(e)
		}
		a, b, c, d := &Entry[string]{Value: "a"}, &Entry[string]{Value: "b"}, &Entry[string]{Value: "c"}, &Entry[string]{Value: "d"}
		put(a, 3*time.Second)
		put(b, time.Second)
		put(c, 2*time.Second)
		put(d, 4*time.Second)
		put(b, 5*time.Second) // later after all
		q.Remove(c)
		q.Remove(c)
		if c.Queued() || !a.Queued() || q.First() != a {
			t.Errorf("the first is %+v", q.First())
		}
		ctx, stop := context.WithCancel(t.Context())
		changed, ended := make(chan struct{}, 1), make(chan struct{})
		go func() {
			defer close(ended)
			Work(ctx, 1, func() (*Entry[string], time.Duration) {
				mu.Lock()
				defer mu.Unlock()
				return q.Take()
			}, changed, func(v string) {
				mu.Lock()
				defer mu.Unlock()
				done = append(done, v+time.Since(start).String())
			})
		}()
		time.Sleep(4500 * time.Millisecond)
		mu.Lock()
		put(c, 0)
		mu.Unlock()
		changed <- struct{}{}
		time.Sleep(time.Minute)
		stop()
		<-ended
		if want := []string{"a3s", "d4s", "c4.5s", "b5s"}; !slices.Equal(done, want) {
			t.Errorf("done %v, want %v", done, want)
		}
	})
}
