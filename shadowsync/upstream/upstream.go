// Package upstream keeps the shadows here and those of another shadow service, AWS IoT's or
// a second gb2mqtt, in line.
//
//	Updated, a message of the cloud, a new connection ──▶ keys to look at (newest only)
//	key ──▶ get at the cloud ──▶ compare ──▶ our reported up, the cloud's desired down
//
// It is level-triggered: a key that is equal on both sides causes nothing, so nothing
// echoes, and an outage needs no memory of what was missed. What the cloud's desired was at
// the last look is stored, so that what it took back is told from what was set here.
package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gb2mqtt/gb2mqtt/shadowsync"
	"golang.org/x/time/rate"
)

// Within AWS' limits of a connection: 100 publishes a second, 10 shadow requests in flight,
// 8 filters a SUBSCRIBE. [AWS General Reference, AWS IoT Core quotas, as told in device-shadow 8]
const (
	publishesPerSecond = 90
	workers            = 8
	answerTimeout      = 10 * time.Second
	firstBackOff       = time.Second
	lastBackOff        = time.Minute
	prefix             = "$aws/things"
)

// Conn is one connection to the cloud. It ends with the context of Run.
type Conn interface {
	// Subscribe returns once all filters are granted.
	Subscribe(ctx context.Context, filters ...string) error
	// Publish sends with QoS 1 and returns once that is acknowledged.
	Publish(ctx context.Context, topic string, payload []byte) error
}

// Shadows is the shadow service here.
type Shadows interface {
	Get(k shadowsync.Key) (shadowsync.Document, error)
	Each(fn func(shadowsync.Key, shadowsync.Document) bool) error
	Handle(r shadowsync.Request) bool
}

// Memory keeps the cloud's desired state as it was last seen.
type Memory interface {
	Load(name string) (value []byte, known bool, err error)
	Save(name string, value []byte, done func(error))
}

// Config says what goes where.
type Config struct {
	Link     string // its name
	Thing    string // template of the thing's name at the cloud, with {device} in it
	Up, Down bool
	Prefix   string // of the shadows' topics here
}

// Upstream is the sync over one link. Its methods may be called concurrently.
type Upstream struct {
	cfg           Config
	before, after string // of the template
	shadows       Shadows
	memory        Memory
	log           *slog.Logger
	rate          *rate.Limiter
	token         atomic.Uint64

	mu      sync.Mutex // guards what follows; never held across I/O
	dirty   map[shadowsync.Key]bool
	order   []shadowsync.Key
	busy    map[shadowsync.Key]bool
	fresh   map[shadowsync.Key]bool // compared since the connection began
	waiting map[string]chan answer  // by clientToken
	online  bool
	wake    chan struct{} // capacity workers
	pause   time.Time     // of throttling
	backOff time.Duration
}

type answer struct {
	accepted bool
	payload  []byte
}

// New returns an Upstream that does nothing until Run.
func New(cfg Config, shadows Shadows, memory Memory, log *slog.Logger) *Upstream {
	before, after, _ := strings.Cut(cfg.Thing, "{device}")
	return &Upstream{
		cfg: cfg, before: before, after: after, shadows: shadows, memory: memory, log: log.With("link", cfg.Link),
		rate:  rate.NewLimiter(publishesPerSecond, publishesPerSecond/10),
		dirty: map[shadowsync.Key]bool{}, busy: map[shadowsync.Key]bool{}, wake: make(chan struct{}, workers),
	}
}

// Updated follows the service here.
func (u *Upstream) Updated(k shadowsync.Key, _ shadowsync.Document, reported, _ bool) {
	if reported && u.cfg.Up {
		u.look(k)
	}
}

// Deleted follows the service here: a shadow that is made anew is compared then.
func (u *Upstream) Deleted(shadowsync.Key) {}

// Created implements shadowsync.Observer: Updated tells what is there.
func (u *Upstream) Created(shadowsync.Key) {}

// look has k compared, unless nobody is there to compare with: then all is, later.
func (u *Upstream) look(k shadowsync.Key) {
	u.mu.Lock()
	if u.online && !u.dirty[k] {
		u.dirty[k] = true
		u.order = append(u.order, k)
	}
	u.mu.Unlock()
	u.wakeOne()
}

func (u *Upstream) wakeOne() {
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// Run serves one connection until ctx ends or the connection fails.
func (u *Upstream) Run(ctx context.Context, c Conn) error {
	u.mu.Lock()
	u.online, u.order, u.pause, u.backOff = true, nil, time.Time{}, 0
	clear(u.dirty)
	clear(u.busy)
	u.fresh, u.waiting = map[shadowsync.Key]bool{}, map[string]chan answer{}
	u.mu.Unlock()
	defer func() {
		u.mu.Lock()
		u.online = false
		u.mu.Unlock()
	}()
	var filters []string
	for _, op := range []string{"get/+", "update/+", "delete/accepted"} {
		filters = append(filters, prefix+"/+/shadow/"+op, prefix+"/+/shadow/name/+/"+op)
	}
	if err := c.Subscribe(ctx, filters...); err != nil {
		return err
	}
	if err := u.shadows.Each(func(k shadowsync.Key, _ shadowsync.Document) bool {
		u.look(k)
		return ctx.Err() == nil
	}); err != nil {
		return fmt.Errorf("shadows to compare: %w", err)
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() { fail(u.work(ctx, c)) })
	}
	wg.Wait()
	return context.Cause(ctx)
}

