package faults

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// run works a proxy before target until the test ends.
func run(t *testing.T, cfg Config) *Proxy {
	t.Helper()
	p, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- p.Run(ctx) }()
	t.Cleanup(func() {
		end()
		if err := <-over; err != nil {
			t.Errorf("the proxy ended with %v", err)
		}
	})
	return p
}

func set(t *testing.T, p *Proxy, f Faults) {
	t.Helper()
	if err := p.Set(f); err != nil {
		t.Fatal(err)
	}
}

// mirror sends every datagram back, with the address it came from before it.
func mirror(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 65535)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(fmt.Appendf(nil, "%s %s", from, buf[:n]), from)
		}
	}()
	t.Cleanup(func() { _ = c.Close(); <-done })
	return c.LocalAddr().String()
}

// dial opens a socket or connection towards a proxy.
func dial(t *testing.T, network string, p *Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial(network, p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

// next reads what comes next: where from, as the platform saw it, and the text.
func next(t *testing.T, c net.Conn) (from, text string) {
	t.Helper()
	buf := make([]byte, 65535)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	before, after, _ := bytes.Cut(buf[:n], []byte(" "))
	return string(before), string(after)
}

// until waits for a count, which the proxy's goroutines keep.
func until(t *testing.T, p *Proxy, what string, is func(Counts) bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(p.Counts()); time.Sleep(time.Millisecond) { // between two looks
		if time.Now().After(deadline) {
			t.Fatalf("never %s: %+v", what, p.Counts())
		}
	}
}

func TestEveryClientHasItsOwnAddressBeforeThePlatform(t *testing.T) {
	p := run(t, Config{Network: "udp", Target: mirror(t), Clients: 2})
	one, other, third := dial(t, "udp", p), dial(t, "udp", p), dial(t, "udp", p)
	send(t, one, "a")
	first, text := next(t, one)
	if text != "a" {
		t.Errorf("got %q back, want a", text)
	}
	send(t, other, "b")
	second, text := next(t, other)
	if text != "b" || second == first || second == other.LocalAddr().String() {
		t.Errorf("got %q back, sent from %s; the other one's was %s", text, second, first)
	}
	send(t, third, "c")
	until(t, p, "refused", func(c Counts) bool { return c.Refused == 1 })
	send(t, one, "d")
	if again, text := next(t, one); again != first || text != "d" {
		t.Errorf("got %q, sent from %s; want d from %s", text, again, first)
	}
}

func TestWhatIsLostDoesNotArriveAndFaultsChangeAtRunTime(t *testing.T) {
	p := run(t, Config{Network: "udp", Target: mirror(t)})
	c := dial(t, "udp", p)
	for _, f := range []struct {
		faults Faults
		count  func(Counts) uint64
	}{{Faults{Loss: 1}, func(c Counts) uint64 { return c.Lost }}, {Faults{Cut: true}, func(c Counts) uint64 { return c.Cut }}} {
		set(t, p, f.faults)
		send(t, c, "lost")
		until(t, p, "lost", func(c Counts) bool { return f.count(c) == 1 })
		set(t, p, Faults{})
		send(t, c, "kept")
		if _, text := next(t, c); text != "kept" {
			t.Errorf("%+v: %q arrived", f.faults, text)
		}
	}
	if err := p.Set(Faults{Loss: 7}); err == nil {
		t.Error("a loss of 7 was taken")
	}
}

func TestDatagramsAreRepeatedDelayedAndOvertaken(t *testing.T) {
	p := run(t, Config{Network: "udp", Target: mirror(t)})
	c := dial(t, "udp", p)
	set(t, p, Faults{Duplicate: 1})
	send(t, c, "twice")
	for range 4 { // each way
		if _, text := next(t, c); text != "twice" {
			t.Errorf("got %q", text)
		}
	}
	set(t, p, Faults{Delay: 30 * time.Millisecond})
	began := time.Now()
	send(t, c, "late")
	if _, text := next(t, c); text != "late" || time.Since(began) < 60*time.Millisecond {
		t.Errorf("got %q after %v, want it after 60ms or more", text, time.Since(began))
	}
	set(t, p, Faults{Reorder: 1})
	send(t, c, "first")
	until(t, p, "held back", func(c Counts) bool { return c.Reordered == 1 })
	set(t, p, Faults{})
	send(t, c, "second")
	_, one := next(t, c)
	if _, two := next(t, c); one != "second" || two != "first" {
		t.Errorf("came %s, %s; want the first overtaken", one, two)
	}
}

func TestQueueThatIsFullLosesAndCounts(t *testing.T) {
	p := run(t, Config{Network: "udp", Target: mirror(t), Queue: 1})
	c := dial(t, "udp", p)
	set(t, p, Faults{Delay: time.Minute})
	send(t, c, "waits")
	send(t, c, "finds no room")
	until(t, p, "overflowed", func(c Counts) bool { return c.Overflowed == 1 })
}

// echo sends every stream back.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(c, c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}

func TestStreamKeepsItsBytesAndTheirOrder(t *testing.T) {
	p := run(t, Config{Network: "tcp", Target: echo(t), Seed: 5})
	c := dial(t, "tcp", p)
	set(t, p, Faults{Jitter: 2 * time.Millisecond, Duplicate: 1, Reorder: 1})
	want := make([]byte, 300<<10)
	for i := range want {
		want[i] = byte(i * i >> 8)
	}
	go func() {
		_, _ = c.Write(want) // what is missing shows at the reader
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d came back, %v", len(got), len(want), err)
	}
	if n := p.Counts(); n.Duplicated+n.Reordered > 0 {
		t.Errorf("%+v: nothing is repeated or reordered within a stream", n)
	}
}

func TestLostPieceOfAStreamComesLateAndACutHoldsItUp(t *testing.T) {
	p := run(t, Config{Network: "tcp", Target: echo(t)})
	c := dial(t, "tcp", p)
	set(t, p, Faults{Loss: 1})
	began := time.Now()
	send(t, c, "x")
	got := make([]byte, 1)
	if _, err := io.ReadFull(c, got); err != nil || time.Since(began) < 2*retransmit {
		t.Errorf("%q, %v after %v; want it after %v or more", got, err, time.Since(began), 2*retransmit)
	}
	until(t, p, "passed both ways", func(c Counts) bool { return c.Passed == 2 })
	set(t, p, Faults{Cut: true})
	send(t, c, "y")
	other := dial(t, "tcp", p)
	send(t, other, "z")
	if n := p.Counts().Passed; n != 2 {
		t.Errorf("%d pieces passed, want those before the cut alone", n)
	}
	set(t, p, Faults{})
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "y" {
		t.Errorf("%q, %v after the cut, want what was sent in it", got, err)
	}
	_ = c.Close() // the mirror has one at a time
	if _, err := io.ReadFull(other, got); err != nil || string(got) != "z" {
		t.Errorf("%q, %v on the connection made in the cut", got, err)
	}
}

func TestConnectionEndsWhereNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	p := run(t, Config{Network: "tcp", Target: l.Addr().String()})
	if _, err := dial(t, "tcp", p).Read(make([]byte, 1)); err == nil {
		t.Error("read something from nobody")
	}
}

func TestListenNamesWhatIsWrong(t *testing.T) {
	for _, cfg := range []Config{{Network: "sctp", Target: "127.0.0.1:1"}, {Network: "udp", Target: "nowhere"}, {Network: "tcp", Listen: "x", Target: "127.0.0.1:1"}} {
		if p, err := Listen(cfg); err == nil {
			t.Errorf("%+v: listens on %s", cfg, p.Addr())
		}
	}
}
