package faults

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestLateOnesArriveInTheOrderOfTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(10)
		ctx, end := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { q.run(ctx); close(done) }()
		began := time.Now()
		arrived := make(chan string, 10)
		for _, e := range []struct {
			after time.Duration
			name  string
		}{{3 * time.Second, "c"}, {time.Second, "a"}, {2 * time.Second, "b1"}, {2 * time.Second, "b2"}} {
			if !q.after(e.after, func() { arrived <- e.name + time.Since(began).String() }) {
				t.Fatalf("%s found no room", e.name)
			}
		}
		time.Sleep(2500 * time.Millisecond)
		q.after(100*time.Millisecond, func() { arrived <- "b3" + time.Since(began).String() })
		time.Sleep(time.Minute)
		end()
		<-done
		close(arrived)
		var got []string
		for name := range arrived {
			got = append(got, name)
		}
		if want := []string{"a1s", "b12s", "b22s", "b32.6s", "c3s"}; !slices.Equal(got, want) {
			t.Errorf("arrived %v, want %v", got, want)
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	q := newQueue(2)
	for i, want := range []bool{true, true, false} {
		if got := q.after(time.Hour, func() {}); got != want {
			t.Errorf("entry %d: %v, want %v", i, got, want)
		}
	}
}
