package broker

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// door stands before a server: while it is shut, who comes is turned away, and shutting it ends
// what goes through it.
type door struct {
	mu    sync.Mutex
	open  bool
	conns []net.Conn
}

func (d *door) set(open bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open = open; !open {
		for _, c := range d.conns {
			c.Close()
		}
		d.conns = nil
	}
}

// stand listens before server, and returns where.
func (d *door) stand(t *testing.T, server string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); d.set(false) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d.mu.Lock()
			behind, err := net.Dial("tcp", strings.TrimPrefix(server, "tcp://"))
			if err != nil || !d.open {
				c.Close()
				if err == nil {
					behind.Close()
				}
				d.mu.Unlock()
				continue
			}
			d.conns = append(d.conns, c, behind)
			d.mu.Unlock()
			go io.Copy(behind, c)
			go io.Copy(c, behind)
		}
	}()
	return "tcp://" + l.Addr().String()
}

func TestALinksBreakerOpensAtEachFailureAndClosesWithTheConnection(t *testing.T) {
	d, failures, moves := new(door), make(chan int, 100), make(chan bool, 100)
	url := d.stand(t, run(t, embedded(), Options{}).Addrs()[0])
	r := run(t, Config{Links: []Link{{Name: "up", URL: url}}}, Options{
		Journal: newMemoryJournal(),
		BackOff: func(n int) time.Duration {
			if n == 2 {
				d.set(true)
			}
			failures <- n
			if n == 3 {
				return time.Hour // for the test to look
			}
			return time.Millisecond
		},
		OnLink: func(_ string, up bool) { moves <- up },
	})
	for want := range 3 {
		if got := <-failures; got != want {
			t.Fatalf("back-off after %d failures, want %d", got, want)
		}
	}
	if up := <-moves; !up {
		t.Fatal("told down before it was up")
	}
	if s := r.Links()[0]; s.Breaker != LinkClosed || !s.RetryAt.IsZero() {
		t.Errorf("connected: %+v", s)
	}
	d.set(false)
	if up := <-moves; up {
		t.Fatal("told up once more")
	}
	if got := <-failures; got != 3 {
		t.Errorf("a connection that is lost at once: back-off after %d failures, want 3: it goes on with the row", got)
	}
	if s := r.Links()[0]; s.Breaker != LinkOpen || time.Until(s.RetryAt) < 50*time.Minute || s.Err == "" {
		t.Errorf("lost: %+v", s)
	}
	metrics, err := r.opts.Registerer.(prometheus.Gatherer).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range metrics {
		for _, m := range f.GetMetric() {
			if f.GetName() != "gb2mqtt_link_breaker_state" {
				continue
			}
			state := m.GetLabel()[1].GetValue()
			if got := m.GetGauge().GetValue() == 1; got != (state == LinkOpen) {
				t.Errorf("metric of state %s is %v", state, got)
			}
		}
	}
}
