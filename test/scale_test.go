//go:build linux

package test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// scaleDevices is how many devices BenchmarkScale registers: 1000000 for the real thing.
const scaleDevices = "GB2MQTT_SCALE"

// The smallest fleet, and how long keepalives are sent for.
const (
	leastScale = 1000
	scalePhase = 5 * time.Second
	scaleK     = 60 * time.Second
)

// BenchmarkScale is what a fleet costs the built program: resident memory of a device beyond an
// empty bridge, processor time of its keepalives at 60 s, the time from a start after a kill
// until it is ready and knows all of them, and how fast a subscriber gets all that is retained.
func BenchmarkScale(b *testing.B) {
	n := leastScale
	if given := os.Getenv(scaleDevices); given != "" {
		var err error
		if n, err = strconv.Atoi(given); err != nil || n < 1 {
			b.Fatalf("%s is %q; give a number of devices", scaleDevices, given)
		}
	}
	folder := b.TempDir()
	// Nothing is asked of the devices, which answer nothing; those that registered first must
	// not be overdue before the last has.
	c := baseConfig().with("devices.on_register", []string{}).with("sip.keepalive.interval", "1h").with("log.level", "warn").
		with("devices.subscribe", config{"catalog": "0s", "alarm": "0s", "position": "0s"})
	p := startIn(b, folder, c)
	empty := p.memory("VmRSS")
	crowd := newCrowd(b, p, n)
	crowd.register(b)
	p.awaitShadows(n)
	b.ReportMetric((p.memory("VmRSS")-empty)*(1<<20)/float64(n), "B/device")
	b.ReportMetric(p.memory("VmHWM"), "MiB-peak")
	b.ReportMetric(crowd.keepalive(b, p), "cores/keepalives-at-60s")
	p.kill()

	begun := time.Now()
	p = startIn(b, folder, c)
	m := connect(b, p.mqtt, "gb28181/bridge/info")
	counts := m.wait(0, "the fleet", on("gb28181/bridge/info")).json(b)["devices"]
	b.ReportMetric(time.Since(begun).Seconds(), "s-ready-after-kill")
	if known := at(counts, "unknown"); known != float64(n) {
		b.Errorf("%v of %d devices are known after a kill", counts, n)
	}
	for range 100 {
		id := crowd.id(rand.N(n))
		if word := at(m.shadow(id, ""), "state.reported.presence"); word != "unknown" {
			b.Fatalf("the shadow of %s says %v after a kill, want unknown", id, word)
		}
	}
	b.ReportMetric((p.memory("VmRSS")-empty)*(1<<20)/float64(n), "B/device-after-kill")
	begun = time.Now()
	for _, leaf := range []string{"presence", "state"} {
		countRetained(b, p.mqtt, "gb28181/+/"+leaf, n)
	}
	b.ReportMetric(float64(2*n)/time.Since(begun).Seconds(), "retained/s")
	b.ReportMetric((p.memory("VmRSS")-empty)*(1<<20)/float64(n), "B/device-after-reading")
	b.ReportMetric(0, "ns/op")
}

// countRetained subscribes and returns when n different retained messages have come.
func countRetained(b *testing.B, url, filter string, n int) {
	b.Helper()
	came, all := atomic.Int64{}, make(chan struct{})
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetClientID("scale").SetAutoReconnect(false).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
			if m.Retained() && came.Add(1) == int64(n) {
				close(all)
			}
		}))
	if token := c.Connect(); token.Wait() && token.Error() != nil {
		b.Fatal(token.Error())
	}
	defer c.Disconnect(0)
	if token := c.Subscribe(filter, 0, nil); token.Wait() && token.Error() != nil {
		b.Fatal(token.Error())
	}
	select {
	case <-all:
	case <-time.After(10 * time.Minute):
		b.Fatalf("%d of %d retained messages came under %s", came.Load(), n, filter)
	}
}

