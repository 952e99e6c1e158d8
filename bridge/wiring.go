package bridge

import (
	"cmp"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/command"
	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/bridge/leak"
	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/broker"
	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
	"github.com/gb2mqtt/gb2mqtt/shadowsync"
)

// What one room asks of another, without knowing it.

// directory tells the commands how a device is reached.
type directory struct{ *Bridge }

func (d directory) Peer(device gb28181.ID) (command.Peer, bool) {
	known, ok := d.fleet.Device(device)
	if !ok {
		return command.Peer{}, false
	}
	q := d.quirks.Of(device)
	return command.Peer{
		Path: known.Path, HasPath: known.HasPath, Online: known.Presence == fleet.Online,
		Presence: known.Presence.String(), Reason: known.Reason, Inflight: q.Inflight,
		Peer: mapping.Peer{
			Encoding: d.sendingEncoding(known), GBVersion: cmp.Or(q.GBVersion, known.Registration.GBVersion),
			Zone: q.Location(), IFrame: q.IFrame, Speeds: mapping.Speeds(q.PTZSpeed),
		},
	}, true
}

// sendingEncoding is what a device is written to in: what is configured, else what it
// speaks itself, else what its edition of the standard names [GB28181-2022 6.10].
func (b *Bridge) sendingEncoding(d fleet.Device) gb28181.Encoding {
	q := b.quirks.Of(d.ID)
	switch cmp.Or(q.Encoding, b.cfg.Encoding) {
	case "gb18030":
		return gb28181.GB18030
	case "utf-8":
		return gb28181.UTF8
	}
	switch {
	case d.Encoding != gb28181.ASCII:
		return d.Encoding
	case cmp.Or(q.GBVersion, d.Registration.GBVersion) >= "3":
		return gb28181.GB18030
	}
	return gb28181.GB2312
}

// classify tells who may publish on a topic: ours by the tree of topics and by that of the
// shadow service, the rest is the clients' own.
func (b *Bridge) classify(topic string) broker.Class {
	if class := b.topics.classify(topic); class != broker.Open {
		return class
	}
	_, op, ok := shadowsync.ParseTopic(b.cfg.Shadow.Prefix, topic)
	switch {
	case !ok:
		return broker.Open
	case op.Request():
		return broker.Request
	}
	return broker.Owned
}

// knownThing tells whether a thing is a device that has been seen.
func (b *Bridge) knownThing(thing string) bool {
	id, err := gb28181.ParseID(thing)
	if err != nil {
		return false
	}
	_, known := b.fleet.Device(id)
	return known
}

// knownDevices is the size of the fleet.
func (b *Bridge) knownDevices() int {
	online, offline, unknown := b.fleet.Counts()
	return online + offline + unknown
}

// admit finds a slot for a registration.
func (b *Bridge) admit(now time.Time) (leave func(), retryAfter time.Duration) {
	slot, retryAfter := b.capacity.Enter(now)
	if slot == nil {
		return nil, retryAfter
	}
	return func() { slot.Leave(time.Now()) }, 0
}

// connections lists the TCP connections of devices with their owners, for the sweeper.
func (b *Bridge) connections(each func(leak.Resource)) {
	b.endpoint.Connections(func(c sip.Connection) {
		each(leak.Resource{
			Label: c.Name, Used: c.Used, Reclaim: c.Close,
			Owned: func() bool { return b.fleet.Owns(c.Path) },
		})
	})
}

// mqttClient tells the fleet of a device's own MQTT client: one whose user is named like
// the device.
func (b *Bridge) mqttClient(user, _ string, connected bool) {
	id, err := gb28181.ParseID(user)
	if err != nil {
		return
	}
	if connected {
		b.fleet.MQTTConnected(id)
	} else {
		b.fleet.MQTTDisconnected(id)
	}
}

// failing names the parts that are not in order, for /readyz.
func (b *Bridge) failing() []string {
	var parts []string
	if err := b.store.Err(); err != nil {
		parts = append(parts, "store: "+err.Error())
	}
	for _, link := range b.broker.Links() {
		if !link.Up {
			parts = append(parts, "link "+link.Name+": "+link.Err+" (breaker "+link.Breaker+")")
		}
	}
	return parts
}

var _ fleet.Sink = (*Bridge)(nil)
var _ shadowsync.Observer = (*Bridge)(nil)
