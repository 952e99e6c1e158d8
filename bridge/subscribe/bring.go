package subscribe

import (
	"context"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/command"
	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// quietCatalog is how long a subscription to the catalogue may bring nothing until the catalogue is
// asked for: some recorders grant one and never notify (Hikvision, wvp #553).
const quietCatalog = time.Hour

// leastGranted keeps a device that grants seconds from having the whole budget of requests.
const leastGranted = 20 * time.Second

// bring makes one subscription as it is wanted, and tells whether it has changed.
func (m *Manager) bring(ctx context.Context, device gb28181.ID, k Kind, s *subscription, wanted time.Duration) bool {
	now := time.Now()
	moved := s.wanted != wanted
	switch {
	case wanted == 0 && s.live == 0:
		changed := moved || s.state != Off
		*s = subscription{state: Off}
		return changed
	case wanted == 0:
		m.subscribe(ctx, device, k, s, 0) // what a device answers to an end changes nothing
		*s = subscription{state: Off}
		return true
	case k == Catalog && (moved || s.state != Refused) && m.o.Polled(device):
		if s.live > 0 {
			m.subscribe(ctx, device, k, s, 0)
		}
		s.wanted = wanted
		s.refuse(k)
		return true
	case moved && s.state == Refused: // a new wish is asked anew
		*s = subscription{wanted: wanted, state: Pending}
	case moved:
		s.wanted, s.state, s.delay = wanted, Pending, 0
	case s.next.IsZero() || now.Before(s.next):
		return false
	}
	if s.state == Refused {
		return m.poll(ctx, device, k, s)
	}
	m.renew(ctx, device, k, s)
	return true
}

// renew subscribes, or refreshes what is live.
func (m *Manager) renew(ctx context.Context, device gb28181.ID, k Kind, s *subscription) {
	for {
		resp, why := m.subscribe(ctx, device, k, s, k.expires(s.wanted))
		switch {
		case why == nil:
			granted := time.Duration(resp.Expires) * time.Second
			if asked := k.expires(s.wanted); resp.Expires <= 0 || granted > asked { // without Expires, with 0, or beyond sense
				granted = asked
			}
			granted = max(granted, leastGranted)
			s.state, s.live, s.delay, s.dialog = Active, granted, 0, resp.Dialog
			s.next = time.Now().Add(jittered(granted))
			if k == Catalog && m.longQuiet(device) {
				m.askCatalog(ctx, device)
			}
			return
		case resp.Code == 481 && s.dialog.CallID != "": // it has forgotten the dialog
			s.dialog, s.live = sip.Dialog{}, 0
			continue
		case resp.Code == 489 && s.event+1 < len(k.events(0)):
			s.event++
			continue
		case final(resp.Code):
			m.o.Log.Info("subscription refused", "device", device, "kind", k, "code", resp.Code)
			s.refuse(k)
			return
		}
		s.retry()
		return
	}
}

// final tells whether a code says that the device does not do such a thing, rather than that
// it can't now.
func final(code int) bool {
	switch code {
	case 0, 408, 480, 481, 500, 503, 504:
		return false
	}
	return code >= 300
}

// poll asks for the catalogue, for a device that refuses to tell its changes.
func (m *Manager) poll(ctx context.Context, device gb28181.ID, k Kind, s *subscription) bool {
	s.next = time.Time{}
	if k != Catalog {
		return true
	}
	m.askCatalog(ctx, device)
	s.next = time.Now().Add(jittered(s.wanted))
	return true
}

func (m *Manager) askCatalog(ctx context.Context, device gb28181.ID) {
	if m.o.Upkeep(ctx) != nil {
		return // the bridge is stopping
	}
	if err := m.o.Poll(ctx, device); err != nil {
		m.o.Log.Debug("catalog not polled", "device", device, "err", err)
	}
}

// subscribe sends one SUBSCRIBE.
func (m *Manager) subscribe(ctx context.Context, device gb28181.ID, k Kind, s *subscription, expires time.Duration) (sip.Response, *mapping.Error) {
	wait := m.o.Wait
	if s.live > 0 {
		wait = m.o.Upkeep
	}
	if err := wait(ctx); err != nil {
		return sip.Response{}, mapping.Errorf(mapping.CodeUnavailable, "the bridge is stopping")
	}
	if s.id == 0 {
		m.mu.Lock()
		m.lastID++
		s.id = m.lastID
		m.mu.Unlock()
	}
	return m.o.Requester.Request(ctx, device, func(p command.Peer, sn int) sip.Outgoing {
		return sip.Outgoing{
			Method: "SUBSCRIBE", User: device.String(), ContentType: command.ContentType,
			Body: k.query(device.String(), s.wanted).Encode(sn, p.Encoding),
			Subscribe: &sip.Subscribe{
				Event: k.events(s.id)[s.event], Expires: int(expires / time.Second), Dialog: s.dialog,
			},
		}
	})
}
