package bridge

import (
	"context"
	"crypto/md5"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gb2mqtt/gb2mqtt/bridge/command"
	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/bridge/guard"
	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/bridge/subscribe"
	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// healed is all that heals, with devices that answer each request after a round trip unless the
// network is cut. It is the fleet's Sink and the commands' Sender.
type healed struct {
	t        *testing.T
	fleet    *fleet.Fleet
	commands *command.Engine
	healing  *healing

	mu    sync.Mutex // guards what follows
	cut   bool
	asked map[string][]time.Time // what, and whom: when
	times []time.Time
}

const (
	healingPassword = "12345678"
	together        = 100 // devices that return at the same moment
	roundTrip       = 10 * time.Millisecond
)

// newHealed returns it running, in virtual time.
func newHealed(t *testing.T, perSecond int) *healed {
	t.Helper()
	h := &healed{t: t, asked: make(map[string][]time.Time)}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	reg, log := prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
	var err error
	h.healing = &healing{pace: newPace(perSecond), compare: func(thing string, _ bool) { h.healing.pace.Settle(thing) }}
	h.healing.breakers, err = guard.NewBreakers(guard.BreakerOptions{
		OnChange:   func(device string, state guard.State, _ string, _ time.Time) { h.healing.Breaker(device, state) },
		Probe:      func(device string) { h.healing.Probe(device) },
		Registerer: reg,
	})
	check(err)
	h.healing.links, err = guard.NewLinks(guard.LinkOptions{Registerer: reg})
	check(err)
	cfg := fleet.Default()
	cfg.Auth.Password = healingPassword
	h.fleet, err = fleet.New(cfg, fleet.Options{Sink: h, Log: log, Registerer: reg})
	check(err)
	h.commands, err = command.New(command.Default(), command.Options{
		Sender: h, Directory: h, Breakers: h.healing.breakers, Heard: h.fleet.Heard, Log: log, Registerer: reg,
	})
	check(err)
	h.healing.subscriptions = subscribe.New(subscribe.Options{
		Requester: h.commands,
		Wanted: func(gb28181.ID) (w subscribe.Wanted) {
			w[subscribe.Catalog], w[subscribe.Alarm] = time.Hour, time.Hour
			return w
		},
		Online: func(gb28181.ID) bool { return true }, Wait: h.healing.pace.Wait,
		Upkeep: h.healing.pace.Wait,
		Report: func(gb28181.ID, subscribe.Wanted, map[subscribe.Kind]subscribe.State) {},
		Poll:   func(context.Context, gb28181.ID) error { return nil }, Polled: func(gb28181.ID) bool { return false },
		Live: h.fleet.SetSubscribed, Log: log,
	})
	h.healing.recovery = newRecovery(recoveryOptions{
		Wait: h.healing.pace.Wait, Questions: func(gb28181.ID) []string { return []string{"device_info", "catalog"} }, Ask: h.ask,
	})
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	for _, run := range []func(context.Context) error{
		h.fleet.Run, h.commands.Run, h.healing.recovery.Run, h.healing.subscriptions.Run, h.healing.breakers.Run, h.healing.links.Run,
	} {
		work.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		stop()
		work.Wait()
	})
	return h
}

func (h *healed) ask(ctx context.Context, device gb28181.ID, question string) error {
	cmd, why := mapping.ParseCommand(question, false, nil)
	if why == nil {
		_, why = h.commands.Do(ctx, device, device.String(), cmd)
	}
	if why != nil {
		return why
	}
	return nil
}

// Peer is the directory of the commands.
func (h *healed) Peer(device gb28181.ID) (command.Peer, bool) {
	d, known := h.fleet.Device(device)
	return command.Peer{Path: d.Path, HasPath: d.HasPath, Online: d.Presence == fleet.Online, Presence: d.Presence.String(), Reason: d.Reason}, known
}

