package test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

func TestSubscriptionsAreUpheldAsConfiguredAndAsDesired(t *testing.T) {
	p := start(t, baseConfig())
	d := newCamera(t, p.udp, 1, nil)
	m := connect(t, p.mqtt, "gb28181/"+d.ID()+"/cmd/#")
	register(t, d)
	m.reported(d.ID(), "", "both subscriptions", func(r map[string]any) bool {
		return at(r, "subscription_state.catalog") == "active" && at(r, "subscription_state.alarm") == "active" &&
			at(r, "subscriptions.alarm") == 3600.0 && at(r, "subscriptions.position") == 0.0
	})
	m.publish(shadowTopic(d.ID(), "")+"/update", map[string]any{"state": map[string]any{"desired": map[string]any{
		"subscriptions": map[string]any{"alarm": 0, "position": 5}}}})
	m.reported(d.ID(), "", "the wish", func(r map[string]any) bool {
		return at(r, "subscriptions.alarm") == 0.0 && at(r, "subscription_state.alarm") == "off" && at(r, "subscriptions.position") == 5.0
	})
	if delta := at(m.shadow(d.ID(), ""), "state.delta"); delta != nil {
		t.Errorf("a delta is left: %v", delta)
	}

	mark := m.mark()
	m.publish("gb28181/"+d.ID()+"/cmd/subscribe", map[string]any{"kind": "catalog", "expires": 600, "clientToken": "s"})
	m.wait(mark, "accepted", token("gb28181/"+d.ID()+"/cmd/subscribe/accepted", "s"))
	m.publish("gb28181/"+d.ID()+"/cmd/subscribe", map[string]any{"kind": "alarm", "expires": 600, "clientToken": "a"})
	if rejected := m.wait(mark, "rejected", token("gb28181/"+d.ID()+"/cmd/subscribe/rejected", "a")).json(t); rejected["code"] != 409.0 {
		t.Errorf("a subscription beside what is desired got %v, want 409", rejected)
	}
	m.publish("gb28181/"+d.ID()+"/cmd/diagnose", map[string]any{"clientToken": "d"})
	told := m.wait(mark, "diagnosis", token("gb28181/"+d.ID()+"/cmd/diagnose/accepted", "d")).json(t)
	for _, key := range []string{"registration", "path", "lifecycle", "health", "keepalive", "encoding", "breaker", "subscriptions", "exchanges", "findings", "last_seen_at"} {
		if at(told, "result."+key) == nil {
			t.Errorf("the diagnosis has no %s: %v", key, told)
		}
	}
	if got := at(told, "result.lifecycle"); got != "subscribed" || metric(t, p, `gb2mqtt_devices_by_lifecycle{state="subscribed"}`) != "1" {
		t.Errorf("its lifecycle is %v", got)
	}
}

// upheld waits until the device's shadow says that a kind is as it ought to be.
func (c *client) upheld(device, kind, state string) {
	c.t.Helper()
	c.reported(device, "", kind+" "+state, func(r map[string]any) bool { return at(r, "subscription_state."+kind) == state })
}

// alarmIn raises an alarm in the device's subscription, and waits for its event.
func alarmIn(t *testing.T, m *client, d *camera.Device) {
	t.Helper()
	mark := m.mark()
	if code, err := d.Alarm(within(t, 10*time.Second), camera.Alarm{Notify: true, Method: 5, Type: 2}); code != 200 || err != nil {
		t.Fatalf("an alarm in the subscription got %d, %v", code, err)
	}
	m.wait(mark, "alarm", on("gb28181/"+d.ID()+"/event/alarm"))
}

// The waits are the granted 20 s, less a margin: all devices share one bridge and one wait.
func TestSubscriptionsAreRefreshedMadeAnewAndReplacedByPolling(t *testing.T) {
	t.Parallel() // it waits most of the time
	p := start(t, baseConfig())
	m := connect(t, p.mqtt)
	refreshed := map[string]*camera.Device{}
	for n, server := range []string{p.udp, p.tcp} {
		d := newCamera(t, server, n+1, func(c *camera.Config) { c.SubscriptionMost = 20 * time.Second })
		register(t, d)
		refreshed[server] = d
	}
	forgetful := newCamera(t, p.udp, 3, func(c *camera.Config) { c.SubscriptionMost = 20 * time.Second })
	register(t, forgetful)
	forgotten := subscribed(t, forgetful, "Alarm")
	m.upheld(forgetful.ID(), "alarm", "active")
	forgetful.ForgetSubscriptions()
	unwilling := newCamera(t, p.udp, 4, func(c *camera.Config) { c.RefuseSubscribe = map[string]int{"Catalog": 405, "Alarm": 489} })
	register(t, unwilling)
	m.upheld(unwilling.ID(), "catalog", "refused")
	m.upheld(unwilling.ID(), "alarm", "refused")
	if n := count(unwilling, func(r *camera.Request) bool { return r.Method == "SUBSCRIBE" && r.CmdType == "Alarm" }); n != 2 {
		t.Errorf("after 489 it was asked %d times, want with either Event", n)
	}
	// What is wanted of the catalogue is how often it is asked for where it is not told.
	polled := func(r *camera.Request) bool {
		return r.Root == "Query" && r.CmdType == "Catalog" && r.Method == "MESSAGE"
	}
	obeyed(t, unwilling, "the catalogue after its registration", polled)
	unwilling.Forget()
	m.publish(shadowTopic(unwilling.ID(), "")+"/update", map[string]any{"state": map[string]any{"desired": map[string]any{
		"subscriptions": map[string]any{"catalog": 30}}}})

	for server, d := range refreshed {
		first := subscribed(t, d, "Alarm")
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
			now, live := d.Subscription("Alarm")
			if live && now.CallID == first.CallID && now.Refreshes > 0 {
				break
			}
			if !live || now.CallID != first.CallID || time.Now().After(deadline) {
				t.Fatalf("%s: the subscription is %+v (live %v), want %s refreshed in its dialog", server, now, live, first.CallID)
			}
		}
		m.upheld(d.ID(), "alarm", "active")
	}
	subscribedAnew(t, forgetful, "Alarm", forgotten.CallID)
	m.upheld(forgetful.ID(), "alarm", "active")
	if _, err := unwilling.Wait(within(t, time.Minute), polled); err != nil {
		t.Errorf("a device that refuses to tell changes was not polled: %v", err)
	}
}

