package bridge

import (
	"context"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/command"
	"github.com/gb2mqtt/gb2mqtt/broker"
	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
	"github.com/gb2mqtt/gb2mqtt/shadowsync"
)

// incoming takes what a client asks for: a shadow request or a command. It runs on the
// client's goroutine and never waits for a device.
func (b *Bridge) incoming(in *broker.Incoming) {
	if c, ok := b.topics.parseCommand(in.Topic); ok {
		b.command(in, c)
		return
	}
	request := shadowsync.Request{
		Topic: in.Topic, Payload: in.Payload, Client: in.Client, Forbidden: in.Refused,
	}
	if in.HasReply && in.Refused == "" {
		request.Reply = in.Reply
	}
	b.shadows.Handle(request)
}

// command answers one command with exactly one of accepted and rejected.
func (b *Bridge) command(in *broker.Incoming, c commandTopic) {
	answer := &commandAnswer{bridge: b, in: in, topic: c, token: mapping.TokenOf(in.Payload)}
	if why := b.refusal(in, c); why != nil {
		answer.reject(why)
		return
	}
	cmd, why := mapping.ParseCommand(c.name, !c.channel.IsZero(), in.Payload)
	if why != nil {
		answer.reject(why)
		return
	}
	target := c.device
	if !c.channel.IsZero() {
		target = c.channel
	}
	if cmd.Local != nil {
		b.local(c.device, cmd, answer)
		return
	}
	if known := b.lastPosition(c.device, target, cmd); known != nil {
		answer.accept(known)
		return
	}
	b.commands.Start(c.device, target.String(), cmd, func(r command.Result, why *mapping.Error) {
		b.shown(c.device, mapping.Capabilities(cmd, r.Fields, why))
		if why != nil {
			answer.reject(why)
			return
		}
		b.obeyed(c.device, target, cmd, r)
		if cmd.Name == positionCommand {
			if p := mapping.PositionOf(r.Messages[0], target.String()); p != nil {
				r.Fields = p // as the last known one is told
			}
		}
		answer.accept(r.Fields)
	})
}

// positionCommand asks where something is.
const positionCommand = "position"

// refusal tells why a command is not even looked at.
func (b *Bridge) refusal(in *broker.Incoming, c commandTopic) *mapping.Error {
	switch {
	case in.Retain:
		return &mapping.Error{Code: 409, Message: "a retained command is refused: it would run again at every start; publish it without the retain flag"}
	case in.Refused != "":
		return &mapping.Error{Code: 403, Message: in.Refused}
	}
	known, ever := b.fleet.Device(c.device)
	if !ever {
		return &mapping.Error{Code: 404, Message: "device " + c.device.String() + " has never registered here"}
	}
	if !c.channel.IsZero() && c.channel != c.device {
		if _, there := b.fleet.Channel(c.device, c.channel); !there && known.Channels > 0 {
			return &mapping.Error{Code: 404, Message: "device " + c.device.String() + " has no channel " + c.channel.String() +
				" in its catalogue; ask for it anew with the command catalog"}
		}
	}
	return nil
}

// lastPosition answers the command position with the last one that is known; nil for other
// commands, and while none is: the device is asked then.
func (b *Bridge) lastPosition(device, target gb28181.ID, cmd *mapping.Command) map[string]any {
	if cmd.Name != positionCommand {
		return nil
	}
	doc, err := b.shadows.Get(b.keyOf(device, target.String()))
	if err != nil {
		return nil
	}
	position, _ := doc.State.Reported["position"].(map[string]any)
	return position
}

// catalogCommand asks for the whole catalogue.
const catalogCommand = "catalog"

