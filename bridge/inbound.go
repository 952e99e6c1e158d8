package bridge

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
	"github.com/gb2mqtt/gb2mqtt/shadowsync"
)

// notifications names the event that each Notify of a device becomes.
var notifications = map[string]string{
	"Alarm":                  "alarm",
	"MediaStatus":            "media_status",
	"VideoUploadNotify":      "stream", // a body camera wants to be watched [GB28181-2022 A.2.5.8]
	"PTZPosition":            "ptz",
	"UploadSnapShotFinished": "snapshot",
	"DeviceUpgradeResult":    "upgrade",
}

// Message routes what a device said: an answer to who asked, news to the shadow and to an
// event.
func (b *Bridge) Message(in *fleet.Inbound) {
	m := in.Message
	m.Zone = b.quirks.Of(in.Device).Location()
	if in.Err != nil {
		if m.Root == "Response" && (m.CmdType == "RecordInfo" || m.CmdType == "Catalog") {
			// Hikvision breaks its list of recordings off over long spans (wvp #291): the items
			// before that count, and the answer is partial.
			b.commands.Deliver(in.Device, m)
		}
		b.unknownEvent(in)
		return
	}
	switch m.Root {
	case "Response":
		asked := b.commands.Deliver(in.Device, m)
		b.learn(in.Device, m)
		if m.CmdType == "MobilePosition" && !asked {
			b.positions(in) // some notify with the root Response
		}
	case "Notify":
		switch body := m.Body.(type) {
		case *gb28181.Keepalive:
			b.keepaliveTold(in, body)
		case *gb28181.Catalog:
			b.subscriptions.HeardCatalog(in.Device)
			b.applyCatalog(in.Device, body.Items)
		default:
			switch m.CmdType {
			case "MobilePosition":
				b.commands.Deliver(in.Device, m) // some answer the query so
				b.positions(in)
			case "PTZPosition":
				b.ptzPosition(in)
			default:
				b.notified(in)
			}
		}
	default:
		b.unknownEvent(in)
	}
}

// learn takes from an answer what the shadow shows, whoever asked for it.
func (b *Bridge) learn(device gb28181.ID, m *gb28181.Message) {
	if refused, _ := m.Refused(); refused {
		return
	}
	key := b.keyOf(device, m.DeviceID)
	switch body := m.Body.(type) {
	case *gb28181.DeviceInfo:
		if key.Name == "" {
			b.shadows.Report(key, map[string]any{"info": mapping.InfoPatch(body)}, nil)
			b.identified(device, body)
		}
	case *gb28181.DeviceStatus:
		patch := mapping.StatusPatch(m, body)
		if recording, known := mapping.Recording(body); known && key.Name != "" {
			patch["recording"] = recording
		}
		b.reportTold(key, patch)
	case *gb28181.Catalog:
		b.applyCatalog(device, body.Items)
	default:
		b.learnFields(device, key, m)
	}
}

// learnFields takes over the answers that have no type of their own.
func (b *Bridge) learnFields(device gb28181.ID, key shadowsync.Key, m *gb28181.Message) {
	switch m.CmdType {
	case "ConfigDownload":
		if patch := mapping.ConfigPatch(m); patch != nil {
			b.reportTold(key, b.asDesired(key, patch))
			if key.Name == "" {
				b.learnConfig(device, patch)
			}
		}
	case "HomePositionQuery":
		if home, told := mapping.Fields(m)["home_position"]; told && key.Name != "" {
			b.shadows.Report(key, map[string]any{"home_position": home}, nil)
		}
	case "PTZPosition":
		if patch := mapping.PTZPatch(m); patch != nil && key.Name != "" {
			b.shadows.Report(key, patch, nil)
		}
	}
}

// positions publishes where a device or its channels are, each as an event of its own.
func (b *Bridge) positions(in *fleet.Inbound) {
	for _, p := range mapping.Positions(in.Message) {
		b.publishEvent(b.eventOf("position", in, p.DeviceID, maps.Clone(p.Fields)))
		if key := b.keyOf(in.Device, p.DeviceID); b.frequent.allow(key, "position", in.At) {
			last := maps.Clone(p.Fields)
			last["ts"] = in.At.UnixMilli()
			b.shadows.Report(key, map[string]any{"position": last}, nil)
		}
	}
}

// eventOf makes an event of what a device says of subject: of a channel of it, else of itself.
// An ID that is none of its channels' is kept as the field device_id: a device speaks for itself
// alone. One whose catalogue is not known may name any but another device.
func (b *Bridge) eventOf(kind string, in *fleet.Inbound, subject string, fields map[string]any) event {
	e := event{kind: kind, device: in.Device.String(), at: in.At, fields: withHeaders(fields, in.Headers)}
	if subject == "" || subject == e.device {
		return e
	}
	id, err := gb28181.ParseID(subject)
	_, its := b.fleet.Channel(in.Device, id)
	if err == nil && !its {
		sender, _ := b.fleet.Device(in.Device)
		_, foreign := b.fleet.Device(id)
		its = sender.Channels == 0 && !foreign
	}
	if its {
		e.channel = subject
	} else {
		e.fields["device_id"] = subject
	}
	return e
}

