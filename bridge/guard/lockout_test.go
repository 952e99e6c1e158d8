package guard

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var start = time.Date(2026, 9, 23, 10, 0, 0, 0, time.UTC)

func newLockout(t *testing.T) *Lockout {
	t.Helper()
	l, err := NewLockout(Default().Lockout, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func address(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

func device(n int) (d [20]byte) {
	for i := len(d) - 1; i >= 0; i-- {
		d[i] = byte('0' + n%10)
		n /= 10
	}
	return d
}

func TestTheTenthWrongAnswerBansThePair(t *testing.T) {
	l := newLockout(t)
	for i := range 10 {
		if _, banned := l.Banned(address(1), device(1), start); banned {
			t.Fatalf("banned after %d wrong answers", i)
		}
		l.Failed(address(1), device(1), start)
	}
	after, banned := l.Banned(address(1), device(1), start.Add(time.Minute))
	if !banned || after != 4*time.Minute {
		t.Errorf("banned %v for %v, want 4m more", banned, after)
	}
	if _, banned := l.Banned(address(1), device(1), start.Add(5*time.Minute)); banned {
		t.Error("banned beyond the ban")
	}
}

func TestNobodyLocksACameraOutFromElsewhere(t *testing.T) {
	l := newLockout(t)
	for range 100 {
		l.Failed(address(1), device(1), start)
	}
	if _, banned := l.Banned(address(2), device(1), start); banned {
		t.Error("the camera is banned at its own address")
	}
}

func TestWrongAnswersOutsideTheWindowDoNotAddUp(t *testing.T) {
	l := newLockout(t)
	for i := range 30 {
		l.Failed(address(1), device(1), start.Add(time.Duration(i)*7*time.Second))
	}
	if _, banned := l.Banned(address(1), device(1), start.Add(210*time.Second)); banned {
		t.Error("banned with fewer than 10 wrong answers a minute")
	}
}

func TestARightAnswerWipesTheSlate(t *testing.T) {
	l := newLockout(t)
	for range 5 {
		for range 9 {
			l.Failed(address(1), device(1), start)
		}
		l.Succeeded(address(1), device(1))
	}
	for range 9 {
		l.Failed(address(1), device(1), start)
	}
	l.Banned(address(1), device(1), start.Add(2*time.Second))
	if after, banned := l.Banned(address(1), device(1), start.Add(2*time.Second)); banned {
		t.Errorf("banned for %v although it knew the password in between", after)
	}
}

func TestASourceThatFailsForManyIsSlowedNotBanned(t *testing.T) {
	l := newLockout(t)
	l.Failed(address(1), device(0), start)
	l.Succeeded(address(1), device(7777)) // shares the address, and has shown its password
	for i := range 60 {
		l.Failed(address(1), device(i), start)
	}
	after, slowed := l.Banned(address(1), device(500), start)
	if !slowed || after > slowedInterval {
		t.Fatalf("slowed %v for %v, want at most %v", slowed, after, slowedInterval)
	}
	if _, slowed := l.Banned(address(1), device(500), start.Add(slowedInterval)); slowed {
		t.Error("slowed for longer than the interval")
	}
	if _, slowed := l.Banned(address(2), device(500), start); slowed {
		t.Error("another source is slowed too")
	}
}

func TestMemoryOfTheLockoutIsBounded(t *testing.T) {
	l := newLockout(t)
	for range 10 {
		l.Failed(address(1), device(1), start)
	}
	for i := range 2 * maxPairs {
		l.Failed(address(2+i%(2*maxSources)), device(i), start)
	}
	if len(l.pairs) > maxPairs || len(l.sources) > maxSources {
		t.Errorf("%d pairs, %d sources", len(l.pairs), len(l.sources))
	}
	if _, banned := l.Banned(address(1), device(1), start); !banned {
		t.Error("a ban was forgotten for the sake of single failures")
	}
	l.Sweep(start.Add(time.Hour))
	if len(l.pairs) != 0 || len(l.sources) != 0 {
		t.Errorf("%d pairs, %d sources after all has ended", len(l.pairs), len(l.sources))
	}
}

func TestEveryMistakeInTheConfigurationIsNamed(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Fatal(err)
	}
	err := Config{}.Validate()
	for _, key := range []string{"sip.auth.lockout.failures: 0", "sip.auth.lockout.window: 0s", "sip.auth.lockout.ban: 0s"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%v does not name %s", err, key)
		}
	}
}
