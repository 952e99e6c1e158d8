package fleet

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// refusedMoves counts the events that were refused.
func refusedMoves(t testing.TB, f *Fleet) (n float64) {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(f.metrics.lifeRefused)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			n += m.GetCounter().GetValue()
		}
	}
	return n
}

func TestEveryMoveOfTheLifecycle(t *testing.T) {
	// From disconnected, connecting, registered, subscribed; - is refused.
	for event, row := range map[lifeEvent]string{
		lifeRegistered:   "connecting connecting connecting connecting",
		lifeReturned:     "connecting - - -",
		lifeHeard:        "- registered registered subscribed",
		lifeOverdue:      "- connecting connecting connecting",
		lifeLost:         "- disconnected - -",
		lifeCatalog:      "- - registered subscribed",
		lifeSubscribed:   "- - subscribed subscribed",
		lifeEnded:        "- - - registered",
		lifeUnregistered: "- disconnected disconnected disconnected",
		lifeExpired:      "- disconnected disconnected disconnected",
	} {
		for from, want := range strings.Fields(row) {
			f, _ := newFleet(t, testConfig(time.Minute), nil)
			s := f.addLocked(f.shardOf(cam), cam)
			s.life = Lifecycle(from)
			f.lives[Disconnected].Add(-1)
			f.lives[from].Add(1)
			f.driveLocked(s, event)
			got, refused := s.life.String(), 0.0
			if want == "-" {
				want, refused = Lifecycle(from).String(), 1
			}
			if got != want || refusedMoves(t, f) != refused || f.Lifecycles()[s.life] != 1 {
				t.Errorf("%v from %v: %s, %v refused, counted %v; want %s, %v", event, Lifecycle(from), got, refusedMoves(t, f), f.Lifecycles(), want, refused)
			}
		}
	}
}

func TestLifecycleOfADevice(t *testing.T) {
	inTime(t, testConfig(time.Minute), func(t *testing.T, f *Fleet, _ *notes) {
		var refused float64
		want := func(when string, want Lifecycle, more float64) {
			t.Helper()
			refused += more
			d, _ := f.Device(cam)
			if d.Lifecycle != want || refusedMoves(t, f) != refused {
				t.Errorf("%s: %v, %v refused; want %v, %v", when, d.Lifecycle, refusedMoves(t, f), want, refused)
			}
		}
		keepalive(f, cam, home)
		want("a stranger's keepalive", Disconnected, 0)
		register(f, cam, home, password, nil)
		want("registered", Connecting, 0)
		keepalive(f, cam, home)
		want("heard", Registered, 0)
		f.ApplyCatalog(cam, nil, true)
		want("its catalogue is in", Registered, 0)
		f.SetSubscribed(cam, true)
		want("subscribed", Subscribed, 0)
		register(f, cam, home, password, nil)
		want("a refresh", Subscribed, 0)
		time.Sleep(91 * time.Second)
		want("overdue", Connecting, 0)
		f.SetSubscribed(cam, true)
		want("a confirmation while it is overdue", Connecting, 1)
		keepalive(f, cam, home)
		want("heard again", Registered, 0)
		f.SetSubscribed(cam, true)
		want("its subscriptions are live still", Subscribed, 0)
		f.SetSubscribed(cam, false)
		f.SetSubscribed(cam, false)
		want("the last one is over", Registered, 0)
		register(f, cam, udp("192.168.1.64:5070"), password, nil)
		want("registered anew", Connecting, 0)
		f.Heard(cam)
		want("an answer", Registered, 0)
		time.Sleep(181 * time.Second)
		want("lost", Disconnected, 0)
		keepalive(f, cam, home)
		want("its first sign of life", Connecting, 0)
		keepalive(f, cam, home)
		want("its second", Registered, 0)
		register(f, cam, home, password, func(r *sip.Request) { r.Expires = 0 })
		want("its leave", Disconnected, 0)
		keepalive(f, cam, home)
		want("a keepalive without a registration", Disconnected, 1)
		f.ApplyCatalog(cam, nil, true)
		want("a catalogue that comes late", Disconnected, 1)
		register(f, cam, home, password, func(r *sip.Request) { r.Expires = 30 })
		time.Sleep(31 * time.Second)
		want("expired", Disconnected, 0)
	})
}

