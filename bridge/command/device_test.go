package command

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/guard"
	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	cam     = "34020000001320000001"
	channel = "34020000001310000001"
)

// sent is a request that reached the device.
type sent struct {
	body, target string
	sn           int
	at           time.Time
}

// device behaves like a camera: it answers the SIP request with code after rtt, and then
// says what reply makes of the request.
type device struct {
	t      *testing.T
	engine *Engine
	id     gb28181.ID
	stop   context.CancelFunc
	ended  chan error

	mu     sync.Mutex
	peer   Peer
	code   int
	err    error
	inSIP  string // body of the 200
	rtt    time.Duration
	reply  func(d *device, s sent) // in a goroutine of its own
	got    []sent
	flying int
	most   int // requests in flight at once
}

var snOf = regexp.MustCompile(`<SN>\s*(\d+)\s*</SN>`)

func (d *device) Request(ctx context.Context, _ sip.Path, o sip.Outgoing) (sip.Response, error) {
	s := sent{body: string(o.Body), target: o.User, at: time.Now()}
	if found := snOf.FindStringSubmatch(s.body); found != nil {
		fmt.Sscan(found[1], &s.sn)
	}
	d.mu.Lock()
	d.got = append(d.got, s)
	d.flying++
	d.most = max(d.most, d.flying)
	code, err, rtt, reply, inSIP := d.code, d.err, d.rtt, d.reply, d.inSIP
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.flying--
		d.mu.Unlock()
	}()
	select {
	case <-time.After(rtt):
	case <-ctx.Done():
		return sip.Response{}, ctx.Err()
	}
	if err != nil {
		return sip.Response{}, err
	}
	if reply != nil {
		go reply(d, s)
	}
	return sip.Response{Code: code, Reason: "Reason", Body: []byte(strings.ReplaceAll(inSIP, "SN?", fmt.Sprint(s.sn)))}, nil
}

func (d *device) Peer(id gb28181.ID) (Peer, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.peer, id == d.id
}

func (d *device) set(f func(d *device)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(d)
}

func (d *device) requests() []sent {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]sent(nil), d.got...)
}

// say delivers a body of the device.
func (d *device) say(body string) bool {
	m, err := gb28181.Decode([]byte(body))
	if err != nil {
		d.t.Errorf("decode %s: %v", body, err)
		return false
	}
	return d.engine.Deliver(d.id, m)
}

func response(cmdType string, sn int, rest string) string {
	return fmt.Sprintf("<Response><CmdType>%s</CmdType><SN>%d</SN><DeviceID>%s</DeviceID>%s</Response>", cmdType, sn, cam, rest)
}

func items(sum string, from, to int) string {
	var b strings.Builder
	b.WriteString(sum)
	fmt.Fprintf(&b, `<DeviceList Num="%d">`, to-from)
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "<Item><DeviceID>%020d</DeviceID><Name>n%d</Name></Item>", 34020000001310000000%1000000+i, i)
	}
	b.WriteString("</DeviceList>")
	return b.String()
}

// newDevice returns a camera that is online, and an Engine that runs for the test.
func newDevice(t *testing.T, cfg Config) *device {
	t.Helper()
	id, err := gb28181.ParseID(cam)
	if err != nil {
		t.Fatal(err)
	}
	d := &device{t: t, id: id, code: 200, rtt: 10 * time.Millisecond, peer: Peer{HasPath: true, Online: true, Presence: "online"}}
	reg := prometheus.NewRegistry()
	breakers, err := guard.NewBreakers(guard.BreakerOptions{Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	d.engine, err = New(cfg, Options{
		Sender: d, Directory: d, Breakers: breakers, Heard: func(gb28181.ID) {},
		Log: slog.New(slog.DiscardHandler), Registerer: reg,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	d.stop = stop
	d.ended = make(chan error, 1)
	guarded := make(chan error, 1)
	go func() { guarded <- breakers.Run(ctx) }()
	go func() { d.ended <- d.engine.Run(ctx); close(d.ended) }()
	t.Cleanup(func() {
		stop()
		<-d.ended
		<-guarded
	})
	return d
}

// do carries a command through, by its name and arguments.
func (d *device) do(target, name, args string) (Result, *mapping.Error) {
	return d.engine.Do(d.t.Context(), d.id, target, d.parse(target, name, args))
}

func (d *device) parse(target, name, args string) *mapping.Command {
	d.t.Helper()
	cmd, why := mapping.ParseCommand(name, target != cam, []byte(args))
	if why != nil {
		d.t.Errorf("%s %s: %v", name, args, why)
		return &mapping.Command{Name: name, Next: "none"}
	}
	return cmd
}

// story runs f in virtual time with a device of its own.
func story(t *testing.T, cfg Config, f func(t *testing.T, d *device)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newDevice(t, cfg)) })
}

func code(why *mapping.Error) int {
	if why == nil {
		return 200
	}
	return why.Code
}