// Request is a device that answers.
func (h *healed) Request(ctx context.Context, _ sip.Path, o sip.Outgoing) (sip.Response, error) {
	id, err := gb28181.ParseID(o.User)
	if err != nil {
		return sip.Response{}, err
	}
	cmdType, sn := between(o.Body, "CmdType"), between(o.Body, "SN")
	h.mu.Lock()
	cut, what := h.cut, o.Method+" "+cmdType+" "+o.User
	h.asked[what] = append(h.asked[what], time.Now())
	h.times = append(h.times, time.Now())
	h.mu.Unlock()
	if cut {
		time.Sleep(4 * time.Second)
		return sip.Response{}, sip.ErrTimeout
	}
	time.Sleep(roundTrip)
	if o.Method == "MESSAGE" {
		m, err := gb28181.Decode(fmt.Appendf(nil, "<Response><CmdType>%s</CmdType><SN>%s</SN><DeviceID>%s</DeviceID><Result>OK</Result>"+
			"<SumNum>0</SumNum><DeviceList Num=\"0\"></DeviceList></Response>", cmdType, sn, o.User))
		if err != nil {
			return sip.Response{}, err
		}
		h.commands.Deliver(id, m)
	}
	return sip.Response{Code: 200, RTT: roundTrip, Expires: 3600, Dialog: sip.Dialog{CallID: what, RemoteTag: "d", CSeq: 1}}, nil
}

// between is the text of an element of a body.
func between(body []byte, name string) string {
	_, rest, _ := strings.Cut(string(body), "<"+name+">")
	text, _, _ := strings.Cut(rest, "<")
	return text
}

// The fleet's Sink.
func (h *healed) Registered(r fleet.Registration, fresh bool) {
	if fresh {
		h.healing.Registered(r.Device)
	}
}
func (h *healed) Presence(c fleet.Change)                      { h.healing.Changed(c) }
func (h *healed) Rivals(gb28181.ID, sip.Path, sip.Path)        {}
func (h *healed) Unregistered(gb28181.ID, time.Time)           {}
func (h *healed) Message(*fleet.Inbound)                       {}
func (h *healed) SubscriptionEnded(gb28181.ID, string, string) {}
func (h *healed) Save([]fleet.Record)                          {}

// serve has a device send a request, and returns the code of its answer, and the nonce of a 401.
func (h *healed) serve(n int, method, callID string, expires int, authorization string) (code int, nonce string) {
	id := fmt.Sprintf("3402000000132%07d", n)
	r := &sip.Request{
		Method: method, FromUser: []byte(id), ToUser: []byte(id), FromTag: []byte("t"), CallID: []byte(callID), CSeq: 1, Expires: expires,
		Authorization: []byte(authorization),
		Path: sip.Path{
			Network: sip.UDP, Local: netip.MustParseAddrPort("10.0.0.1:5060"),
			Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}), 5060),
		},
	}
	if method == "MESSAGE" {
		r.Body = fmt.Appendf(nil, "<?xml version=\"1.0\"?><Notify><CmdType>Keepalive</CmdType><SN>1</SN><DeviceID>%s</DeviceID><Status>OK</Status></Notify>", id)
	}
	a := h.fleet.Serve(r)
	if a.Code == 401 {
		_, nonce, _ = strings.Cut(a.Challenges[len(a.Challenges)-1], `nonce="`)
		nonce, _, _ = strings.Cut(nonce, `"`)
	}
	return a.Code, nonce
}

// register has a device register; callID tells one life of it from the next.
func (h *healed) register(n int, callID string, expires int) {
	h.t.Helper()
	_, nonce := h.serve(n, "REGISTER", callID, expires, "")
	hash := func(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }
	id, uri := fmt.Sprintf("3402000000132%07d", n), "sip:34020000002000000001@3402000000"
	response := hash(hash(id+":3402000000:"+healingPassword) + ":" + nonce + ":" + hash("REGISTER:"+uri))
	code, _ := h.serve(n, "REGISTER", callID, expires,
		fmt.Sprintf(`Digest username="%s",realm="3402000000",nonce="%s",uri="%s",response="%s",algorithm=MD5`, id, nonce, uri, response))
	if code != 200 {
		h.t.Fatalf("REGISTER of device %d: %d", n, code)
	}
}

func (h *healed) keepalive(n int) int {
	code, _ := h.serve(n, "MESSAGE", "k", -1, "")
	return code
}

// live has the devices keep alive for d, each once a minute and one after the other.
func (h *healed) live(devices int, d time.Duration) {
	h.t.Helper()
	for begun := time.Now(); time.Since(begun) < d; {
		for n := range devices {
			if code := h.keepalive(n); code != 200 {
				h.t.Fatalf("keepalive of device %d: %d", n, code)
			}
			if n%(devices/60) == 0 {
				time.Sleep(time.Second)
			}
		}
	}
}

