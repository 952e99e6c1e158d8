package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// pipeline waits for acknowledgements in the order of the publications, of which at most
// linkWindow are on their way.
type pipeline chan onItsWay

type onItsWay struct {
	wait  func(context.Context) error
	taken func()
}

func newPipeline(ctx context.Context, work *sync.WaitGroup, end func(error)) pipeline {
	p := make(pipeline, linkWindow)
	work.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case o := <-p:
				if err := o.wait(ctx); err != nil && !errors.Is(err, errRefused) {
					end(err)
					return
				}
				o.taken() // what the server refuses it would refuse again
			}
		}
	})
	return p
}

func (p pipeline) add(ctx context.Context, wait func(context.Context) error, taken func()) error {
	select {
	case p <- onItsWay{wait, taken}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// await waits for a token of paho.
func await(ctx context.Context, t mqtt.Token) error {
	select {
	case <-t.Done():
		return t.Error()
	case <-time.After(linkTimeout):
		return fmt.Errorf("no answer within %v", linkTimeout)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
