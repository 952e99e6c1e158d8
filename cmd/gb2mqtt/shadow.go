package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/spf13/cobra"
)

// shadowAnswer bounds the wait for the shadow service, which answers by itself, without
// the device.
const shadowAnswer = 10 * time.Second

// newShadowCommand makes `gb2mqtt shadow get|set|watch|history`.
func newShadowCommand(global *globalFlags) *cobra.Command {
	f := &clientFlags{global: global}
	cmd := &cobra.Command{
		Use:   "shadow",
		Short: "Read, change, watch and look back at the shadow of a device (THING) or of its channel (THING NAME)",
		Args:  unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usagef("shadow needs one of get, set, watch, history; see %s --help", cmd.CommandPath())
		},
	}
	f.add(cmd)
	cmd.AddCommand(newShadowGetCommand(f), newShadowSetCommand(f), newShadowWatchCommand(f), newShadowHistoryCommand(f))
	return cmd
}

func newShadowGetCommand(f *clientFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "get THING [NAME]",
		Short: "Print a shadow's document",
		Args:  between(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withShadow(cmd.Context(), args, func(ctx context.Context, s *shadow) error {
				if err := s.listen(ctx, "get"); err != nil {
					return err
				}
				m, err := s.request(ctx, "get", map[string]any{})
				if err != nil {
					return s.explain(err)
				}
				if isTerminal(cmd.OutOrStdout()) && !f.json {
					return printShadowTable(cmd.OutOrStdout(), m.Payload)
				}
				return printJSON(cmd.OutOrStdout(), m.Payload, f.json)
			})
		},
	}
}

// Names of things and shadows, as the shadow service takes them.
var (
	thingName  = regexp.MustCompile(`^[a-zA-Z0-9:_-]{1,128}$`)
	shadowName = regexp.MustCompile(`^[$a-zA-Z0-9:_-]{1,64}$`)
)

// shadow is one shadow seen over a client.
type shadow struct {
	*client
	path    string       // THING or THING NAME, for people
	topic   string       // P/THING/shadow[/name/NAME]
	answers chan message // to requests, others' too
}

// withShadow connects, and does work on the shadow that args name.
func (f *clientFlags) withShadow(ctx context.Context, args []string, work func(context.Context, *shadow) error) error {
	if !thingName.MatchString(args[0]) {
		return usagef("%q is not the name of a thing; use 1 to 128 of a-z A-Z 0-9 : _ -", args[0])
	}
	if len(args) > 1 && !shadowName.MatchString(args[1]) {
		return usagef("%q is not the name of a shadow; use 1 to 64 of a-z A-Z 0-9 : _ -", args[1])
	}
	c, err := f.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	s := &shadow{client: c, path: args[0], topic: c.shadow + "/" + args[0] + "/shadow", answers: newArrived()}
	if len(args) > 1 {
		s.path += " " + args[1]
		s.topic += "/name/" + args[1]
	}
	return work(ctx, s)
}

// listen makes ready for the answers to the operations: before the first request, for an
// answer that comes before its subscription is lost.
func (s *shadow) listen(ctx context.Context, operations ...string) error {
	var filters []string
	for _, op := range operations {
		filters = append(filters, s.topic+"/"+op+"/accepted", s.topic+"/"+op+"/rejected")
	}
	return s.subscribe(ctx, s.answers, filters...)
}

// request asks the shadow service for an operation that is listened for, and returns what
// it accepted; a refusal is a rejection.
func (s *shadow) request(ctx context.Context, operation string, body map[string]any) (message, error) {
	token := newToken()
	body["clientToken"] = token
	return s.ask(ctx, s.answers, s.topic+"/"+operation, token, body, shadowAnswer)
}

// explain adds the next step to what the shadow service refused.
func (s *shadow) explain(err error) error {
	var r rejection
	switch {
	case !errors.As(err, &r):
		return err
	case r.Code == 404:
		return fmt.Errorf("%w: %s has no shadow yet; gb2mqtt devices lists the devices", err, s.path)
	case r.Code == 409:
		return fmt.Errorf("%w: someone else changed it first; get it again", err)
	}
	return err
}
