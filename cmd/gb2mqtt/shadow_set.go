package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newShadowSetCommand(f *clientFlags) *cobra.Command {
	var most time.Duration
	cmd := &cobra.Command{
		Use:   "set THING [NAME] JSON",
		Short: "Write desired state, and tell whether the device has made it so",
		Example: "  gb2mqtt shadow set 34020000001320000001 '{\"guard\": \"on\"}' --wait 10s\n" +
			"  gb2mqtt shadow set 34020000001320000001 34020000001310000001 '{\"recording\": null}'",
		Args: between(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			last := len(args) - 1
			desired, err := parseObject(args[last])
			if err != nil {
				return usagef("desired state %q: %v; use a JSON object, as in '{\"guard\": \"on\"}'", args[last], err)
			}
			return f.withShadow(cmd.Context(), args[:last], func(ctx context.Context, s *shadow) error {
				w := wish{shadow: s, desired: desired, out: cmd.OutOrStdout(), json: f.json}
				return w.run(ctx, most)
			})
		},
	}
	cmd.Flags().DurationVar(&most, "wait", 0, "wait this long for the device to make it so; 0: only look whether it is so already")
	return cmd
}

// wish is desired state on its way to a shadow.
type wish struct {
	*shadow
	desired map[string]any
	out     io.Writer
	json    bool
}

// document is what a wish needs of get/accepted.
type document struct {
	Version int64 `json:"version"`
	State   struct {
		Delta    map[string]any `json:"delta"`
		Reported struct {
			Errors map[string]rejection `json:"errors"`
		} `json:"reported"`
	} `json:"state"`
}

// outcome is what set prints for machines.
type outcome struct {
	Version int64          `json:"version"`
	Delta   map[string]any `json:"delta,omitempty"` // of what was asked: what is not so yet
	Closed  bool           `json:"closed"`
	WaitMS  int64          `json:"wait_ms"`
	Refused []string       `json:"refused,omitempty"` // paths, with what the device said
}

// run writes the wish and follows its delta for at most the time given.
func (w wish) run(ctx context.Context, most time.Duration) error {
	if err := w.listen(ctx, "update", "get"); err != nil {
		return err
	}
	// Before the update, so that no change after it is missed.
	changes := newArrived()
	if err := w.subscribe(ctx, changes, w.topic+"/update/documents"); err != nil {
		return err
	}
	m, err := w.request(ctx, "update", map[string]any{"state": map[string]any{"desired": w.desired}})
	if err != nil {
		return w.explain(err)
	}
	var accepted answer
	if err := json.Unmarshal(m.Payload, &accepted); err != nil {
		return fmt.Errorf("%s: not JSON: %w", m.Topic, err)
	}
	if !w.json {
		fmt.Fprintf(w.out, "accepted, version %d\n", accepted.Version)
	}
	o, err := w.follow(ctx, changes, most)
	if err != nil {
		return err
	}
	o.Version = accepted.Version
	if w.json {
		if err := json.NewEncoder(w.out).Encode(o); err != nil {
			return err
		}
	}
	return w.conclude(o, most)
}

// follow looks at the shadow after each change of it, until nothing of the wish is left in
// the delta, the device has refused it, or the time is over.
func (w wish) follow(ctx context.Context, changes <-chan message, most time.Duration) (outcome, error) {
	start := time.Now()
	deadline := time.After(most)
	for {
		m, err := w.request(ctx, "get", map[string]any{})
		if err != nil {
			return outcome{}, w.explain(err)
		}
		var d document
		if err := json.Unmarshal(m.Payload, &d); err != nil {
			return outcome{}, fmt.Errorf("%s: not a shadow document: %w", m.Topic, err)
		}
		o := outcome{Delta: common(w.desired, d.State.Delta), WaitMS: time.Since(start).Milliseconds()}
		o.Closed = len(o.Delta) == 0
		for _, path := range slices.Sorted(maps.Keys(d.State.Reported.Errors)) {
			if holds(o.Delta, path) {
				o.Refused = append(o.Refused, path+": "+d.State.Reported.Errors[path].Error())
			}
		}
		if o.Closed || len(o.Refused) > 0 {
			return o, nil
		}
		if _, err := w.next(ctx, changes, deadline); errors.Is(err, errTimeout) {
			return o, nil
		} else if err != nil {
			return o, err
		}
	}
}

// conclude says how it ended; what was waited for and did not come is an error.
func (w wish) conclude(o outcome, most time.Duration) error {
	switch {
	case len(o.Refused) > 0:
		return fmt.Errorf("the device refused: %s", strings.Join(o.Refused, "; "))
	case !o.Closed && most > 0:
		return fmt.Errorf("not so after %v: %s; is the device online? see gb2mqtt devices", most, dotted(o.Delta))
	case w.json:
		return nil
	case !o.Closed:
		_, err := fmt.Fprintf(w.out, "not so yet: %s (--wait 10s waits for the device)\n", dotted(o.Delta))
		return err
	case most > 0:
		_, err := fmt.Fprintf(w.out, "it is so, after %d ms\n", o.WaitMS)
		return err
	}
	_, err := fmt.Fprintln(w.out, "it is so")
	return err
}

// common returns the part of delta that lies under the keys of desired.
func common(desired, delta map[string]any) map[string]any {
	both := map[string]any{}
	for k, d := range delta {
		want, ok := desired[k]
		if !ok {
			continue
		}
		wantObject, ok1 := want.(map[string]any)
		deltaObject, ok2 := d.(map[string]any)
		if !ok1 || !ok2 {
			both[k] = d
		} else if inner := common(wantObject, deltaObject); len(inner) > 0 {
			both[k] = inner
		}
	}
	return both
}

// holds tells whether the dotted path, or a part of it from the left, is a key of document.
func holds(document map[string]any, path string) bool {
	key, rest, more := strings.Cut(path, ".")
	v, ok := document[key]
	if !ok || !more {
		return ok
	}
	inner, ok := v.(map[string]any)
	return !ok || holds(inner, rest)
}
