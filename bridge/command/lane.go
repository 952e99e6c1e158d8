package command

import (
	"cmp"
	"slices"

	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// lanes are the commands of one device that are under way or wait: PTZ has a lane of its
// own, so that no query holds a joystick up. There are none for a device at rest.
type lanes struct {
	common, ptz lane
}

// lane lets so many commands go at a time, in the order in which they came.
type lane struct {
	most    int // that go at a time
	running int
	busy    []string  // turns of running commands: of each turn one at a time
	queue   []*ticket // what waits, the longest first
}

// ticket is a place in a lane.
type ticket struct {
	device gb28181.ID
	ptz    bool
	turn   string        // commands that share it go one after the other; "" for those that need not
	ready  chan struct{} // closed when the command may go
}

// turnOf names what a command waits for besides a place: PTZ goes to each camera one at a time,
// for its order is its meaning; of what a device answers only once, one goes to the device.
func turnOf(target string, cmd *mapping.Command) string {
	switch {
	case cmd.PTZ:
		return target
	case cmd.Alone:
		return cmd.CmdType
	}
	return ""
}

// enter queues a command of device; forced ones, the stops of movements, however long the
// queue is. It returns nil when the queue is full.
func (e *Engine) enter(device gb28181.ID, turn string, ptz, forced bool) *ticket {
	p, _ := e.o.Directory.Peer(device)
	e.mu.Lock()
	defer e.mu.Unlock()
	d := e.lanes[device]
	if d == nil {
		d = new(lanes)
	}
	l := d.of(ptz)
	l.most = cmp.Or(p.Inflight, e.cfg.InflightPerDevice)
	t := &ticket{device: device, turn: turn, ptz: ptz, ready: make(chan struct{})}
	l.queue = append(l.queue, t)
	e.metrics.waiting.Inc()
	e.dispatch(l)
	if !forced && slices.Contains(l.queue, t) && len(l.queue) > e.cfg.QueuePerDevice {
		l.queue = l.queue[:len(l.queue)-1]
		e.metrics.waiting.Dec()
		return nil
	}
	e.lanes[device] = d
	return t
}

// leave gives a place up, whether the command went or still waited.
func (e *Engine) leave(t *ticket) {
	e.mu.Lock()
	defer e.mu.Unlock()
	d := e.lanes[t.device]
	l := d.of(t.ptz)
	if i := slices.Index(l.queue, t); i >= 0 {
		l.queue = slices.Delete(l.queue, i, i+1)
		e.metrics.waiting.Dec()
	} else {
		l.running--
		e.metrics.inflight.Dec()
		if i := slices.Index(l.busy, t.turn); t.turn != "" && i >= 0 {
			l.busy = slices.Delete(l.busy, i, i+1)
		}
		e.dispatch(l)
	}
	if d.common.idle() && d.ptz.idle() {
		delete(e.lanes, t.device)
	}
}

// dispatch lets go who may. e.mu is held.
func (e *Engine) dispatch(l *lane) {
	for i := 0; i < len(l.queue) && l.running < l.most; {
		t := l.queue[i]
		if t.turn != "" && slices.Contains(l.busy, t.turn) {
			i++
			continue
		}
		l.queue = slices.Delete(l.queue, i, i+1)
		l.running++
		if t.turn != "" {
			l.busy = append(l.busy, t.turn)
		}
		e.metrics.waiting.Dec()
		e.metrics.inflight.Inc()
		close(t.ready)
	}
}

func (d *lanes) of(ptz bool) *lane {
	if ptz {
		return &d.ptz
	}
	return &d.common
}

func (l *lane) idle() bool { return l.running == 0 && len(l.queue) == 0 }