// obeyed shows in the shadow what a device has done, where a desired key has a name for it.
func (b *Bridge) obeyed(device, target gb28181.ID, cmd *mapping.Command, r command.Result) {
	if cmd.Reported != nil {
		key := b.keyOf(device, target.String())
		b.reportTold(key, cmd.Reported)
		if key.Name == "" {
			b.learnConfig(device, cmd.Reported)
		}
	}
	switch {
	case cmd.Name != catalogCommand || cmd.Next != "": // raw may ask for a part of it
	case r.Partial: // each packet has been applied as it came; who is missing may yet be there
		there, _ := b.fleet.Device(device)
		b.shadows.Report(thing(device), map[string]any{"channels": there.Channels}, nil)
		b.publishEvent(event{kind: "catalog", device: device.String(), at: time.Now(), fields: withoutNil(map[string]any{
			"channels": there.Channels, "partial": true, "got": r.Fields["got"], "sum_num": r.Fields["sum_num"],
		})})
	default:
		b.completeCatalog(device, r.Listed)
	}
}

// shown reports what a device has shown that it can or can't do, where that is news.
func (b *Bridge) shown(device gb28181.ID, capabilities map[string]any) {
	if k := thing(device); capabilities != nil && !mapping.Covered(b.reportedAt(k, "capabilities"), capabilities) {
		b.shadows.Report(k, map[string]any{"capabilities": capabilities}, nil)
	}
}

// commandAnswer carries the one answer of a command to where it belongs.
type commandAnswer struct {
	bridge *Bridge
	in     *broker.Incoming
	topic  commandTopic
	token  string
}

func (a *commandAnswer) accept(result map[string]any) {
	if result == nil {
		result = map[string]any{}
	}
	a.send("accepted", 200, map[string]any{"result": result})
}

func (a *commandAnswer) reject(why *mapping.Error) {
	a.send("rejected", why.Code, map[string]any{"code": why.Code, "message": why.Message})
}

func (a *commandAnswer) send(kind string, code int, body map[string]any) {
	body["timestamp"] = time.Now().Unix()
	if a.token != "" {
		body["clientToken"] = a.token
	}
	a.bridge.metrics.answered(code)
	if a.in.HasReply && a.in.Refused == "" {
		a.in.Reply(mustJSON(body), code)
		return
	}
	a.bridge.broker.Publish(broker.Message{
		Topic: a.bridge.topics.answer(a.topic, kind), Payload: mustJSON(body), QoS: 1,
		Event: a.in.Link != "", // it waits for a link that went down meanwhile
	})
}

// ask has the bridge itself ask a device something, and waits for the answer.
func (b *Bridge) ask(ctx context.Context, device gb28181.ID, name string) (command.Result, error) {
	cmd, why := mapping.ParseCommand(name, false, nil)
	if why != nil {
		return command.Result{}, why
	}
	cmd.Slim = name == catalogCommand // each packet is applied as it comes
	r, why := b.commands.Do(ctx, device, device.String(), cmd)
	if why != nil {
		return r, why
	}
	b.obeyed(device, device, cmd, r)
	return r, nil
}

// questions are what a returned device is asked, as the configuration names them. Its quirks
// count from the answer on that tells its model.
func (b *Bridge) questions(device gb28181.ID) []string {
	if own := b.quirks.Of(device).OnRegister; own != nil {
		return own
	}
	return b.cfg.OnRegister
}

// askReturned asks a returned device one of them.
func (b *Bridge) askReturned(ctx context.Context, device gb28181.ID, name string) error {
	_, err := b.ask(ctx, device, name)
	if err != nil {
		b.log.Debug("device not brought up to date yet", "device", device, "cmd", name, "err", err)
	}
	return err
}

// confirmAlarm sends the platform's Response to an alarm, whose To is the device that sent it
// [GB28181-2022 A.1]. A camera that misses it repeats the alarm, so it is sent once.
func (b *Bridge) confirmAlarm(device gb28181.ID, m *gb28181.Message) {
	b.commands.Start(device, device.String(), mapping.AlarmConfirmation(int(m.SN), m.DeviceID), func(_ command.Result, why *mapping.Error) {
		if why != nil {
			b.log.Debug("alarm not confirmed", "device", device, "err", why)
		}
	})
}