// subscribed counts the devices that are where they shall be in the end.
func (h *healed) subscribed() int { return h.fleet.Lifecycles()[fleet.Subscribed] }

// A network that was cut for ten minutes comes back for all devices within seconds. Some keep
// alive as if nothing had been, some register anew, some must be told to.
func TestAfterANetworkCutAllIsAsBeforeWithoutAStorm(t *testing.T) {
	const devices, perSecond = healedDevices, 500
	synctest.Test(t, func(t *testing.T) {
		h := newHealed(t, perSecond)
		expires := func(n int) int {
			if n%3 == 2 {
				return 300 // it runs out while the network is cut
			}
			return 3600
		}
		for n := range devices {
			h.register(n, "first", expires(n))
		}
		h.live(devices, 2*time.Minute)
		if got := h.subscribed(); got != devices {
			t.Fatalf("%d devices of %d are subscribed at first", got, devices)
		}

		h.mu.Lock()
		h.cut = true
		h.mu.Unlock()
		time.Sleep(10 * time.Minute)
		if online, offline, unknown := h.fleet.Counts(); offline != devices {
			t.Fatalf("%d online, %d offline, %d unknown after the cut", online, offline, unknown)
		}
		h.mu.Lock()
		h.cut = false
		clear(h.asked)
		h.times = nil
		h.mu.Unlock()

		begun := time.Now()
		for n := range devices {
			switch n % 3 {
			case 0:
				h.register(n, "second", expires(n))
			case 1:
				if code := h.keepalive(n); code != 200 {
					t.Fatalf("keepalive of a device whose registration lives: %d", code)
				}
			case 2:
				if code := h.keepalive(n); code != 403 {
					t.Fatalf("keepalive of a device whose registration has expired: %d, want 403", code)
				}
				h.register(n, "second", 3600)
			}
			if n%together == 0 {
				time.Sleep(50 * time.Millisecond)
			}
		}
		h.live(devices, 2*time.Minute)
		if got := h.subscribed(); got != devices {
			t.Errorf("%d devices of %d are subscribed in the end", got, devices)
		}
		if n := h.healing.recovery.Len(); n != 0 {
			t.Errorf("%d devices are still worked on", n)
		}
		h.checkSchedule(t, devices, perSecond, begun)
	})
}

// checkSchedule sees that each device was asked each question once, the longest waiting first and
// within the budget.
func (h *healed) checkSchedule(t *testing.T, devices, perSecond int, begun time.Time) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	var infos []time.Time
	for n := range devices {
		id := fmt.Sprintf("3402000000132%07d", n)
		for _, what := range []string{"MESSAGE DeviceInfo ", "MESSAGE Catalog ", "SUBSCRIBE Catalog ", "SUBSCRIBE Alarm "} {
			if times := h.asked[what+id]; len(times) != 1 {
				t.Fatalf("device %d got %s%d times, want once", n, what, len(times))
			}
		}
		if n := len(h.asked["MESSAGE DeviceStatus "+id]); n != 0 {
			t.Fatalf("a device that returned was probed %d times beside its questions", n)
		}
		infos = append(infos, h.asked["MESSAGE DeviceInfo "+id][0])
		if before := n - 2*together; before >= 0 && infos[n].Before(infos[before]) {
			t.Fatalf("device %d was asked before device %d, which had waited longer", n, before)
		}
	}
	slices.SortFunc(h.times, time.Time.Compare)
	most := 0
	for from, to := 0, 0; to < len(h.times); to++ {
		for h.times[to].Sub(h.times[from]) >= time.Second {
			from++
		}
		most = max(most, to-from+1)
	}
	// A request that has its place may wait for the outcome of its device's probe, a round trip.
	if displaced := int(roundTrip * time.Duration(perSecond) / time.Second); most > perSecond+displaced {
		t.Errorf("%d requests within a second, want %d at most", most, perSecond)
	}
	if took := h.times[len(h.times)-1].Sub(begun); took > time.Duration(len(h.times)/perSecond+2)*time.Second {
		t.Errorf("%d requests took %v", len(h.times), took)
	}
}
