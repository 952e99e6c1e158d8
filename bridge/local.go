package bridge

import (
	"context"
	"sync"

	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// maxLocals bounds the commands that the bridge answers itself at once.
const maxLocals = 256

// locals are the commands that the bridge answers itself, each in a goroutine of its own.
type locals struct {
	ctx  context.Context // ends when the bridge stops
	stop context.CancelFunc
	work sync.WaitGroup

	mu      sync.Mutex // guards what follows
	running int
	closed  bool
}

func newLocals() *locals {
	l := new(locals)
	l.ctx, l.stop = context.WithCancel(context.Background())
	return l
}

// start runs first (nil: nothing) at once and then f in a goroutine, or says why not. The command
// is refused where first refuses it.
func (l *locals) start(first func() *mapping.Error, f func(ctx context.Context)) *mapping.Error {
	if why := l.enter(); why != nil {
		return why
	}
	if first != nil {
		if why := first(); why != nil {
			l.leave()
			return why
		}
	}
	go func() {
		defer l.leave()
		f(l.ctx)
	}()
	return nil
}

// enter takes a place, or says why there is none.
func (l *locals) enter() *mapping.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return mapping.Errorf(mapping.CodeUnavailable, "the bridge is stopping")
	case l.running >= maxLocals:
		return mapping.Errorf(mapping.CodeOverLimit, "%d commands of this kind are under way, which is the limit; wait for their answers", maxLocals)
	}
	l.running++
	l.work.Add(1)
	return nil
}

func (l *locals) leave() {
	l.mu.Lock()
	l.running--
	l.mu.Unlock()
	l.work.Done()
}

// Run lets commands be answered until ctx ends; then those under way are ended, and none
// begins.
func (l *locals) Run(ctx context.Context) error {
	<-ctx.Done()
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.stop()
	l.work.Wait()
	return nil
}

// local answers a command that the bridge carries out by other means than one request.
func (b *Bridge) local(device gb28181.ID, cmd *mapping.Command, answer *commandAnswer) {
	l := cmd.Local
	var wish func() *mapping.Error
	if l.Subscription != "" { // at once: wishes count in the order in which they come
		wish = func() *mapping.Error { return b.wishSubscription(device, l) }
	}
	why := b.locals.start(wish, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, cmd.Timeout)
		defer cancel()
		var result map[string]any
		var why *mapping.Error
		switch {
		case l.Tree:
			result, why = b.treeAnswer(device, cmd.Limit, cmd.Next)
		case l.Subscription != "":
			result = map[string]any{"kind": l.Subscription, "expires": l.Seconds}
			why = b.subscribed(ctx, device, l.Subscription)
		default:
			result = b.diagnose(ctx, device)
		}
		if why != nil {
			answer.reject(why)
			return
		}
		answer.accept(result)
	})
	if why != nil {
		answer.reject(why)
	}
}

// wishSubscription takes over what a command wants of a subscription.
func (b *Bridge) wishSubscription(device gb28181.ID, l *mapping.Local) *mapping.Error {
	if d, known := b.fleet.Device(device); !known || !b.online(d) {
		return mapping.Errorf(mapping.CodeUnavailable, "device %s is %s (%s); try again once its presence is online", device, d.Presence, d.Reason)
	}
	if doc, err := b.shadows.Get(thing(device)); err == nil {
		if n, desired := mapping.DesiredSubscriptions(doc.State.Desired)[l.Subscription]; desired && n != l.Seconds {
			return mapping.Errorf(mapping.CodeConflict, "subscriptions.%s is desired to be %d in the shadow of %s, which counts; change it there", l.Subscription, n, device)
		}
	}
	b.overrides.set(device, l.Subscription, l.Seconds)
	return nil
}
