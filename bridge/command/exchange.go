package command

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/guard"
	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// ContentType is what bodies are sent as [GB28181-2022 A.1].
const ContentType = "Application/MANSCDP+xml"

// exchange sends the command and waits for its answer: until ends with the command's
// timeout, ctx only with who asked or with the Engine.
func (j *job) exchange(ctx, until context.Context) (Result, *mapping.Error) {
	e, cmd := j.e, j.cmd
	tell, open := e.o.Breakers.Enter(until, j.device.String())
	if open != nil {
		if e.ending.Err() != nil {
			return Result{}, errStopping()
		}
		return Result{}, errOpen(j.device, open)
	}
	p, known := e.o.Directory.Peer(j.device) // it may have moved while the command waited
	if !known || !p.HasPath {
		tell(guard.Withdrawn)
		return Result{}, errNoPath(j.device)
	}
	sn, w := e.expect(j.device, j.target, cmd)
	defer e.forget(j.device, w)
	moved := e.motions.began(j)
	begun := time.Now()
	resp, err := e.o.Sender.Request(until, p.Path, sip.Outgoing{
		Method: "MESSAGE", User: j.target, ContentType: ContentType,
		Body: cmd.Encode(sn, j.target, p.Peer),
	})
	tell(outcome(resp, err))
	e.ended(j.device, p.Path, Exchange{begun, cmd.Name, resp.Code, time.Since(begun)}, resp, err)
	e.motions.sent(j, moved, err == nil && resp.Code >= 300)
	// A Response stands in for a 200 that was lost; a status that refuses is final.
	if why := j.refused(ctx, resp, err); why != nil && (err == nil || !w.answered()) {
		return Result{}, why
	}
	inside := responseIn(resp, p.Zone)
	if inside != nil && e.o.Inside != nil {
		e.o.Inside(j.device, inside)
	}
	if cmd.Answer == mapping.AnswerNone && err == nil {
		return j.acknowledged(inside)
	}
	if inside != nil {
		w.add(inside)
	}
	return j.await(ctx, until, w)
}

// ended tells of a request to device whatever came of it: to who asks why, to who measures the
// link, and as a sign of life.
func (e *Engine) ended(device gb28181.ID, p sip.Path, x Exchange, resp sip.Response, err error) {
	e.exchanges.note(device, x)
	if e.o.Measure != nil {
		e.o.Measure(device, p, outcome(resp, err), resp.RTT)
	}
	if err == nil {
		e.o.Heard(device)
	}
}

// responseIn reads the Response that some devices put into the 200 itself; nil for none. What
// can't be read there was not meant for us. zone is of its times.
func responseIn(resp sip.Response, zone *time.Location) *gb28181.Message {
	if len(resp.Body) == 0 {
		return nil
	}
	m, err := gb28181.Decode(resp.Body)
	if err != nil || m.Root != "Response" {
		return nil
	}
	m.Zone = zone
	return m
}

// acknowledged ends a command that the standard leaves unanswered [GB28181-2022 9.3.1 d]: its
// 200 decides. A Response that some devices send all the same counts only in the 200 itself, for
// whether another came before the 200 or after it is a matter of chance.
func (j *job) acknowledged(inside *gb28181.Message) (Result, *mapping.Error) {
	if inside != nil {
		if refused, text := inside.Refused(); refused {
			return Result{}, j.refusedBy(text)
		}
	}
	r := Result{Fields: map[string]any{}}
	maps.Copy(r.Fields, j.cmd.Adds)
	return r, nil
}

// refusedBy tells a Response that refuses, in the device's words.
func (j *job) refusedBy(text string) *mapping.Error {
	code := mapping.CodeDeviceError
	if j.cmd.Unowed {
		code = mapping.CodeNotSupported
	}
	return mapping.Errorf(code, "device %s refused %s: %s", j.device, j.cmd.Name, text)
}

// outcome is what the breaker learns from a request: any final answer but a 408, 480 or 5xx
// tells that the device lives.
func outcome(resp sip.Response, err error) guard.Outcome {
	switch {
	case errors.Is(err, sip.ErrTimeout), err == nil && resp.Code == 408:
		return guard.Timeout
	case errors.Is(err, sip.ErrNoPath), err == nil && (resp.Code == 480 || resp.Code/100 == 5):
		return guard.Failure
	case err != nil:
		return guard.Withdrawn
	}
	return guard.Success
}

// refused turns a SIP answer into the contract's codes; nil for a 2xx.
func (j *job) refused(ctx context.Context, resp sip.Response, err error) *mapping.Error {
	switch {
	case errors.Is(err, sip.ErrTimeout):
		return mapping.Errorf(mapping.CodeTimeout, "device %s did not answer the SIP request in time", j.device)
	case errors.Is(err, sip.ErrNoPath):
		return errNoPath(j.device)
	case errors.Is(err, sip.ErrClosed):
		return errStopping()
	case err != nil && (j.e.ending.Err() != nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
		return j.gaveUp(ctx, "device %s did not answer the SIP request", j.device)
	case err != nil:
		return mapping.Errorf(mapping.CodeInternal, "the request to device %s could not be sent: %v", j.device, err)
	}
	code := mapping.CodeDeviceError
	switch resp.Code {
	case 404:
		code = mapping.CodeNotFound
	case 408:
		code = mapping.CodeTimeout
	case 480, 486, 503:
		code = mapping.CodeUnavailable
	case 405, 415, 501:
		code = mapping.CodeNotSupported
	case 400: // it can't read it, or does not know it
		if j.cmd.Unowed {
			code = mapping.CodeNotSupported
		}
	default:
		if resp.Code/100 == 2 {
			return nil
		}
	}
	return mapping.Errorf(code, "device %s answered %d %s", j.device, resp.Code, resp.Reason)
}

func errStopping() *mapping.Error {
	return mapping.Errorf(mapping.CodeUnavailable, "the bridge is stopping")
}

func errNoPath(device gb28181.ID) *mapping.Error {
	return mapping.Errorf(mapping.CodeUnavailable, "there is no path to device %s; it is reached again once it has registered", device)
}

func errOpen(device gb28181.ID, open *guard.OpenError) *mapping.Error {
	return mapping.Errorf(mapping.CodeUnavailable, "device %s: %v", device, open)
}
