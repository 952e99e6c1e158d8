package bridge

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/command"
	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/bridge/guard"
	"github.com/gb2mqtt/gb2mqtt/bridge/subscribe"
	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// The bounds of what is not worth a word.
const (
	statusTimeout = 4 * time.Second // of the question that diagnose asks the device
	clockSkew     = time.Minute
	slowAnswer    = time.Second
	manyTimeouts  = 3 // of the last exchanges
	slightJitter  = 0.2
)

// online tells whether commands to a device make sense.
func (b *Bridge) online(d fleet.Device) bool { return d.Presence == fleet.Online }

func (b *Bridge) isOnline(device gb28181.ID) bool {
	d, known := b.fleet.Device(device)
	return known && b.online(d)
}

// diagnosis is what is known of a device, and in words what is wrong with it.
type diagnosis struct {
	fields   map[string]any
	findings []any
}

func (d *diagnosis) find(problem, action string) {
	d.findings = append(d.findings, map[string]any{"problem": problem, "action": action})
}

// diagnose gathers what is known of a device. It asks the device for its status, where it is
// there, for the guard and the clock.
func (b *Bridge) diagnose(ctx context.Context, device gb28181.ID) map[string]any {
	d := &diagnosis{fields: make(map[string]any)}
	known, _ := b.fleet.Device(device)
	b.diagnoseRegistration(d, known)
	if b.online(known) {
		b.diagnoseStatus(ctx, d, device)
	}
	b.diagnoseLink(d, known)
	b.diagnoseSubscriptions(d, device, b.online(known))
	b.diagnoseExchanges(d, device)
	if len(d.findings) == 0 {
		d.find("nothing is wrong that can be seen from here", "none")
	}
	d.fields["findings"] = d.findings
	return d.fields
}

func (b *Bridge) diagnoseRegistration(d *diagnosis, known fleet.Device) {
	d.fields["presence"], d.fields["presence_reason"] = known.Presence.String(), known.Reason
	d.fields["lifecycle"] = known.Lifecycle.String()
	d.fields["keepalive"] = keepaliveOf(known)
	d.fields["encoding"] = b.sendingEncoding(known).String()
	if names := b.quirks.Of(known.ID).Names(); names != nil {
		d.fields["quirks"] = names
	}
	d.fields["breaker"] = b.breakers.State(known.ID.String()).String()
	if known.Reason != fleet.ReasonRestarted {
		d.fields["last_seen_at"] = known.LastSeen.UnixMilli()
	}
	if known.HasPath {
		d.fields["path"] = map[string]any{"transport": known.Path.Network.String(), "remote": known.Path.Remote.String(), "local": known.Path.Local.String()}
	}
	r := known.Registration
	d.fields["registration"] = withoutNil(map[string]any{
		"registered": known.Registered, "at": r.At.UnixMilli(), "expires": r.Expires, "expires_at": r.ExpiresAt.UnixMilli(),
		"user_agent": r.UserAgent, "gb_version": r.GBVersion,
	})
	switch {
	case !known.Registered:
		d.find("it has no registration", "check its SIP server address, its ID and its password; it appears here once it has registered")
	case known.Presence == fleet.Unknown:
		d.find("it has been silent for longer than its keepalive interval allows ("+known.Reason+")", "check its power and its network")
	case known.Presence == fleet.Offline:
		d.find("it is offline ("+known.Reason+")", "check its power and its network; it is back with its next sign of life")
	}
	if other := b.rivals.of(known.ID, time.Now().Add(-rivalsRemembered)); other != "" {
		d.find("two devices have its ID: it was registered from "+other+" and from elsewhere in turn", "give one of them another ID")
	}
	if known.Presence == fleet.Online && !known.HasPath {
		d.find("there is no way to it: its TCP connection has ended", "it is reached again once it has registered")
	}
	if configured := b.cfg.Fleet.Keepalive.Interval; known.Heartbeat.Interval != configured && known.Reason == fleet.ReasonKeepaliveLost {
		d.find(fmt.Sprintf("its own keepalive interval is %v, sip.keepalive.interval is %v", known.Heartbeat.Interval, configured),
			"set the interval on the device (config.basic.heart_beat_interval) and here alike")
	}
	if state := b.breakers.State(known.ID.String()); state != guard.Closed {
		d.find("its breaker is "+state.String(), "commands are refused until it answers again; the next sign of life has it tried")
	}
}

