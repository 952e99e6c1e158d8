package fleet

import (
	"context"
	"crypto/md5"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gb2mqtt/gb2mqtt/bridge/quirk"
	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

const password = "12345678"

var cam = mustID("34020000001320000001")

func mustID(s string) gb28181.ID {
	id, err := gb28181.ParseID(s)
	if err != nil {
		panic(err)
	}
	return id
}

func udp(remote string) sip.Path {
	return sip.Path{Network: sip.UDP, Remote: netip.MustParseAddrPort(remote), Local: netip.MustParseAddrPort("10.0.0.1:5060")}
}

func tcp(remote string, conn uint64) sip.Path {
	p := udp(remote)
	p.Network, p.Conn = sip.TCP, conn
	return p
}

var home = udp("192.168.1.64:5060")

// notes is a Sink that writes down what it is told.
type notes struct {
	f  *Fleet
	mu sync.Mutex
	// what is noted since the last take
	lines   []string
	last    Change
	inbound []*Inbound
	saved   map[gb28181.ID]Record
}

func (n *notes) note(format string, args ...any) {
	n.f.Device(cam) // a Sink may call back
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}
func (n *notes) Registered(r Registration, fresh bool)    { n.note("registered %d %v", r.Expires, fresh) }
func (n *notes) Unregistered(id gb28181.ID, at time.Time) { n.note("unregistered") }
func (n *notes) Rivals(id gb28181.ID, one, other sip.Path) {
	n.note("rivals %v %v", one.Remote, other.Remote)
}
func (n *notes) SubscriptionEnded(id gb28181.ID, callID, reason string) {
	n.note("subscription %s ended %s", callID, reason)
}
func (n *notes) Presence(c Change) {
	n.note("%v>%v %s", c.Previous, c.Presence, c.Reason)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last = c
}
func (n *notes) Message(in *Inbound) {
	n.note("%s %s %d", in.Message.Root, in.Message.CmdType, in.Message.SN)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.inbound = append(n.inbound, in)
}
func (n *notes) Save(records []Record) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range records {
		n.saved[r.Device] = r
	}
}

// take returns what was noted since the last call, once all is told.
func (n *notes) take() string {
	if n.f.tellers.running.Load() {
		synctest.Wait()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	s := strings.Join(n.lines, "; ")
	n.lines = nil
	return s
}

func (n *notes) want(t *testing.T, want string) {
	t.Helper()
	if got := n.take(); got != want {
		t.Errorf("told %q, want %q", got, want)
	}
}

func testConfig(interval time.Duration) Config {
	c := Default()
	c.Auth.Password = password
	c.Keepalive.Interval = interval
	return c
}

func newFleet(t testing.TB, c Config, lock lockout) (*Fleet, *notes) {
	t.Helper()
	return newQuirkyFleet(t, c, lock, nil)
}

// newQuirkyFleet is newFleet with quirks of devices.
func newQuirkyFleet(t testing.TB, c Config, lock lockout, quirks *quirk.Table) (*Fleet, *notes) {
	t.Helper()
	n := &notes{saved: map[gb28181.ID]Record{}}
	f, err := New(c, Options{Sink: n, Lockout: lock, Quirks: quirks, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	n.f = f
	return f, n
}

// inTime runs fn on a running Fleet, in virtual time.
func inTime(t *testing.T, c Config, fn func(t *testing.T, f *Fleet, n *notes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f, n := newFleet(t, c, nil)
		stop := start(f)
		fn(t, f, n)
		stop()
	})
}

// start runs f; the function returned stops it and waits.
func start(f *Fleet) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { f.Run(ctx); close(done) }()
	synctest.Wait()
	return func() { cancel(); <-done }
}

func request(method string, id gb28181.ID, p sip.Path) *sip.Request {
	return &sip.Request{Method: method, FromUser: []byte(id.String()), ToUser: []byte(id.String()), FromTag: []byte("t"),
		CallID: []byte("call-1"), CSeq: 1, Expires: -1, Path: p}
}

// register goes through the exchange of REGISTER and returns its last answer.
func register(f *Fleet, id gb28181.ID, p sip.Path, secret string, change func(*sip.Request)) sip.Answer {
	r := request("REGISTER", id, p)
	r.Expires = 3600
	if change != nil {
		change(r)
	}
	a := f.Serve(r)
	if a.Code != 401 {
		return a
	}
	r.CSeq++
	r.Authorization = []byte(credentials(id, secret, nonceOf(a.Challenges[len(a.Challenges)-1])))
	return f.Serve(r)
}

// nonceOf reads a challenge.
func nonceOf(challenge string) string {
	_, nonce, _ := strings.Cut(challenge, `nonce="`)
	nonce, _, _ = strings.Cut(nonce, `"`)
	return nonce
}

func credentials(id gb28181.ID, secret, nonce string) string {
	hash := func(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }
	uri := "sip:34020000002000000001@3402000000"
	response := hash(hash(id.String()+":3402000000:"+secret) + ":" + nonce + ":" + hash("REGISTER:"+uri))
	return fmt.Sprintf(`Digest username="%s",realm="3402000000",nonce="%s",uri="%s",response="%s",algorithm=MD5`, id, nonce, uri, response)
}

const aliveBody = `<?xml version="1.0"?><Notify><CmdType>Keepalive</CmdType><SN>1</SN><DeviceID>34020000001320000001</DeviceID><Status>OK</Status></Notify>`

func keepalive(f *Fleet, id gb28181.ID, p sip.Path) int {
	r := request("MESSAGE", id, p)
	r.Body = []byte(strings.Replace(aliveBody, cam.String(), id.String(), 1))
	return f.Serve(r).Code
}

// say sends a body and returns the answers that it gets later, and the one at once.
func say(f *Fleet, id gb28181.ID, p sip.Path, sn int, body string) (now sip.Answer, later chan sip.Answer) {
	r := request("MESSAGE", id, p)
	r.CallID, r.CSeq, r.Body = fmt.Appendf(nil, "m-%s-%d", id, sn), uint32(sn), []byte(body)
	later = make(chan sip.Answer, 10)
	r.ReplyWith(func(a sip.Answer) { later <- a })
	return f.Serve(r), later
}

func body(root, cmd string, sn int) string {
	return fmt.Sprintf("<?xml version=\"1.0\"?>\n<%s><CmdType>%s</CmdType><SN>%d</SN><DeviceID>%s</DeviceID></%s>", root, cmd, sn, cam, root)
}
