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

func init() { servers["bare"], servers["fleet"] = serveBare, serveFleet }

// BenchmarkKeepaliveBesideBareResponder runs a responder that only copies headers into a 200
// (one datagram a call) and our endpoint with its fleet, each in a process of its own, under
// the same load in turns. It reports the processor time of both servers for a keepalive, and
// ratio: ours by theirs.
func BenchmarkKeepaliveBesideBareResponder(b *testing.B) {
	bare, ours := startServer(b, "bare"), startServer(b, "fleet")
	const devices = 10_000
	for n := range devices {
		ours.exchange(b, floorMessage(n, "REGISTER", ""))
	}
	var spent [2]time.Duration
	for b.Loop() {
		for i, s := range []*floorServer{bare, ours} {
			before := s.cpu(b)
			s.load(b, devices, 20_000)
			spent[i] += s.cpu(b) - before
		}
	}
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(b.N) / 20_000 }
	b.ReportMetric(each(spent[0]), "bare-cpu-ns/keepalive")
	b.ReportMetric(each(spent[1]), "our-cpu-ns/keepalive")
	b.ReportMetric(float64(spent[1])/float64(spent[0]), "ratio")
}

// floorMessage is a request of device n.
func floorMessage(n int, method, authorization string) []byte {
	id := fmt.Sprintf("3402000000132%07d", n)
	body, extra := "", "Contact: <sip:"+id+"@127.0.0.1:5060>\r\nExpires: 3600\r\n"
	if method == "MESSAGE" {
		extra = "Content-Type: Application/MANSCDP+xml\r\n"
		body = strings.Replace(aliveBody, cam.String(), id, 1)
	}
	if authorization != "" {
		extra += "Authorization: " + authorization + "\r\n"
	}
	return fmt.Appendf(nil, "%s sip:34020000002000000001@3402000000 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bK%d\r\n"+
		"From: <sip:%s@3402000000>;tag=%d\r\nTo: <sip:34020000002000000001@3402000000>\r\nCall-ID: %d@127.0.0.1\r\nCSeq: 1 %s\r\n"+
		"Max-Forwards: 70\r\nUser-Agent: floor\r\n%sContent-Length: %d\r\n\r\n%s", method, n, id, n, n, method, extra, len(body), body)
}

// floorServer is a server in another process.
type floorServer struct {
	conn *net.UDPConn
	ask  io.Writer
	told *bufio.Reader
}

func startServer(b *testing.B, role string) *floorServer {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverRole+"="+role)
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

// exchange registers a device: REGISTER, 401, REGISTER with a digest, 200.
func (s *floorServer) exchange(b *testing.B, first []byte) {
	n := bytes.Index(first, []byte("branch=z9hG4bK"))
	device, _, _ := bytes.Cut(first[n+len("branch=z9hG4bK"):], []byte("\r\n"))
	number, err := strconv.Atoi(string(device))
	if err != nil {
		b.Fatal(err)
	}
	_, nonce, _ := strings.Cut(s.roundTrip(b, first), `nonce="`)
	nonce, _, _ = strings.Cut(nonce, `"`)
	id := mustID(fmt.Sprintf("3402000000132%07d", number))
	if answer := s.roundTrip(b, floorMessage(number, "REGISTER", credentials(id, password, nonce))); !strings.HasPrefix(answer, "SIP/2.0 200 ") {
		b.Fatalf("device %d: %s", number, answer)
	}
}

func (s *floorServer) roundTrip(b *testing.B, m []byte) string {
	if _, err := s.conn.Write(m); err != nil {
		b.Fatal(err)
	}
	return string(s.read(b, make([]byte, 2048)))
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

// load sends count keepalives, 64 at a time, and reads the answers.
func (s *floorServer) load(b *testing.B, devices, count int) {
	const window = 64
	in := make([]byte, 2048)
	for done := 0; done < count; {
		n := min(window, count-done)
		for i := range n {
			if _, err := s.conn.Write(floorMessage((done+i)%devices, "MESSAGE", "")); err != nil {
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
