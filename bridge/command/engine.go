// Package command carries commands to devices and brings their answers back: in-flight
// limits, deadlines, SN pairing, answers of many packets, movements that must be stopped.
//
//	Do, Start ─▶ presence? breaker? ─▶ lane ─▶ SN, waiter ─▶ Sender ──▶ device
//	   ▲                                           ▲                      │
//	   └── Result | Error ◀────────────────────────┴──── Deliver ◀────────┘
//	Run ─▶ stops of movements
package command

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/guard"
	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
	"github.com/prometheus/client_golang/prometheus"
)

// Sender sends one SIP request and returns its final answer.
type Sender interface {
	Request(ctx context.Context, p sip.Path, o sip.Outgoing) (sip.Response, error)
}

// Directory knows how devices are reached.
type Directory interface {
	Peer(device gb28181.ID) (Peer, bool)
}

// Peer is what a command must know of its device.
type Peer struct {
	Path     sip.Path
	HasPath  bool
	Online   bool
	Presence string // in the words of the contract, for messages
	Reason   string // of the presence
	Inflight int    // commands that it takes at once; 0: Config.InflightPerDevice

	mapping.Peer // how it is written to
}

// Options are what an Engine works with.
type Options struct {
	Sender     Sender
	Directory  Directory
	Breakers   *guard.Breakers
	Heard      func(device gb28181.ID)                     // a device answered: a sign of life
	Inside     func(device gb28181.ID, m *gb28181.Message) // told of a Response that came within the 200; nil: nobody
	Measure    Measure                                     // nil: nobody measures
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Measure is told how a request over p ended, and how long its answer took where there was one.
// It must not block.
type Measure func(device gb28181.ID, p sip.Path, o guard.Outcome, rtt time.Duration)

// Result is what a device answered.
type Result struct {
	Fields   map[string]any     // of accepted.result
	Messages []*gb28181.Message // of a list none: its packets are not kept
	Listed   []mapping.Listed   // of a whole catalogue: all of its items, where Fields have a page or, of a slim one, none
	Partial  bool               // a list of which items are missing
}

// Engine carries commands. At most once on the wire beyond SIP's own retransmissions, and
// exactly one answer for each, also when it stops.
type Engine struct {
	cfg     Config
	o       Options
	log     *slog.Logger
	metrics *metrics
	motions motions
	pages   pages

	exchanges exchanges

	ending context.Context // ends when the Engine stops taking commands
	end    context.CancelFunc
	jobs   sync.WaitGroup // commands that have not been answered

	mu      sync.Mutex // guards what follows; never held while sending or in a callback
	closed  bool
	lanes   map[gb28181.ID]*lanes
	waiters map[gb28181.ID][]*waiter
	sns     map[gb28181.ID]int // the last SN of each device
}

// New returns an Engine that takes commands at once; Run stops what moves.
func New(cfg Config, o Options) (*Engine, error) {
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		cfg: cfg, o: o, log: o.Log, metrics: m,
		lanes: make(map[gb28181.ID]*lanes), waiters: make(map[gb28181.ID][]*waiter), sns: make(map[gb28181.ID]int),
	}
	e.ending, e.end = context.WithCancel(context.Background())
	e.exchanges.devices = make(map[gb28181.ID][]Exchange)
	e.motions.init(e)
	e.pages.init(cfg.CatalogItems)
	return e, nil
}

// Run stops movements when their time is over, until ctx ends. Then it refuses new commands,
// ends those that wait with 503, and stops every camera that still moves.
func (e *Engine) Run(ctx context.Context) error {
	e.motions.run(ctx)
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.end()
	e.jobs.Wait()
	e.motions.stopAll()
	return nil
}

// Do carries cmd to a device or to its channel target, and returns when it is answered or
// refused.
func (e *Engine) Do(ctx context.Context, device gb28181.ID, target string, cmd *mapping.Command) (Result, *mapping.Error) {
	begun := time.Now()
	j, why := e.admit(device, target, cmd)
	var r Result
	if why == nil {
		r, why = j.run(ctx)
		e.jobs.Done()
	}
	e.metrics.answered(cmd.Name, why, time.Since(begun))
	return r, why
}