// diagnoseLink tells what was measured of the way to a device within the last minutes.
func (b *Bridge) diagnoseLink(d *diagnosis, known fleet.Device) {
	if known.Other.Network != 0 {
		d.fields["other_path"] = map[string]any{"transport": known.Other.Network.String(), "remote": known.Other.Remote.String()}
	}
	l, measured := b.links.Link(known.ID.String())
	if !measured {
		return
	}
	d.fields["health"] = math.Round(l.Health*100) / 100
	d.fields["link"] = map[string]any{
		"level": l.Level.String(), "requests": l.Requests, "jitter": math.Round(l.Jitter*100) / 100,
		"timeouts": math.Round(l.Timeouts*100) / 100, "denials": l.Denials,
	}
	switch {
	case l.Level == guard.Good:
	case l.Denials > 0 && l.Timeouts == 0 && l.Jitter < slightJitter:
		d.find("its credentials were refused within the last minute", "check its password; a second client may be using its ID at its address")
	case known.Other.Network == 0:
		d.find(fmt.Sprintf("the link to it is %s: jitter %.2f, %.0f%% of the requests lost", l.Level, l.Jitter, 100*l.Timeouts),
			"check the network; a device that is registered over TCP too is asked there when UDP is bad")
	default:
		d.find(fmt.Sprintf("the link to it is %s: jitter %.2f, %.0f%% of the requests lost", l.Level, l.Jitter, 100*l.Timeouts),
			"check the network; the other path is taken once this one is bad and the other one answers")
	}
}

func (b *Bridge) diagnoseStatus(ctx context.Context, d *diagnosis, device gb28181.ID) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	r, err := b.ask(ctx, device, "device_status")
	if err != nil {
		d.fields["status"] = err.Error()
		d.find("it does not answer a query for its status: "+err.Error(),
			"if it answers nothing at all, sip.advertise may name an address that it can't reach")
		return
	}
	if at, told := r.Fields["device_time"].(int64); told {
		skew := time.Until(time.UnixMilli(at)).Round(time.Second)
		d.fields["clock_skew_s"] = int64(skew / time.Second)
		if skew.Abs() > clockSkew {
			d.find(fmt.Sprintf("its clock is %v off", skew), "set its time zone to UTC+8, or its NTP server; it takes the Date of its next registration otherwise; one of another zone is told as clock.zone in devices.quirks")
		}
	}
	doc, err := b.shadows.Get(thing(device))
	guardState, _ := doc.State.Reported["guard"].(string)
	if err == nil && guardState != "" {
		d.fields["guard"] = guardState
	}
	if guardState == "off" {
		d.find("it is not on guard", `many devices report alarms only while they are: set desired {"guard": "on"}`)
	}
}

func (b *Bridge) diagnoseSubscriptions(d *diagnosis, device gb28181.ID, online bool) {
	upheld, states := b.subscriptions.Of(device)
	told := make(map[string]any, len(states))
	for k, state := range states {
		told[k.String()] = map[string]any{"state": string(state), "seconds": int64(upheld[k] / time.Second)}
	}
	d.fields["subscriptions"] = told
	if !online {
		return
	}
	switch states[subscribe.Alarm] {
	case subscribe.Off:
		d.find("there is no subscription to alarms", "set devices.subscribe.alarm, or desired subscriptions.alarm; some devices send alarms unasked")
	case subscribe.Refused:
		d.find("it refuses a subscription to alarms", "it may send them unasked while it is on guard")
	}
	if states[subscribe.Catalog] == subscribe.Refused {
		d.find("it refuses a subscription to its catalog", "none: the catalog is asked for at that interval instead")
	}
}

func (b *Bridge) diagnoseExchanges(d *diagnosis, device gb28181.ID) {
	last := b.commands.Exchanges(device)
	list := make([]any, 0, len(last))
	lost, slow := 0, 0
	refused := map[int]command.Exchange{}
	for _, x := range last {
		list = append(list, map[string]any{"at": x.At.UnixMilli(), "what": x.What, "code": x.Code, "took_ms": x.Took.Milliseconds()})
		switch {
		case x.Code == 0:
			lost++
		case x.Code >= 400:
			refused[x.Code] = x
		case x.Took > slowAnswer:
			slow++
		}
	}
	d.fields["exchanges"] = list
	if lost >= manyTimeouts {
		d.find(fmt.Sprintf("%d of the last %d requests were left without an answer", lost, len(last)),
			"check the network for loss, and sip.advertise; over TCP nothing is lost on the way")
	}
	if slow > len(last)/2 {
		d.find("most of its answers take longer than a second", "lower limits.inflight_per_device; it may be overloaded")
	}
	for code, x := range refused {
		d.find(fmt.Sprintf("it answered %s with %d", x.What, code), mapping.AdviceFor(code))
	}
}
