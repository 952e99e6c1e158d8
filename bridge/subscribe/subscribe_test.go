package subscribe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/command"
	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

var cam = mustID("34020000001320000001")

func mustID(s string) gb28181.ID {
	id, err := gb28181.ParseID(s)
	if err != nil {
		panic(err)
	}
	return id
}

// device is a Requester that answers as a device does, and notes what it was asked.
type device struct {
	mu       sync.Mutex
	codes    map[string][]int // by CmdType: the answers to come; 200 after the last
	expires  int
	asked    []string // CmdType, Expires, Event without its id, "in" its dialog
	reports  []string
	live     []bool       // told after each work
	places   map[bool]int // taken in the budget: of upkeep, or of returns
	polled   int
	isPolled bool // its catalogue is to be asked for, instead of a subscription
}

func (d *device) Request(_ context.Context, _ gb28181.ID, build func(command.Peer, int) sip.Outgoing) (sip.Response, *mapping.Error) {
	o := build(command.Peer{}, 1)
	m, err := gb28181.Decode(o.Body)
	if err != nil {
		return sip.Response{}, mapping.Errorf(500, "%v", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	event, _, _ := strings.Cut(o.Subscribe.Event, ";")
	note := fmt.Sprintf("%s %d %s", m.CmdType, o.Subscribe.Expires, event)
	if o.Subscribe.Dialog.RemoteTag != "" {
		note += " in"
	}
	d.asked = append(d.asked, note)
	code := 200
	if list := d.codes[m.CmdType]; len(list) > 0 {
		code, d.codes[m.CmdType] = list[0], list[1:]
	}
	r := sip.Response{Code: code, Expires: d.expires, Dialog: sip.Dialog{CallID: "call-" + m.CmdType, RemoteTag: "dev", CSeq: 1}}
	switch {
	case code == 0:
		return sip.Response{}, mapping.Errorf(408, "no answer")
	case code >= 300:
		return r, mapping.Errorf(502, "answered %d", code)
	}
	return r, nil
}

func (d *device) take() []string {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	asked := d.asked
	d.asked = nil
	slices.Sort(asked)
	return asked
}

// paced notes a place taken in one of the two budgets.
func (d *device) paced(upkeep bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.places[upkeep]++
}

// polls counts how often its catalogue was asked for.
func (d *device) polls() int {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.polled
}

// run has a Manager work for d, in virtual time.
func run(t *testing.T, d *device, wanted *Wanted, story func(m *Manager)) {
	d.places = make(map[bool]int)
	synctest.Test(t, func(t *testing.T) {
		m := New(Options{
			Requester: d, Wanted: func(gb28181.ID) Wanted { return *wanted }, Log: slog.New(slog.DiscardHandler),
			Online: func(gb28181.ID) bool { return true },
			Wait:   func(ctx context.Context) error { d.paced(false); return ctx.Err() },
			Upkeep: func(ctx context.Context) error { d.paced(true); return ctx.Err() },
			Report: func(_ gb28181.ID, upheld Wanted, states map[Kind]State) {
				d.mu.Lock()
				defer d.mu.Unlock()
				d.reports = append(d.reports, fmt.Sprintf("catalog %s %v, alarm %s %v", states[Catalog], upheld[Catalog], states[Alarm], upheld[Alarm]))
			},
			Live: func(_ gb28181.ID, live bool) {
				d.mu.Lock()
				defer d.mu.Unlock()
				d.live = append(d.live, live)
			},
			Poll: func(context.Context, gb28181.ID) error {
				d.mu.Lock()
				defer d.mu.Unlock()
				d.polled++
				return errors.New("never mind")
			},
			Polled: func(gb28181.ID) bool {
				d.mu.Lock()
				defer d.mu.Unlock()
				return d.isPolled
			},
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- m.Run(ctx) }()
		story(m)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: asked %q, want %q", what, got, want)
	}
}

func TestWhatIsWantedIsSubscribedRefreshedAndEnded(t *testing.T) {
	d, wanted := &device{expires: 600}, &Wanted{Catalog: time.Hour, Alarm: time.Hour}
	run(t, d, wanted, func(m *Manager) {
		m.Fresh(cam)
		expect(t, "fresh", d.take(), "Alarm 3600 presence", "Catalog 3600 Catalog")
		time.Sleep(479 * time.Second)
		expect(t, "before 80 % of what was granted", d.take())
		time.Sleep(70 * time.Second)
		expect(t, "refresh", d.take(), "Alarm 3600 presence in", "Catalog 3600 Catalog in")
		wanted[Alarm] = 0
		m.Wish(cam)
		expect(t, "no longer wanted", d.take(), "Alarm 0 presence in")
		wanted[Position] = 5 * time.Second
		if state, err := m.Await(context.Background(), cam, Position); state != Active || err != nil {
			t.Errorf("position is %s, %v", state, err)
		}
		expect(t, "a new wish", d.take(), "MobilePosition 3600 presence")
		d.mu.Lock()
		defer d.mu.Unlock()
		if want := []string{"catalog active 1h0m0s, alarm active 1h0m0s", "catalog active 1h0m0s, alarm off 0s", "catalog active 1h0m0s, alarm off 0s"}; !slices.Equal(d.reports, want) {
			t.Errorf("reported %q, want %q: one for each change", d.reports, want)
		}
	})
}

func TestAForgottenDialogIsMadeAnewAndAnUnknownEventAskedOtherwise(t *testing.T) {
	d, wanted := &device{expires: 600, codes: map[string][]int{"Alarm": {489, 200, 481}}}, &Wanted{Alarm: time.Hour}
	run(t, d, wanted, func(m *Manager) {
		m.Fresh(cam)
		expect(t, "489", d.take(), "Alarm 3600 Alarm", "Alarm 3600 presence")
		time.Sleep(550 * time.Second)
		expect(t, "481", d.take(), "Alarm 3600 Alarm", "Alarm 3600 Alarm in")
	})
}

// Hikvision recorders accept a subscription to their catalogue and never notify (wvp #553); that
// they do is known from their configuration alone, or with the model that they tell later.
func TestAPolledCatalogIsNotSubscribedTo(t *testing.T) {
	d, wanted := &device{isPolled: true}, &Wanted{Catalog: time.Hour, Alarm: time.Hour}
	run(t, d, wanted, func(m *Manager) {
		m.Fresh(cam)
		expect(t, "fresh", d.take(), "Alarm 3600 presence")
		time.Sleep(2 * time.Hour)
		expect(t, "within two hours", d.take(), "Alarm 3600 presence in", "Alarm 3600 presence in")
		wanted[Catalog] = 30 * time.Minute
		m.Wish(cam)
		expect(t, "another interval", d.take())
		before := d.polls()
		time.Sleep(time.Hour)
		d.take()
		if n := d.polls(); before != 2 || n != before+2 {
			t.Errorf("polled %d times in two hours, then %d in one; want 2 and 2", before, n-before)
		}
	})
	d, wanted = &device{}, &Wanted{Catalog: time.Hour}
	run(t, d, wanted, func(m *Manager) {
		m.Fresh(cam)
		expect(t, "before its model is known", d.take(), "Catalog 3600 Catalog")
		d.mu.Lock()
		d.isPolled = true
		d.mu.Unlock()
		m.Reconsider(cam)
		expect(t, "once it is known", d.take(), "Catalog 0 Catalog in")
		if _, states := m.Of(cam); states[Catalog] != Refused {
			t.Errorf("its state is %s", states[Catalog])
		}
	})
}

// Hikvision recorders grant a subscription to their catalogue and never notify (wvp #553).
func TestACatalogOfWhichNothingIsHeardForAnHourIsAskedFor(t *testing.T) {
	d, wanted := &device{expires: 600}, &Wanted{Catalog: time.Hour, Alarm: time.Hour}
	run(t, d, wanted, func(m *Manager) {
		m.Fresh(cam)
		for hour := range 4 {
			for range 6 {
				time.Sleep(10 * time.Minute)
				if hour >= 2 {
					m.HeardCatalog(cam)
				}
			}
			d.take()
			if n, least := d.polls(), []int{0, 1, 1, 1}; n < least[hour] || n > least[hour]+1 {
				t.Errorf("after %d hours it was asked for %d times", hour+1, n)
			}
		}
		if n := d.polls(); n != 1 && n != 2 {
			t.Errorf("asked for %d times: two hours were quiet, two were not", n)
		}
	})
}

func TestARefusalStaysUntilTheDeviceRegistersAnewAndItsCatalogIsPolled(t *testing.T) {
	d, wanted := &device{codes: map[string][]int{"Catalog": {405}, "Alarm": {403}}}, &Wanted{Catalog: time.Hour, Alarm: time.Hour}
	run(t, d, wanted, func(m *Manager) {
		m.Fresh(cam)
		d.take()
		time.Sleep(2 * time.Hour)
		expect(t, "after a refusal", d.take())
		if n := d.polls(); n != 2 {
			t.Errorf("the catalog was polled %d times in two hours, want 2", n)
		}
		m.Fresh(cam)
		expect(t, "registered anew", d.take(), "Alarm 3600 presence", "Catalog 3600 Catalog")
	})
}

func TestSilenceIsAskedAgainWithBackOffAndOnlyWhileTheDeviceIsThere(t *testing.T) {
	d, wanted := &device{codes: map[string][]int{"Alarm": slices.Repeat([]int{0}, 1000)}}, &Wanted{Alarm: time.Hour}
	run(t, d, wanted, func(m *Manager) {
		m.Fresh(cam)
		time.Sleep(time.Hour)
		if n := len(d.take()); n < 8 || n > 30 {
			t.Errorf("a silent device was asked %d times in an hour", n)
		}
		m.Left(cam)
		d.take()
		time.Sleep(time.Hour)
		expect(t, "away", d.take())
	})
}

func TestNothingIsRememberedOfADeviceThatIsGoneAndItsReturnIsFresh(t *testing.T) {
	d, wanted := &device{expires: 3600}, &Wanted{Alarm: time.Hour}
	run(t, d, wanted, func(m *Manager) {
		m.Fresh(cam)
		d.take()
		m.Gone(cam)
		if upheld, states := m.Of(cam); len(m.devices) != 0 || upheld != (Wanted{}) || states[Alarm] != Off {
			t.Errorf("%d devices are remembered", len(m.devices))
		}
		time.Sleep(2 * time.Hour)
		expect(t, "while it is gone", d.take())
		m.Online(cam)
		expect(t, "after its return", d.take(), "Alarm 3600 presence")
	})
}

func TestASubscriptionThatItsDeviceEndsIsMadeAnewAfterAWhile(t *testing.T) {
	d, wanted := &device{expires: 3600}, &Wanted{Alarm: time.Hour}
	run(t, d, wanted, func(m *Manager) {
		m.Fresh(cam)
		d.take()
		m.Ended(cam, "another", "timeout")
		time.Sleep(time.Minute)
		expect(t, "somebody else's", d.take())
		m.Ended(cam, "call-Alarm", "timeout")
		expect(t, "at once", d.take())
		time.Sleep(time.Minute)
		expect(t, "after a while", d.take(), "Alarm 3600 presence")
		m.Ended(cam, "call-Alarm", "rejected")
		time.Sleep(time.Minute)
		expect(t, "rejected", d.take())
		d.mu.Lock()
		defer d.mu.Unlock()
		if want := "catalog off 0s, alarm refused 0s"; d.reports[len(d.reports)-1] != want {
			t.Errorf("reported %q, want %q last", d.reports, want)
		}
	})
}

func TestACatalogWhoseSubscriptionItsDeviceRejectsLaterIsPolled(t *testing.T) {
	d, wanted := &device{expires: 86400}, &Wanted{Catalog: time.Hour}
	run(t, d, wanted, func(m *Manager) {
		m.Fresh(cam)
		d.take()
		m.Ended(cam, "call-Catalog", "noresource")
		time.Sleep(2 * time.Hour)
		expect(t, "rejected", d.take())
		if n := d.polls(); n != 2 {
			t.Errorf("polled %d times in two hours, want 2", n)
		}
	})
}

func TestWhetherAnythingIsLiveIsToldAfterEachReturn(t *testing.T) {
	d, wanted := &device{expires: 3600}, &Wanted{Alarm: time.Hour}
	run(t, d, wanted, func(m *Manager) {
		want := func(when string, want ...bool) {
			t.Helper()
			d.take()
			d.mu.Lock()
			defer d.mu.Unlock()
			if !slices.Equal(d.live, want) {
				t.Errorf("%s: told %v, want %v", when, d.live, want)
			}
			d.live = nil
		}
		m.Fresh(cam)
		want("fresh", true)
		m.Left(cam)
		want("away")
		m.Online(cam)
		want("there again, its subscription still live", true)
		m.Ended(cam, "call-Alarm", "timeout")
		want("ended", false)
		time.Sleep(time.Minute)
		want("made anew", true)
		wanted[Alarm] = 0
		m.Wish(cam)
		want("no longer wanted", false)
	})
}

func TestADeviceThatGrantsSecondsDoesNotTakeTheWholeBudget(t *testing.T) {
	d, wanted := &device{expires: 1}, &Wanted{Alarm: time.Hour}
	run(t, d, wanted, func(m *Manager) {
		m.Fresh(cam)
		time.Sleep(time.Minute)
		if n := len(d.take()); n > 5 {
			t.Errorf("it was asked %d times in a minute", n)
		}
	})
}

func TestDeviceOfWhichNothingIsWantedCostsNothingUntilSomethingIs(t *testing.T) {
	d, wanted := &device{expires: 600}, &Wanted{}
	run(t, d, wanted, func(m *Manager) {
		m.Fresh(cam)
		expect(t, "nothing wanted", d.take())
		kept := func() int {
			m.mu.Lock()
			defer m.mu.Unlock()
			return len(m.devices)
		}
		if n := kept(); n != 0 {
			t.Errorf("%d entries are kept of a device of which nothing is wanted", n)
		}
		d.mu.Lock()
		reports := slices.Clone(d.reports)
		d.mu.Unlock()
		if len(reports) != 0 {
			t.Errorf("reported %q, and nothing has changed", reports)
		}
		wanted[Alarm] = time.Hour
		if state, err := m.Await(context.Background(), cam, Alarm); state != Active || err != nil {
			t.Errorf("a wish is %s, %v, want it active", state, err)
		}
		wanted[Alarm] = 0
		if state, err := m.Await(context.Background(), cam, Alarm); state != Off || err != nil {
			t.Errorf("a subscription that is no longer wanted is %s, %v, want it off", state, err)
		}
		if n := kept(); n != 0 {
			t.Errorf("%d entries are kept once nothing is wanted any more", n)
		}
		expect(t, "the wish and its end", d.take(), "Alarm 0 presence in", "Alarm 3600 presence")
	})
}

// A fleet that subscribed within seconds, after a power cut say, does not refresh within seconds.
func TestRefreshesOfAFleetThatSubscribedAtOnceAreSpread(t *testing.T) {
	const n, tenths = 10_000, 10
	var counts [tenths]int
	for range n {
		share := float64(jittered(time.Hour)) / float64(time.Hour)
		if share < 0.8 || share > 0.9001 {
			t.Fatalf("refreshed after %.4f of what was granted, want 0.8 to 0.9", share)
		}
		counts[min(int((share-0.8)*100), tenths-1)]++
	}
	for i, got := range counts {
		if got < n/tenths/2 || got > n/tenths*2 {
			t.Errorf("%d of %d refreshes fall into tenth %d of the time they are spread over", got, n, i)
		}
	}
}

func TestUpkeepDoesNotTakeThePlacesOfReturnedDevices(t *testing.T) {
	d, wanted := &device{expires: 600, codes: map[string][]int{"Catalog": {405}}}, &Wanted{Catalog: time.Hour, Alarm: time.Hour}
	run(t, d, wanted, func(m *Manager) {
		want := func(when string, returned, upkeep int) {
			t.Helper()
			d.take()
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.places[false] != returned || d.places[true] != upkeep {
				t.Errorf("%s: %d places of returned devices and %d of upkeep, want %d and %d", when, d.places[false], d.places[true], returned, upkeep)
			}
			clear(d.places)
		}
		m.Fresh(cam)
		want("fresh", 2, 0)
		time.Sleep(550 * time.Second)
		want("its alarms refreshed", 0, 1)
		time.Sleep(50 * time.Minute)
		if n := d.polls(); n != 1 {
			t.Fatalf("polled %d times", n)
		}
		d.mu.Lock()
		if d.places[false] != 0 {
			t.Errorf("a poll or a refresh took %d places of returned devices", d.places[false])
		}
		clear(d.places)
		d.mu.Unlock()
		m.Fresh(cam)
		want("returned", 2, 0)
	})
}