func TestSubscriptionsOutliveRebootMoveAndRestart(t *testing.T) {
	overBoth(t, func(t *testing.T, p *program, server string) {
		d := newCamera(t, server, 1, func(c *camera.Config) { c.Reboot = 20 * time.Millisecond; c.Retry = 50 * time.Millisecond })
		filter := "gb28181/" + d.ID() + "/event/#"
		m := connect(t, p.mqtt, filter)
		register(t, d)
		before := subscribed(t, d, "Alarm")
		m.upheld(d.ID(), "alarm", "active")
		alarmIn(t, m, d)
		anew := func(what string) {
			t.Helper()
			now := subscribedAnew(t, d, "Alarm", before.CallID)
			m.upheld(d.ID(), "alarm", "active")
			alarmIn(t, m, d)
			before = now
		}

		m.publish("gb28181/"+d.ID()+"/cmd/reboot", map[string]any{})
		anew("a reboot")

		// A NAT that moved is no reason to begin anew; another address, which has to register, is.
		tcp := server == p.tcp
		if !tcp {
			if err := d.Move(within(t, 5*time.Second), ""); err != nil {
				t.Fatal(err)
			}
			if code := keepalive(t, d); code != 200 {
				t.Errorf("a keepalive from another port got %d", code)
			}
			alarmIn(t, m, d)
			if now, _ := d.Subscription("Alarm"); now.CallID != before.CallID {
				t.Error("another port of the same address has the subscription made anew")
			}
		}
		if err := d.Move(within(t, 5*time.Second), "127.0.0.2"); err != nil {
			t.Fatal(err)
		}
		if code := keepalive(t, d); code != 403 {
			t.Errorf("a keepalive from another address got %d, want 403", code)
		}
		anew("a move")
		m.reported(d.ID(), "", "its new address", func(r map[string]any) bool {
			remote, _ := at(r, "registration.remote").(string)
			a, err := netip.ParseAddrPort(remote)
			return err == nil && a.Addr() == netip.MustParseAddr("127.0.0.2")
		})

		// The bridge restarts on the same ports: what it had subscribed to is not its own any more.
		if _, code := p.stop(); code != 0 {
			t.Fatalf("a clean stop ended with %d", code)
		}
		p = startIn(t, p.folder, baseConfig().with("sip.listen", []string{p.udp, p.tcp}))
		m = connect(t, p.mqtt, filter)
		if !tcp { // over TCP it comes back by itself, for its connection broke
			if code := keepalive(t, d); code != 200 {
				t.Errorf("a keepalive after the restart got %d", code)
			}
		}
		anew("a restart of the bridge")
	}, nil)
}

func TestASubscriptionThatItsDeviceEndsIsMadeAnewOrGivenUp(t *testing.T) {
	t.Parallel() // the first retry is after some seconds
	p := start(t, baseConfig())
	d := newCamera(t, p.udp, 1, nil)
	m := connect(t, p.mqtt)
	register(t, d)
	alarm, catalog := subscribed(t, d, "Alarm"), subscribed(t, d, "Catalog")
	m.upheld(d.ID(), "alarm", "active")
	m.upheld(d.ID(), "catalog", "active")
	for cmd, reason := range map[string]string{"Alarm": "deactivated", "Catalog": "rejected"} {
		if code, err := d.EndSubscription(within(t, 10*time.Second), cmd, reason); code != 200 || err != nil {
			t.Fatalf("the end of %s got %d, %v", cmd, code, err)
		}
	}
	m.upheld(d.ID(), "catalog", "refused")
	subscribedAnew(t, d, "Alarm", alarm.CallID)
	m.upheld(d.ID(), "alarm", "active")
	if s, live := d.Subscription("Catalog"); live && s.CallID != catalog.CallID {
		t.Error("a subscription that its device rejects was asked for again")
	}
}
