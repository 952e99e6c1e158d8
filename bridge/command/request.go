package command

import (
	"context"
	"fmt"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/guard"
	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// Request sends one request that is no command, a SUBSCRIBE say, as commands are sent: past
// the breaker, on the device's path, its answer a sign of life. build writes it for the device
// as it is reached now; sn pairs its body with nothing else.
func (e *Engine) Request(ctx context.Context, device gb28181.ID, build func(p Peer, sn int) sip.Outgoing) (sip.Response, *mapping.Error) {
	if why := e.reachable(device); why != nil {
		return sip.Response{}, why
	}
	tell, open := e.o.Breakers.Enter(ctx, device.String())
	if open != nil {
		return sip.Response{}, errOpen(device, open)
	}
	p, known := e.o.Directory.Peer(device)
	if !known || !p.HasPath {
		tell(guard.Withdrawn)
		return sip.Response{}, errNoPath(device)
	}
	e.mu.Lock()
	sn := e.nextSNLocked(device)
	e.mu.Unlock()
	begun, o := time.Now(), build(p, sn)
	resp, err := e.o.Sender.Request(ctx, p.Path, o)
	tell(outcome(resp, err))
	e.ended(device, p.Path, Exchange{begun, o.Method, resp.Code, time.Since(begun)}, resp, err)
	return resp, (&job{e: e, device: device, cmd: new(mapping.Command)}).refused(ctx, resp, err)
}

// Try sends cmd to a device over p, which is not the way to it now: past its breaker, for that
// knows the other way alone. It returns how long the SIP answer took, or why there was none that
// is as good as a success. A Response to it is news like any other.
func (e *Engine) Try(ctx context.Context, device gb28181.ID, p sip.Path, cmd *mapping.Command) (rtt time.Duration, why error) {
	peer, _ := e.o.Directory.Peer(device)
	e.mu.Lock()
	sn := e.nextSNLocked(device)
	e.mu.Unlock()
	begun := time.Now()
	resp, err := e.o.Sender.Request(ctx, p, sip.Outgoing{
		Method: "MESSAGE", User: device.String(), ContentType: ContentType,
		Body: cmd.Encode(sn, device.String(), mapping.Peer{Encoding: peer.Encoding, GBVersion: peer.GBVersion}),
	})
	e.exchanges.note(device, Exchange{begun, cmd.Name + " over " + p.Network.String(), resp.Code, time.Since(begun)})
	switch {
	case err != nil:
		return 0, err
	case outcome(resp, err) != guard.Success:
		return 0, fmt.Errorf("it answered %d %s", resp.Code, resp.Reason)
	}
	e.o.Heard(device)
	return resp.RTT, nil
}