// Start is Do for who must not wait: it takes its place among the device's commands before
// it returns, so that commands go out in the order in which they were started, and calls
// done once, from a goroutine of the Engine or before it returns.
func (e *Engine) Start(device gb28181.ID, target string, cmd *mapping.Command, done func(Result, *mapping.Error)) {
	begun := time.Now()
	j, why := e.admit(device, target, cmd)
	if why != nil {
		e.metrics.answered(cmd.Name, why, time.Since(begun))
		done(Result{}, why)
		return
	}
	go func() { // as many as the limits of the lanes let in
		defer e.jobs.Done()
		r, why := j.run(context.Background())
		e.metrics.answered(cmd.Name, why, time.Since(begun))
		done(r, why)
	}()
}

// job is a command that has been let in.
type job struct {
	e      *Engine
	device gb28181.ID
	target string
	cmd    *mapping.Command
	ticket *ticket // nil: the answer is a page that is there already
	ends   time.Time
}

// admit refuses a command that can't be carried now, or gives it its place in a lane.
func (e *Engine) admit(device gb28181.ID, target string, cmd *mapping.Command) (*job, *mapping.Error) {
	e.mu.Lock()
	closed := e.closed
	if !closed {
		e.jobs.Add(1)
	}
	e.mu.Unlock()
	if closed {
		return nil, errStopping()
	}
	j := &job{e: e, device: device, target: target, cmd: cmd, ends: time.Now().Add(cmd.Timeout)}
	if cmd.Next != "" {
		return j, nil
	}
	why := e.reachable(device)
	if why == nil {
		if j.ticket = e.enter(device, turnOf(target, cmd), cmd.PTZ, false); j.ticket == nil {
			why = mapping.Errorf(mapping.CodeOverLimit,
				"as many commands to device %s are under way as limits.inflight_per_device (or its quirks) lets go, and %d wait, which is limits.queue_per_device; wait for their answers",
				device, e.cfg.QueuePerDevice)
		}
	}
	if why != nil {
		e.jobs.Done()
		return nil, why
	}
	return j, nil
}

// reachable refuses what would not arrive.
func (e *Engine) reachable(device gb28181.ID) *mapping.Error {
	p, known := e.o.Directory.Peer(device)
	switch {
	case !known:
		return mapping.Errorf(mapping.CodeNotFound, "device %s has never registered here", device)
	case !p.Online:
		return mapping.Errorf(mapping.CodeUnavailable, "device %s is %s (%s); try again once its presence is online", device, p.Presence, p.Reason)
	case !p.HasPath:
		return errNoPath(device)
	}
	if open := e.o.Breakers.Check(device.String()); open != nil {
		return errOpen(device, open)
	}
	return nil
}

// run carries the command through, from its place in the lane to its answer.
func (j *job) run(ctx context.Context) (Result, *mapping.Error) {
	if j.ticket == nil {
		return j.e.nextPage(j.device, j.cmd)
	}
	defer j.e.leave(j.ticket)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(j.e.ending, cancel)()

	until, stop := context.WithDeadline(ctx, j.ends)
	defer stop()
	select {
	case <-j.ticket.ready:
	case <-until.Done():
	}
	if err := until.Err(); err != nil {
		return Result{}, j.gaveUp(ctx, "it waited behind other commands to device %s and was not sent", j.device)
	}
	return j.exchange(ctx, until)
}

// gaveUp says why a command ended before its device had answered.
func (j *job) gaveUp(ctx context.Context, format string, args ...any) *mapping.Error {
	if j.e.ending.Err() != nil {
		return errStopping()
	}
	why := mapping.Errorf(mapping.CodeTimeout, format, args...)
	if ctx.Err() != nil {
		why.Message += " when the caller gave up"
	} else {
		why.Message += " within " + j.cmd.Timeout.String()
	}
	return why
}
