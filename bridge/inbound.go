package bridge

import (
	"net/http"
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
	"MobilePosition":         "position",
	"UploadSnapShotFinished": "snapshot",
	"DeviceUpgradeResult":    "upgrade",
}

// Message routes what a device said: an answer to who asked, news to the shadow and to an
// event.
func (b *Bridge) Message(in *fleet.Inbound) {
	m := in.Message
	if in.Err != nil {
		b.unknownEvent(in)
		return
	}
	switch m.Root {
	case "Response":
		b.commands.Deliver(in.Device, m)
		b.learn(in.Device, m)
	case "Notify":
		switch body := m.Body.(type) {
		case *gb28181.Keepalive:
		case *gb28181.Catalog:
			b.applyCatalog(in.Device, body.Items, false)
		default:
			b.notified(in)
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
		}
	case *gb28181.DeviceStatus:
		patch := mapping.StatusPatch(m, body)
		if recording, known := mapping.Recording(body); known && key.Name != "" {
			patch["recording"] = recording
		}
		b.shadows.Report(key, patch, nil)
	case *gb28181.Catalog:
		b.applyCatalog(device, body.Items, false)
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
	e := event{kind: kind, device: in.Device.String(), at: in.At, fields: mapping.Fields(in.Message)}
	if subject, err := gb28181.ParseID(in.Message.DeviceID); err == nil && subject != in.Device {
		e.channel = subject.String() // an alarm input or a video channel [GB28181-2022 A.2.5.3]
	}
	if !in.MustStore() {
		b.publishEvent(e)
		return
	}
	b.metrics.events.WithLabelValues(kind).Inc()
	b.broker.PublishEvent(b.topics.message(e), func(err error) {
		if err != nil {
			b.log.Error("event not stored, the device is asked to repeat it", "device", in.Device, "event", kind, "err", err)
			in.Answer(http.StatusInternalServerError)
			return
		}
		in.Answer(http.StatusOK)
		if alarm, ok := in.Message.Body.(*gb28181.Alarm); ok {
			b.alarmStored(in, alarm, e)
		}
	})
}

// alarmStored shows an alarm in its channel's shadow and confirms it to the device, which
// may repeat it otherwise [GB28181-2022 A.2.6.2].
func (b *Bridge) alarmStored(in *fleet.Inbound, _ *gb28181.Alarm, e event) {
	if key := b.keyOf(in.Device, in.Message.DeviceID); key.Name != "" {
		last := make(map[string]any, len(e.fields)+1)
		for name, v := range e.fields {
			last[name] = v
		}
		last["ts"] = e.at.UnixMilli()
		b.shadows.Report(key, map[string]any{"alarm": last}, nil)
	}
	b.confirmAlarm(in.Device, in.Message.SN, in.Message.DeviceID)
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
	b.publishEvent(event{kind: "unknown", device: in.Device.String(), at: time.Now(), fields: fields})
}