// withHeaders adds what a vendor's SIP headers say.
func withHeaders(fields map[string]any, headers map[string]string) map[string]any {
	if len(headers) > 0 {
		fields["headers"] = headers
	}
	return fields
}

// ptzPosition publishes where a camera looks, and shows it in its shadow.
func (b *Bridge) ptzPosition(in *fleet.Inbound) {
	b.notified(in)
	key := b.keyOf(in.Device, in.Message.DeviceID)
	if patch := mapping.PTZPatch(in.Message); patch != nil && key.Name != "" && b.frequent.allow(key, "ptz", in.At) {
		b.shadows.Report(key, patch, nil)
	}
}

// keyOf is the shadow that a body's DeviceID speaks of: a channel's when the device has
// that channel, else the device's own.
func (b *Bridge) keyOf(device gb28181.ID, subject string) shadowsync.Key {
	if ch, err := gb28181.ParseID(subject); err == nil && ch != device {
		if _, known := b.fleet.Channel(device, ch); known {
			return channelThing(device, ch)
		}
	}
	return thing(device)
}

// notified publishes a notification as the event of its kind. One that can't be asked for
// again is stored first, and only then is the device answered.
func (b *Bridge) notified(in *fleet.Inbound) {
	kind, known := notifications[in.Message.CmdType]
	if !known {
		b.unknownEvent(in)
		return
	}
	e := b.eventOf(kind, in, in.Message.DeviceID, mapping.Fields(in.Message))
	if !in.MustStore() {
		b.publishEvent(e)
		return
	}
	if alarm, ok := in.Message.Body.(*gb28181.Alarm); ok {
		b.alarm(in, alarm, e)
		return
	}
	b.storeEvent(in, e, in.Answer)
}

// storeEvent publishes an event that must not be lost, and tells answered once it is stored (200) or
// could not be (500).
func (b *Bridge) storeEvent(in *fleet.Inbound, e event, answered func(code int)) {
	b.metrics.events.WithLabelValues(e.kind).Inc()
	b.broker.PublishEvent(b.topics.message(e), func(err error) {
		if err != nil {
			b.log.Error("event not stored, the device is asked to repeat it", "device", in.Device, "event", e.kind, "err", err)
			answered(http.StatusInternalServerError)
			return
		}
		answered(http.StatusOK)
	})
}

// alarm stores an alarm, shows it in its channel's shadow and confirms it to the device. Some
// send it by MESSAGE and by NOTIFY, once they have a subscription: both are confirmed, and one
// event.
func (b *Bridge) alarm(in *fleet.Inbound, alarm *gb28181.Alarm, e event) {
	first := b.twins.first(in, alarm, func(stored bool) {
		if stored {
			b.confirmAlarm(in.Device, in.Message)
		}
	})
	if first == nil {
		return
	}
	b.storeEvent(in, e, func(code int) {
		in.Answer(code)
		b.twins.answered(in.Device, first, code)
		if code == http.StatusOK {
			b.alarmStored(in, e)
			b.confirmAlarm(in.Device, in.Message)
		}
	})
}

// alarmStored shows an alarm in the shadows.
func (b *Bridge) alarmStored(in *fleet.Inbound, e event) {
	key := b.keyOf(in.Device, in.Message.DeviceID)
	if key.Name != "" {
		last := maps.Clone(e.fields)
		delete(last, "headers")
		last["ts"] = e.at.UnixMilli()
		b.shadows.Report(key, map[string]any{"alarm": last}, nil)
	}
	for _, k := range slices.Compact([]shadowsync.Key{thing(in.Device), key}) {
		if b.reportedAt(k, "guard") == "on" {
			b.shadows.Report(k, map[string]any{"guard_alarm": true}, nil)
		}
	}
}

// unknownEvent publishes what nobody here understands: its fields may mean something to
// its reader.
func (b *Bridge) unknownEvent(in *fleet.Inbound) {
	if in.MustStore() {
		in.Answer(http.StatusOK)
	}
	fields := mapping.Fields(in.Message)
	if in.Err != nil {
		fields["error"] = in.Err.Error()
	}
	if _, named := fields["cmd_type"]; !named && in.Message.CmdType != "" {
		fields["cmd_type"] = in.Message.CmdType
	}
	b.publishEvent(event{kind: "unknown", device: in.Device.String(), at: time.Now(), fields: withHeaders(fields, in.Headers)})
}
