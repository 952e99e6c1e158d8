//go:build unix

package fleet

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// serverDevices tells a server in another process how many devices it knows.
const serverDevices = "FLEET_DEVICES"

func init() { servers["bare"], servers["fleet"] = serveBare, serveFleet }

// BenchmarkKeepaliveBesideBareResponder runs a responder that only copies headers into a 200
// (one datagram a call) and our endpoint with its fleet, each in a process of its own, under
// the same load in turns, of fleets that fit the caches of a processor and of those that do not.
// It reports the processor time of both servers for a keepalive, and ratio: ours by theirs.
func BenchmarkKeepaliveBesideBareResponder(b *testing.B) {
	for _, devices := range []int{10_000, 50_000} {
		b.Run(fmt.Sprint(devices), func(b *testing.B) { besideBareResponder(b, devices) })
	}
}

func besideBareResponder(b *testing.B, devices int) {
	bare, ours := startServer(b, "bare", devices), startServer(b, "fleet", devices)
	ours.load(b, devices, devices, 0) // heard for the first time since the restart
	var spent [2]time.Duration
	const turn = 20_000
	from := 0
	for b.Loop() {
		for i, s := range []*floorServer{bare, ours} {
			before := s.cpu(b)
			s.load(b, devices, turn, from)
			spent[i] += s.cpu(b) - before
		}
		from += turn
	}
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(b.N) / turn }
	b.ReportMetric(each(spent[0]), "bare-cpu-ns/keepalive")
	b.ReportMetric(each(spent[1]), "our-cpu-ns/keepalive")
	b.ReportMetric(float64(spent[1])/float64(spent[0]), "ratio")
}

// floorKeepalive is a keepalive of device n.
func floorKeepalive(n int) []byte {
	id := crowdID(n).String()
	body := strings.Replace(aliveBody, cam.String(), id, 1)
	return fmt.Appendf(nil, "MESSAGE sip:34020000002000000001@3402000000 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bK%d\r\n"+
		"From: <sip:%s@3402000000>;tag=%d\r\nTo: <sip:34020000002000000001@3402000000>\r\nCall-ID: %d@127.0.0.1\r\nCSeq: 1 MESSAGE\r\n"+
		"Max-Forwards: 70\r\nUser-Agent: floor\r\nContent-Type: Application/MANSCDP+xml\r\nContent-Length: %d\r\n\r\n%s", n, id, n, n, len(body), body)
}

// floorServer is a server in another process.
type floorServer struct {
	conn *net.UDPConn
	ask  io.Writer
	told *bufio.Reader
}

func startServer(b *testing.B, role string, devices int) *floorServer {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverRole+"="+role, fmt.Sprintf("%s=%d", serverDevices, devices))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	s := &floorServer{ask: in, told: bufio.NewReader(out)}
	b.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			b.Errorf("%s: %v", role, err)
		}
	})
	address, err := s.told.ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	to, err := net.ResolveUDPAddr("udp4", strings.TrimSpace(address))
	if err != nil {
		b.Fatal(err)
	}
	if s.conn, err = net.DialUDP("udp4", nil, to); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.conn.Close() })
	return s
}

// cpu asks how much processor time the server has used.
func (s *floorServer) cpu(b *testing.B) time.Duration {
	if _, err := io.WriteString(s.ask, "cpu\n"); err != nil {
		b.Fatal(err)
	}
	line, err := s.told.ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(n)
}

func (s *floorServer) read(b *testing.B, in []byte) []byte {
	if err := s.conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		b.Fatal(err)
	}
	n, err := s.conn.Read(in)
	if err != nil {
		b.Fatal(err)
	}
	return in[:n]
}

// load sends count keepalives of the devices from one on, 64 at a time, and reads the answers.
func (s *floorServer) load(b *testing.B, devices, count, from int) {
	const window = 64
	in := make([]byte, 2048)
	for done := 0; done < count; {
		n := min(window, count-done)
		for i := range n {
			if _, err := s.conn.Write(floorKeepalive((from + done + i) % devices)); err != nil {
				b.Fatal(err)
			}
		}
		for range n {
			if answer := s.read(b, in); !bytes.HasPrefix(answer, []byte("SIP/2.0 200 ")) {
				b.Fatalf("%s", answer)
			}
		}
		done += n
	}
}

// tellCPU prints the processor time used whenever it is asked, until nobody asks any more.
func tellCPU(address string) {
	fmt.Println(address)
	for ask := bufio.NewScanner(os.Stdin); ask.Scan(); {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			panic(err)
		}
		fmt.Println(u.Utime.Nano() + u.Stime.Nano())
	}
}

// serveFleet is our server: endpoint and fleet, with a Sink that drops what it is told.
func serveFleet() int {
	c := testConfig(time.Minute)
	f, err := New(c, Options{Sink: drop{}, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	if err != nil {
		panic(err)
	}
	devices, err := strconv.Atoi(os.Getenv(serverDevices))
	if err != nil {
		panic(err)
	}
	// They are heard from another port, as behind a NAT that moved.
	f.Restore(onlineRecords(devices, sip.Path{Network: sip.UDP, Remote: netip.MustParseAddrPort("127.0.0.1:9")}), time.Now())
	sc := sip.Default()
	sc.Listen = []string{"udp://127.0.0.1:0"}
	e, err := sip.New(sc, f, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		panic(err)
	}
	if err := e.Listen(); err != nil {
		panic(err)
	}
	go f.Run(context.Background())
	go e.Run(context.Background())
	tellCPU(e.Addrs()[0].Addr.String())
	return 0
}

type drop struct{}

func (drop) Registered(Registration, bool)                {}
func (drop) Unregistered(gb28181.ID, time.Time)           {}
func (drop) Rivals(gb28181.ID, sip.Path, sip.Path)        {}
func (drop) Presence(Change)                              {}
func (drop) Message(*Inbound)                             {}
func (drop) SubscriptionEnded(gb28181.ID, string, string) {}
func (drop) Save([]Record)                                {}

// serveBare is the floor: it copies what an answer must repeat, and knows nothing.
func serveBare() int {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		panic(err)
	}
	if err := conn.SetReadBuffer(8 << 20); err != nil {
		panic(err)
	}
	go func() {
		in, out := make([]byte, 65535), make([]byte, 0, 4096)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(in)
			if err != nil {
				panic(err)
			}
			if _, err := conn.WriteToUDPAddrPort(copyHeaders(out[:0], in[:n], from), from); err != nil {
				panic(err)
			}
		}
	}()
	tellCPU(conn.LocalAddr().String())
	return 0
}

func copyHeaders(out, in []byte, from netip.AddrPort) []byte {
	out = append(out, "SIP/2.0 200 OK\r\n"...)
	for _, rest, _ := bytes.Cut(in, []byte("\n")); ; {
		var line []byte
		if line, rest, _ = bytes.Cut(rest, []byte("\r\n")); len(line) == 0 {
			break
		}
		switch name, _, _ := bytes.Cut(line, []byte(":")); string(name) {
		case "Via":
			before, after, _ := bytes.Cut(line, []byte(";rport"))
			out = append(out, before...)
			out = append(out, ";rport="...)
			out = strconv.AppendUint(out, uint64(from.Port()), 10)
			out = append(out, ";received="...)
			out = from.Addr().AppendTo(out)
			out = append(append(out, after...), "\r\n"...)
		case "To":
			out = append(append(out, line...), ";tag=1\r\n"...)
		case "From", "Call-ID", "CSeq":
			out = append(append(out, line...), "\r\n"...)
		}
	}
	return append(out, "Content-Length: 0\r\n\r\n"...)
}
