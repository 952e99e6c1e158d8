package sip

import (
	"strings"
	"sync"
	"testing"
	"time"
)

func TestRecentAnswersARepetitionOnce(t *testing.T) {
	r := NewRecent(RecentWindow, 1000)
	now := time.Now()
	if _, seen := r.Seen(7, now); seen {
		t.Fatal("a new key was seen before")
	}
	if code, seen := r.Seen(7, now); !seen || code != 0 {
		t.Errorf("got %d, %v; want 0, true while it is worked on", code, seen)
	}
	r.Done(7, 200)
	if code, seen := r.Seen(7, now.Add(31*time.Second)); !seen || code != 200 {
		t.Errorf("got %d, %v; want 200, true within the window", code, seen)
	}
	if _, seen := r.Seen(7, now.Add(33*time.Second)); seen {
		t.Error("remembered beyond the window")
	}
	r.Forget(7)
	if _, seen := r.Seen(7, now.Add(33*time.Second)); seen {
		t.Error("remembered though forgotten")
	}
}

func TestRecentForgetsTheOldestBeyondItsLimit(t *testing.T) {
	r := NewRecent(RecentWindow, 10*recentShards)
	now := time.Now()
	for i := range uint64(100 * recentShards) {
		r.Seen(i, now.Add(time.Duration(i)))
	}
	if n := r.Len(); n != 10*recentShards {
		t.Errorf("got %d entries, want %d", n, 10*recentShards)
	}
	if _, seen := r.Seen(100*recentShards-1, now.Add(time.Second)); !seen {
		t.Error("the newest is forgotten")
	}
	if _, seen := r.Seen(0, now.Add(time.Second)); seen {
		t.Error("the oldest is remembered")
	}
}

func TestRecentKeepsAForgottenKeysSuccessor(t *testing.T) {
	r := NewRecent(RecentWindow, 100*recentShards)
	now := time.Now()
	r.Seen(16, now)
	r.Forget(16)
	r.Seen(16, now.Add(20*time.Second))
	if _, seen := r.Seen(16, now.Add(40*time.Second)); !seen {
		t.Error("the place of the forgotten entry took the new one with it")
	}
}

func TestRecentTellsOneOfManyThatItIsFirst(t *testing.T) {
	r := NewRecent(RecentWindow, 1000)
	now := time.Now()
	var wg sync.WaitGroup
	first := make(chan int, 100)
	for i := range 100 {
		wg.Go(func() {
			if _, seen := r.Seen(1, now); !seen {
				first <- i
			}
		})
	}
	wg.Wait()
	if len(first) != 1 {
		t.Errorf("%d were first", len(first))
	}
}

func TestTransactionKeyIsOfTheRequestNotOfItsBranch(t *testing.T) {
	key := func(msg string) uint64 {
		var m inbound
		if f := m.datagram([]byte(msg), 1000); f != fine {
			t.Fatal(f)
		}
		return m.TransactionKey()
	}
	same := key(message("MESSAGE", "z9hG4bK1", "a", 1, ""))
	if key(message("MESSAGE", "z9hG4bK2", "a", 1, "")) != same {
		t.Error("a repetition with a new branch has another key")
	}
	for _, other := range []string{
		message("MESSAGE", "z9hG4bK1", "b", 1, ""), message("MESSAGE", "z9hG4bK1", "a", 2, ""), message("NOTIFY", "z9hG4bK1", "a", 1, ""),
		strings.Replace(message("MESSAGE", "z9hG4bK1", "a", 1, ""), "From: <sip:"+deviceID, "From: <sip:34020000001320000002", 1),
	} {
		if key(other) == same {
			t.Errorf("the same key for\n%s", other)
		}
	}
}
