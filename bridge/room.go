package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// room is a part that runs until it is stopped. The parts of a bridge do not end together:
// each is stopped in its turn, so that what one still has to say finds the next one alive.
type room struct {
	name string
	stop context.CancelFunc
	done chan struct{}
	err  error // valid once done is closed
}

// startRoom runs f in a goroutine of its own. When f ends before it was stopped, failed is
// told why: a part that ends by itself ends the bridge.
func startRoom(name string, log *slog.Logger, f func(context.Context) error, failed func(error)) *room {
	ctx, cancel := context.WithCancel(context.Background())
	r := &room{name: name, stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		defer func() {
			if p := recover(); p != nil {
				log.Error("a part of the bridge panicked", "part", name, "panic", p, "stack", string(debug.Stack()))
				r.err = fmt.Errorf("%s panicked: %v", name, p)
				failed(r.err)
			}
		}()
		r.err = f(ctx)
		if ctx.Err() == nil {
			if r.err == nil {
				r.err = fmt.Errorf("%s ended by itself", name)
			}
			failed(fmt.Errorf("%s: %w", name, r.err))
		}
	}()
	return r
}

// end stops the room and waits until it has ended, or until ctx ends.
func (r *room) end(ctx context.Context) error {
	r.stop()
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return fmt.Errorf("%s did not stop in time", r.name)
	}
}
