package leak

import (
	"context"
	"log/slog"
	"net"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// holder is a connection whose goroutine reads until it is closed.
type holder struct {
	label  string
	used   time.Time
	owned  atomic.Bool
	ours   net.Conn
	theirs net.Conn
	ended  chan struct{}
}

func hold(label string) *holder {
	h := &holder{label: label, used: time.Now(), ended: make(chan struct{})}
	h.owned.Store(true)
	h.ours, h.theirs = net.Pipe()
	go pprof.Do(context.Background(), pprof.Labels("conn", label), func(context.Context) {
		defer close(h.ended)
		h.ours.Read(make([]byte, 1))
	})
	return h
}

func (h *holder) resource() Resource {
	return Resource{Label: h.label, Used: h.used, Owned: h.owned.Load, Reclaim: func() { h.ours.Close() }}
}

func (h *holder) alive() bool {
	select {
	case <-h.ended:
		return false
	default:
		return true
	}
}

// labelled tells whether a goroutine of this process carries label.
func labelled(t *testing.T, label string) bool {
	t.Helper()
	var text strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&text, 1); err != nil {
		t.Fatal(err)
	}
	return strings.Contains(text.String(), label)
}

// A connection is leaked on purpose: its owner goes away and nobody closes it.
func TestLeakedConnectionIsFoundAndReclaimedAndOthersAreLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leaked, silent, busy := hold("leaked"), hold("silent"), hold("busy")
		s, err := NewSweeper(slog.New(slog.DiscardHandler), prometheus.NewRegistry(), func(each func(Resource)) {
			for _, h := range []*holder{leaked, silent, busy} {
				if h.alive() {
					each(h.resource())
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		want := func(when string, pending, orphaned, reclaimed float64) {
			t.Helper()
			synctest.Wait()
			for state, n := range map[State]float64{Pending: pending, Orphaned: orphaned} {
				if got := testutil.ToFloat64(s.states[state]); got != n {
					t.Errorf("%s: %v %v, want %v", when, got, state, n)
				}
			}
			if got := testutil.ToFloat64(s.reclaimed); got != reclaimed {
				t.Errorf("%s: %v reclaimed, want %v", when, got, reclaimed)
			}
		}
		leaked.owned.Store(false)
		busy.owned.Store(false)
		time.Sleep(5*time.Second + time.Millisecond)
		want("owner gone for 5 s", 2, 0, 0)
		busy.owned.Store(true) // it registered again
		time.Sleep(24 * time.Second)
		want("idle for 29 s", 1, 0, 0)
		time.Sleep(2 * time.Second)
		want("idle for 31 s", 0, 1, 0)
		if !leaked.alive() || !labelled(t, `"leaked"`) {
			t.Error("closed within its grace, or its goroutine can't be told by its label")
		}
		time.Sleep(10 * time.Second)
		want("after the grace", 0, 0, 1)
		if leaked.alive() || labelled(t, `"leaked"`) {
			t.Error("the leaked connection is still there")
		}
		time.Sleep(time.Hour)
		want("an hour later", 0, 0, 1)
		if !silent.alive() || !busy.alive() {
			t.Error("a connection that has an owner was closed for being silent")
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		silent.theirs.Close()
		busy.theirs.Close()
	})
}

func TestConnectionWhoseOwnerReturnsInTimeIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hold("h")
		s, err := NewSweeper(slog.New(slog.DiscardHandler), prometheus.NewRegistry(), func(each func(Resource)) { each(h.resource()) })
		if err != nil {
			t.Fatal(err)
		}
		at := h.used.Add(time.Minute)
		h.owned.Store(false)
		s.sweep(at, 1)
		h.owned.Store(true)
		s.sweep(at.Add(grace), 2)
		h.owned.Store(false)
		s.sweep(at.Add(grace+time.Second), 3)
		synctest.Wait()
		if !h.alive() || s.marks["h"].state != Orphaned {
			t.Errorf("alive %v, %v: the grace does not begin anew", h.alive(), s.marks["h"].state)
		}
		h.theirs.Close()
	})
}
