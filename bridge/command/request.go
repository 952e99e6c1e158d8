package command

import (
	"context"
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
	e.exchanges.note(device, Exchange{begun, o.Method, resp.Code, time.Since(begun)})
	if err == nil {
		e.o.Heard(device)
	}
	return resp, (&job{e: e, device: device, cmd: new(mapping.Command)}).refused(ctx, resp, err)
}
