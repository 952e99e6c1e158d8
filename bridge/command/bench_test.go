package command

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/guard"
	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
	"github.com/prometheus/client_golang/prometheus"
)

// fleetOf is a thousand devices behind one socket: what they are asked arrives there, and is
// answered with 200.
type fleetOf struct {
	conn net.PacketConn
	path sip.Path

	mu   sync.Mutex
	sent map[string]time.Time // by device
	took []time.Duration      // from the command to its arrival
}

// Peer has every device online behind the socket.
func (f *fleetOf) Peer(gb28181.ID) (Peer, bool) {
	return Peer{Path: f.path, HasPath: true, Online: true, Presence: "online"}, true
}

// Serve answers what nobody here sends.
func (f *fleetOf) Serve(*sip.Request) sip.Answer { return sip.Answer{Code: 200} }

// Closed is told of no connection: all is UDP.
func (f *fleetOf) Closed(sip.Path) {}

var (
	requestTo = regexp.MustCompile(`^MESSAGE sip:(\d{20})@`)
	repeated  = regexp.MustCompile(`(?m)^(?:Via|From|To|Call-ID|CSeq): .*\r\n`)
)

// run answers until the socket is closed.
func (f *fleetOf) run() {
	in := make([]byte, 4096)
	for {
		n, from, err := f.conn.ReadFrom(in)
		if err != nil {
			return
		}
		now := time.Now()
		to := requestTo.FindSubmatch(in[:n])
		if to == nil {
			continue
		}
		f.mu.Lock()
		if begun, ours := f.sent[string(to[1])]; ours {
			f.took = append(f.took, now.Sub(begun))
			delete(f.sent, string(to[1]))
		}
		f.mu.Unlock()
		head := bytes.Join(repeated.FindAll(in[:n], -1), nil)
		answer := append([]byte("SIP/2.0 200 OK\r\n"), head...)
		if _, err := f.conn.WriteTo(append(answer, "Content-Length: 0\r\n\r\n"...), from); err != nil {
			return
		}
	}
}

// BenchmarkCommandToDevice is the way of a command from the Engine to a device's socket: 1,000
// commands a second over 1,000 devices, SIP over loopback.
func BenchmarkCommandToDevice(b *testing.B) {
	const devices, every = 1000, time.Millisecond
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	f := &fleetOf{conn: conn, sent: make(map[string]time.Time)}
	cfg := sip.Default()
	cfg.Listen = []string{"udp://127.0.0.1:0"}
	log := slog.New(slog.DiscardHandler)
	endpoint, err := sip.New(cfg, f, log, prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	if err := endpoint.Listen(); err != nil {
		b.Fatal(err)
	}
	f.path = sip.Path{Network: sip.UDP, Local: endpoint.Addrs()[0].Addr, Remote: netip.MustParseAddrPort(conn.LocalAddr().String())}
	reg := prometheus.NewRegistry()
	breakers, err := guard.NewBreakers(guard.BreakerOptions{Registerer: reg})
	if err != nil {
		b.Fatal(err)
	}
	engine, err := New(Default(), Options{
		Sender: endpoint, Directory: f, Breakers: breakers, Heard: func(gb28181.ID) {}, Log: log, Registerer: reg,
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var rooms sync.WaitGroup
	rooms.Go(f.run)
	for _, run := range []func(context.Context) error{endpoint.Run, breakers.Run, engine.Run} {
		rooms.Go(func() {
			if err := run(ctx); err != nil {
				b.Error(err)
			}
		})
	}
	b.Cleanup(func() {
		stop()
		if err := conn.Close(); err != nil {
			b.Error(err)
		}
		rooms.Wait()
	})
	ids := make([]gb28181.ID, devices)
	for i := range ids {
		if ids[i], err = gb28181.ParseID(fmt.Sprintf("3402000000132%07d", i+1)); err != nil {
			b.Fatal(err)
		}
	}

	var answers sync.WaitGroup
	pace := time.NewTicker(every)
	defer pace.Stop()
	for i := 0; b.Loop(); i++ {
		<-pace.C
		id := ids[i%devices]
		f.mu.Lock()
		f.sent[id.String()] = time.Now()
		f.mu.Unlock()
		cmd, why := mapping.ParseCommand("preset", false, []byte(`{"action":"call","id":1}`))
		if why != nil {
			b.Fatal(why)
		}
		answers.Add(1)
		engine.Start(id, id.String(), cmd, func(_ Result, why *mapping.Error) {
			defer answers.Done()
			if why != nil {
				b.Errorf("%s: %v", id, why)
			}
		})
	}
	answers.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.took) == 0 {
		b.Fatal("nothing arrived")
	}
	slices.Sort(f.took)
	b.ReportMetric(float64(f.took[len(f.took)/2].Microseconds()), "µs/p50")
	b.ReportMetric(float64(f.took[len(f.took)*99/100].Microseconds()), "µs/p99")
}