func TestLifecycleAfterARestart(t *testing.T) {
	inTime(t, testConfig(time.Minute), func(t *testing.T, f *Fleet, n *notes) {
		register(f, cam, home, password, nil)
		keepalive(f, cam, home)
		gone := mustID("34020000001320000002")
		register(f, gone, home, password, nil)
		register(f, gone, home, password, func(r *sip.Request) { r.Expires = 0 })
		time.Sleep(2 * saveInterval)
		again, _ := newFleet(t, testConfig(time.Minute), nil)
		n.mu.Lock()
		again.Restore(slices.Collect(maps.Values(n.saved)), time.Now())
		n.mu.Unlock()
		if got, want := again.Lifecycles(), [lifecycles]int{Disconnected: 1, Connecting: 1}; got != want {
			t.Errorf("lifecycles %v after a restart, want %v", got, want)
		}
		if keepalive(again, cam, home); again.Lifecycles()[Registered] != 1 {
			t.Error("not registered when it is heard")
		}
	})
}

// Whatever happens to devices in whatever order, lifecycle and presence do not contradict each
// other, and the counts are those of the devices.
func TestLifecycleNeverContradictsPresence(t *testing.T) {
	for seed := range uint64(4) {
		random := rand.New(rand.NewPCG(seed, 1))
		c := testConfig(time.Second)
		c.AdoptOnKeepalive = seed%4 == 3
		inTime(t, c, func(t *testing.T, f *Fleet, _ *notes) {
			const devices = 8
			for step := range 500 {
				id := mustID(fmt.Sprintf("3402000000132%07d", random.IntN(devices)))
				path := home
				if random.IntN(3) == 0 {
					path = tcp("192.168.1.64:4000", uint64(random.IntN(3)+1))
				}
				switch random.IntN(12) {
				case 0, 1:
					register(f, id, path, password, func(r *sip.Request) { r.Expires = 30 })
				case 2:
					register(f, id, path, password, func(r *sip.Request) { r.Expires = 0 })
				case 3, 4, 5:
					keepalive(f, id, path)
				case 6:
					f.Heard(id)
				case 7:
					f.SetSubscribed(id, random.IntN(2) == 0)
				case 8:
					f.ApplyCatalog(id, nil, true)
				case 9:
					f.Closed(path)
				case 10:
					if random.IntN(2) == 0 {
						f.MQTTConnected(id)
					} else {
						f.MQTTDisconnected(id)
					}
				case 11:
					if random.IntN(20) == 0 {
						time.Sleep(31 * time.Second) // until registrations expire
					}
					time.Sleep(time.Duration(random.Int64N(int64(time.Second))))
				}
				checkLifecycles(t, f, fmt.Sprintf("seed %d, step %d", seed, step))
				if t.Failed() {
					return
				}
			}
		})
	}
}

func checkLifecycles(t *testing.T, f *Fleet, when string) {
	t.Helper()
	var counts [lifecycles]int
	f.Each(func(d Device) {
		counts[d.Lifecycle]++
		sh := f.shardOf(d.ID)
		sh.mu.RLock()
		s := sh.sessions.get(d.ID)
		bound := s.registered || s.adopted
		sh.mu.RUnlock()
		switch {
		case d.Lifecycle != Disconnected && !bound,
			d.Lifecycle != Disconnected && d.Presence == Offline,
			d.Lifecycle >= Registered && d.Presence != Online,
			d.Lifecycle == Disconnected && bound && d.Presence == Unknown && s.clients == 0 && d.Reason != ReasonKeepaliveOverdue:
			t.Errorf("%s: %v is %v, %v (%s), bound: %v", when, d.ID, d.Lifecycle, d.Presence, d.Reason, bound)
		}
	})
	if got := f.Lifecycles(); got != counts {
		t.Errorf("%s: counted %v, there are %v", when, got, counts)
	}
}

func FuzzLifecycle(f *testing.F) {
	f.Add([]byte{byte(lifeRegistered), byte(lifeHeard), byte(lifeSubscribed), byte(lifeOverdue), byte(lifeLost), byte(lifeReturned)})
	f.Add([]byte{byte(lifeSubscribed), byte(lifeEnded), byte(lifeCatalog)})
	f.Fuzz(func(t *testing.T, events []byte) {
		fleet, _ := newFleet(t, testConfig(time.Minute), nil)
		s := fleet.addLocked(fleet.shardOf(gb28181.ID{}), gb28181.ID{})
		for _, b := range events {
			from, e := s.life, lifeEvent(b%byte(lifeEvents))
			fleet.driveLocked(s, e)
			switch {
			case s.life > Subscribed:
				t.Fatalf("%v from %v leads nowhere", e, from)
			case s.life == Subscribed && from < Registered:
				t.Fatalf("subscribed from %v", from)
			case from == Disconnected && s.life > Connecting:
				t.Fatalf("%v from disconnected leads to %v", e, s.life)
			case fleet.Lifecycles()[s.life] != 1:
				t.Fatalf("counted %v, the device is %v", fleet.Lifecycles(), s.life)
			}
		}
	})
}