// awaitShadows returns once nothing waits for the store and n shadows have been written.
func (p *program) awaitShadows(n int) {
	p.t.Helper()
	for begun := time.Now(); p.metric("gb2mqtt_shadow_queue") > 0 || p.metric(`gb2mqtt_shadow_reports_total{result="written"}`) < float64(n); {
		if time.Since(begun) > 15*time.Minute {
			p.t.Fatalf("the shadows of %d devices are not written", n)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// metric is one value of /metrics; 0 where it is not there yet.
func (p *program) metric(name string) float64 {
	p.t.Helper()
	resp, err := http.Get(p.http + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			value, err := strconv.ParseFloat(rest, 64)
			if err != nil {
				p.t.Fatal(err)
			}
			return value
		}
	}
	return 0
}

// cpu is the processor time that the program has used.
func (p *program) cpu() time.Duration {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	ticks := 0
	for _, field := range fields[11:13] { // utime and stime, a hundred to the second [proc_pid_stat(5)]
		n, err := strconv.Atoi(field)
		if err != nil {
			p.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// crowd is very many devices that register and send keepalives, and do nothing else: the
// simulated camera is too much for a million.
type crowd struct {
	n    int
	conn *net.UDPConn
}

func newCrowd(b *testing.B, p *program, n int) *crowd {
	b.Helper()
	to, err := net.ResolveUDPAddr("udp4", strings.TrimPrefix(p.udp, "udp://"))
	if err != nil {
		b.Fatal(err)
	}
	conn, err := net.DialUDP("udp4", nil, to)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return &crowd{n: n, conn: conn}
}

func (c *crowd) id(n int) string { return fmt.Sprintf("3402000000132%07d", n) }

const crowdWindow = 64 // requests under way

// request is one of device n, whose number begins its Call-ID.
func (c *crowd) request(n, cseq int, method, extra, body string) []byte {
	id := c.id(n)
	return fmt.Appendf(nil, "%s sip:%s@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;rport;branch=z9hG4bK%d-%d\r\nFrom: <sip:%s@%s>;tag=%d\r\nTo: <sip:%s@%s>\r\n"+
		"Call-ID: %d-crowd\r\nCSeq: %d %s\r\nMax-Forwards: 70\r\n%sContent-Length: %d\r\n\r\n%s",
		method, serverID, domain, c.conn.LocalAddr(), cseq, n, id, domain, n, id, domain, n, cseq, method, extra, len(body), body)
}

// exchange sends one request of each device from one on, and hands each answer to got with its
// device. A request that is lost, or that got does not take the answer of, is sent again.
func (c *crowd) exchange(b *testing.B, from, count int, request func(n int) []byte, got func(n int, answer string) bool) {
	b.Helper()
	in := make([]byte, 4096)
	missing := make(map[int]bool, count)
	for n := from; n < from+count; n++ {
		missing[n] = true
	}
	for try := 0; len(missing) > 0; try++ {
		if try == 60 {
			b.Fatalf("%d requests were not answered", len(missing))
		}
		for n := range missing {
			if _, err := c.conn.Write(request(n)); err != nil {
				b.Fatal(err)
			}
		}
		if err := c.conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			b.Fatal(err)
		}
		for len(missing) > 0 {
			size, err := c.conn.Read(in)
			if err != nil {
				break
			}
			answer := string(in[:size])
			_, call, _ := strings.Cut(answer, "Call-ID: ")
			number, _, _ := strings.Cut(call, "-")
			if n, err := strconv.Atoi(number); err == nil && missing[n] && got(n, answer) {
				delete(missing, n)
			}
		}
	}
}

// register registers every device by digest [GB28181-2022 9.1].
func (c *crowd) register(b *testing.B) {
	b.Helper()
	challenges := make(map[int]string, crowdWindow)
	register := func(n, cseq int, authorization string) []byte {
		contact := fmt.Sprintf("Contact: <sip:%s@%s>\r\nExpires: 86400\r\n", c.id(n), c.conn.LocalAddr())
		return c.request(n, cseq, "REGISTER", contact+authorization, "")
	}
	for from := 0; from < c.n; from += crowdWindow {
		count := min(crowdWindow, c.n-from)
		c.exchange(b, from, count, func(n int) []byte { return register(n, 1, "") }, func(n int, answer string) bool {
			_, challenge, _ := strings.Cut(answer, "WWW-Authenticate: ")
			challenges[n], _, _ = strings.Cut(challenge, "\r\n")
			return true
		})
		c.exchange(b, from, count, func(n int) []byte {
			return register(n, 2, "Authorization: "+digest(c.id(n), sipPassword, challenges[n])+"\r\n")
		}, func(n int, answer string) bool {
			if strings.HasPrefix(answer, "SIP/2.0 503") {
				return false // too many at once: it comes again
			}
			if !strings.HasPrefix(answer, "SIP/2.0 200") {
				b.Fatalf("device %d is not registered: %s", n, answer)
			}
			return true
		})
		clear(challenges)
	}
}

// keepalive has devices send keepalives as a fleet with an interval of 60 s does, and returns
// how much of a processor that takes the program.
func (c *crowd) keepalive(b *testing.B, p *program) float64 {
	b.Helper()
	total := max(leastScale, int(float64(c.n)*scalePhase.Seconds()/scaleK.Seconds()))
	begun, used := time.Now(), p.cpu()
	for sent := 0; sent < total; sent += crowdWindow {
		time.Sleep(time.Until(begun.Add(scalePhase * time.Duration(sent) / time.Duration(total))))
		from := sent % c.n
		c.exchange(b, from, min(crowdWindow, c.n-from), func(n int) []byte {
			return c.request(n, 3+sent, "MESSAGE", "Content-Type: Application/MANSCDP+xml\r\n", fmt.Sprintf(
				"<?xml version=\"1.0\"?>\r\n<Notify>\r\n<CmdType>Keepalive</CmdType>\r\n<SN>%d</SN>\r\n<DeviceID>%s</DeviceID>\r\n<Status>OK</Status>\r\n</Notify>\r\n", sent, c.id(n)))
		}, func(n int, answer string) bool {
			if !strings.HasPrefix(answer, "SIP/2.0 200") {
				b.Fatalf("keepalive of device %d: %s", n, answer)
			}
			return true
		})
	}
	return (p.cpu() - used).Seconds() / float64(total) * float64(c.n) / scaleK.Seconds()
}