// Receive takes what the cloud publishes. It must not block.
func (u *Upstream) Receive(topic string, payload []byte) {
	k, op, ok := shadowsync.ParseTopic(prefix, topic)
	if !ok {
		return
	}
	thing, ok := strings.CutPrefix(k.Thing, u.before)
	if ok {
		thing, ok = strings.CutSuffix(thing, u.after)
	}
	if !ok || thing == "" {
		return // another's
	}
	k.Thing = thing
	var body struct {
		ClientToken string
		State       struct{ Desired json.RawMessage }
	}
	if err := json.Unmarshal(payload, &body); err != nil {
		u.log.Warn("message of the cloud is not JSON", "topic", topic, "err", err)
		return
	}
	kind := string(op)
	u.mu.Lock()
	asked := u.waiting[body.ClientToken]
	if strings.HasSuffix(kind, "/accepted") || strings.HasSuffix(kind, "/rejected") {
		delete(u.waiting, body.ClientToken)
	} else {
		asked = nil
	}
	u.mu.Unlock()
	if asked != nil {
		asked <- answer{strings.HasSuffix(kind, "/accepted"), payload}
		return
	}
	if u.cfg.Down && (kind == "update/accepted" && len(body.State.Desired) > 0 || kind == "delete/accepted") {
		u.look(k)
	}
}

// work compares keys, one after the other, until ctx ends.
func (u *Upstream) work(ctx context.Context, c Conn) error {
	for {
		k, ok := u.next()
		if !ok {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-u.wake:
				continue
			}
		}
		err := u.compare(ctx, c, k)
		u.done(k, err)
		var refused *refusal
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &refused):
			u.log.Warn("shadow not in line with the cloud", "thing", k.Thing, "shadow", k.Name, "err", err)
			if err := u.rest(ctx); err != nil {
				return err
			}
		case err != nil:
			return err
		}
	}
}

func (u *Upstream) next() (shadowsync.Key, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i, k := range u.order {
		if u.busy[k] {
			continue
		}
		u.order = append(u.order[:i], u.order[i+1:]...)
		delete(u.dirty, k)
		u.busy[k] = true
		if len(u.order) > 0 {
			u.wakeOne()
		}
		return k, true
	}
	return shadowsync.Key{}, false
}

func (u *Upstream) done(k shadowsync.Key, err error) {
	u.mu.Lock()
	delete(u.busy, k)
	var refused *refusal
	if errors.As(err, &refused) && refused.again() {
		if !u.dirty[k] {
			u.dirty[k] = true
			u.order = append(u.order, k)
		}
		u.backOff = min(max(2*u.backOff, firstBackOff), lastBackOff)
		u.pause = time.Now().Add(u.backOff)
	} else if err == nil {
		u.fresh[k], u.backOff = true, 0
	}
	u.mu.Unlock()
	u.wakeOne()
}

// rest waits while the cloud wants less of us.
func (u *Upstream) rest(ctx context.Context) error {
	u.mu.Lock()
	left := time.Until(u.pause)
	u.mu.Unlock()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(left):
		return nil
	}
}

// compare brings one shadow in line on both sides.
func (u *Upstream) compare(ctx context.Context, c Conn, k shadowsync.Key) error {
	got, err := u.ask(ctx, c, k, "get", nil)
	var refused *refusal
	if errors.As(err, &refused) && refused.Code == 404 {
		got, err = []byte("{}"), nil
	}
	if err != nil {
		return err
	}
	var cloud struct {
		State struct{ Desired, Reported map[string]any }
	}
	if err := decode(got, &cloud); err != nil {
		return &refusal{"get", 500, "its answer can't be read: " + err.Error()}
	}
	if u.cfg.Up {
		if err := u.up(ctx, c, k, cloud.State.Reported); err != nil {
			return err
		}
	}
	if u.cfg.Down {
		return u.down(k, cloud.State.Desired)
	}
	return nil
}

// up makes the cloud's reported ours.
func (u *Upstream) up(ctx context.Context, c Conn, k shadowsync.Key, theirs map[string]any) error {
	doc, err := u.shadows.Get(k)
	switch {
	case errors.Is(err, shadowsync.ErrNotFound):
		return nil
	case err != nil:
		return &refusal{"read", 500, err.Error()}
	}
	patch := diff(theirs, doc.State.Reported)
	if patch == nil {
		return nil
	}
	_, err = u.ask(ctx, c, k, "update", map[string]any{"reported": patch})
	return err
}
