package sip

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// A burst is answered to the last datagram, each answer to its own request, whatever the
// family of the peer's address.
func TestEachDatagramOfABurstIsAnswered(t *testing.T) {
	for _, c := range []struct{ listen, dial string }{
		{"udp://127.0.0.1:0", "127.0.0.1"},
		{"udp://:0", "127.0.0.1"},
		{"udp://:0", "::1"},
	} {
		t.Run(c.listen+" from "+c.dial, func(t *testing.T) {
			cfg := testConfig()
			cfg.Listen = []string{c.listen}
			e := serve(t, cfg, handler(ok200))
			conn, err := net.Dial("udp", net.JoinHostPort(c.dial, fmt.Sprint(addr(t, e, UDP).Port())))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			const burst = 100
			for i := range burst {
				if _, err := conn.Write([]byte(keepalive(fmt.Sprintf("z9hG4bK%d", i)))); err != nil {
					t.Fatal(err)
				}
			}
			p := &peer{t: t, conn: conn}
			for i := range burst {
				if s := p.recv(); status(t, s) != 200 || !strings.Contains(s, fmt.Sprintf("branch=z9hG4bK%d;", i)) {
					t.Fatalf("answer %d:\n%s", i, s)
				}
			}
		})
	}
}

// What the system refuses costs its own answer, not those behind it in the batch.
func TestAnswerThatCannotBeSentHoldsUpNoOther(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	to := conn.LocalAddr().String()
	p, err := newPackets(conn)
	if err != nil {
		t.Fatal(err)
	}
	peers := make([]net.Conn, 2)
	for i := range peers {
		if peers[i], err = net.Dial("udp4", to); err != nil {
			t.Fatal(err)
		}
		defer peers[i].Close()
		if _, err := peers[i].Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	b := newBatch(p)
	lost := 0
	for taken := 0; taken < len(peers); {
		n, err := b.read()
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			answer := []byte("well")
			if taken == 0 {
				answer = make([]byte, 70_000) // no datagram is so long
			}
			taken++
			b.answer(i, answer)
		}
		lost += b.flush()
	}
	if lost != 1 {
		t.Errorf("%d answers lost, want 1", lost)
	}
	in := make([]byte, 10)
	if err := peers[1].SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := peers[1].Read(in); err != nil || string(in[:n]) != "well" {
		t.Errorf("got %q, %v", in[:n], err)
	}

	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := b.read(); err != nil {
				ended <- err
				return
			}
		}
	}()
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("after close read returned %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("close does not end the reader")
	}
}
