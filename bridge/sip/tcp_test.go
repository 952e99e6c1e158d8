package sip

import (
	"net"
	"runtime/pprof"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// pipe is a connection in virtual time: the device's end, and when ours has ended.
func pipe(t *testing.T) (device net.Conn, ended <-chan time.Duration) {
	t.Helper()
	h := handler(ok200)
	e, err := New(testConfig(), h, silence(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ours, device := net.Pipe()
	c := &tcpConn{e: e, conn: ours, path: Path{Network: TCP, Conn: 1}, done: make(chan struct{})}
	e.conns[1] = c
	start := time.Now()
	end := make(chan time.Duration, 1)
	go func() {
		c.run()
		end <- time.Since(start)
	}()
	return device, end
}

func TestHalfMessageClosesItsConnection(t *testing.T) {
	msg := keepalive("z9hG4bK1")
	for _, c := range []struct {
		name  string
		first string
		drip  bool // a byte every second
		want  time.Duration
	}{
		{"nothing ever sent", "", false, 30 * time.Second},
		{"keep-alive bytes alone", "\r\n", false, 30 * time.Second},
		{"half a head", msg[:50], false, 30 * time.Second},
		{"half a body", msg[:len(msg)-10], false, 30 * time.Second},
		{"a byte every second", msg[:10], true, 30 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				device, ended := pipe(t)
				defer device.Close()
				if _, err := device.Write([]byte(c.first)); err != nil {
					t.Fatal(err)
				}
				for i := 0; c.drip; i++ {
					if _, err := device.Write([]byte(msg[10+i : 11+i])); err != nil {
						break
					}
					time.Sleep(time.Second)
				}
				if took := <-ended; took != c.want {
					t.Errorf("closed after %v, want %v", took, c.want)
				}
			})
		})
	}
}

func TestSilenceBetweenMessagesIsAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, ended := pipe(t)
		in := make([]byte, 4096)
		for range 3 {
			if _, err := device.Write([]byte(keepalive("z9hG4bK1"))); err != nil {
				t.Fatal(err)
			}
			n, err := device.Read(in)
			if err != nil || !strings.HasPrefix(string(in[:n]), "SIP/2.0 200") {
				t.Fatalf("got %q, %v", in[:n], err)
			}
			time.Sleep(time.Hour)
		}
		device.Close()
		if took := <-ended; took != 3*time.Hour {
			t.Errorf("closed after %v, want 3h", took)
		}
	})
}

func TestPeerThatDoesNotReadLosesItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, ended := pipe(t)
		defer device.Close()
		if _, err := device.Write([]byte(keepalive("z9hG4bK1"))); err != nil {
			t.Fatal(err)
		}
		if took := <-ended; took != writeLimit {
			t.Errorf("closed after %v, want %v", took, writeLimit)
		}
	})
}

func TestGoroutineOfAConnectionIsToldByItsLabel(t *testing.T) {
	e := serve(t, testConfig(), handler(ok200))
	p := dial(t, e, TCP)
	p.send(keepalive("z9hG4bK1"))
	p.recv()
	var found []Connection
	e.Connections(func(c Connection) { found = append(found, c) })
	if len(found) != 1 || found[0].Path.Remote.String() != p.conn.LocalAddr().String() {
		t.Fatalf("connections %+v", found)
	}
	labelled := func() bool {
		var text strings.Builder
		if err := pprof.Lookup("goroutine").WriteTo(&text, 1); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(text.String(), found[0].Name)
	}
	if !labelled() {
		t.Errorf("no goroutine is labelled %q", found[0].Name)
	}
	found[0].Close()
	if _, err := p.next(5 * time.Second); err == nil {
		t.Error("closed, and still it speaks")
	}
}
