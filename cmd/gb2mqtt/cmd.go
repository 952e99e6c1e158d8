package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// answerMargin is the bridge's and the network's share on top of a command's own timeout.
const answerMargin = 5 * time.Second

// newCmdCommand makes `gb2mqtt cmd`: one command to a device, and its answer.
func newCmdCommand(global *globalFlags) *cobra.Command {
	f := &clientFlags{global: global}
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "cmd DEVICE [CHANNEL] NAME [JSON]",
		Short: "Send a command to a device or channel and print its answer",
		Example: "  gb2mqtt cmd 34020000001320000001 device_info\n" +
			"  gb2mqtt cmd 34020000001320000001 34020000001310000001 ptz '{\"pan\": 80, \"duration_ms\": 500}'",
		Args: between(2, 4),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := parseTarget(args)
			if err != nil {
				return err
			}
			c, err := f.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.close()
			return t.run(cmd.Context(), c, cmd.OutOrStdout(), timeout, f.json)
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait for the answer at most")
	f.add(cmd)
	return cmd
}

// target is a command and where it goes.
type target struct {
	path string // DEVICE or DEVICE/CHANNEL
	name string
	args map[string]any
}

// parseTarget reads DEVICE [CHANNEL] NAME [JSON]: a channel is told by its 20 digits.
func parseTarget(args []string) (target, error) {
	t := target{path: args[0], args: map[string]any{}}
	if !isID(args[0]) {
		return t, usagef("%q is not a device; use its 20-digit ID, as gb2mqtt devices lists them", args[0])
	}
	rest := args[1:]
	if isID(rest[0]) {
		t.path += "/" + rest[0]
		rest = rest[1:]
	}
	switch len(rest) {
	case 0:
		return t, usagef("no command is named after %s; as in: gb2mqtt cmd %s device_status", t.path, args[0])
	case 3:
		return t, usagef("%q is not a channel; use its 20-digit ID", rest[0])
	}
	if t.name = rest[0]; strings.ContainsAny(t.name, "+#/") {
		return t, usagef("%q is not the name of a command; use a word such as ptz or catalog", t.name)
	}
	if len(rest) == 2 {
		var err error
		if t.args, err = parseObject(rest[1]); err != nil {
			return t, usagef("arguments %q: %v; use a JSON object, as in '{\"pan\": 80}'", rest[1], err)
		}
	}
	return t, nil
}

// isID tells whether s has the shape of a GB/T 28181 ID.
func isID(s string) bool {
	return len(s) == 20 && strings.Trim(s, "0123456789") == ""
}

// run sends the command and prints its result; a rejection is an error.
func (t target) run(ctx context.Context, c *client, out io.Writer, most time.Duration, compact bool) error {
	if err := c.bridgeOnline(ctx); err != nil {
		return err
	}
	token, _ := t.args["clientToken"].(string)
	if token == "" {
		token = newToken()
		t.args["clientToken"] = token
	}
	if ms, ok := t.args["timeout_ms"].(json.Number); ok {
		if n, err := ms.Int64(); err == nil && n > 0 {
			most = max(most, time.Duration(n)*time.Millisecond+answerMargin)
		}
	}
	topic := fmt.Sprintf("%s/%s/cmd/%s", c.topics, t.path, t.name)
	arrived := newArrived()
	if err := c.subscribe(ctx, arrived, topic+"/accepted", topic+"/rejected"); err != nil {
		return err
	}
	m, err := c.ask(ctx, arrived, topic, token, t.args, most)
	if err != nil {
		return err
	}
	var a answer
	if err := json.Unmarshal(m.Payload, &a); err != nil {
		return fmt.Errorf("%s: not JSON: %w", m.Topic, err)
	}
	if len(a.Result) == 0 {
		a.Result = json.RawMessage("{}")
	}
	return printJSON(out, a.Result, compact)
}

// bridgeGrace is how long the retained state of a bridge may take to arrive.
const bridgeGrace = 2 * time.Second

// bridgeOnline learns from the retained topic whether a bridge is there to answer.
func (c *client) bridgeOnline(ctx context.Context) error {
	state, err := c.bridgeState(ctx)
	if err == nil && state != "online" {
		err = fmt.Errorf("the bridge at %s is %s; start it with: gb2mqtt run", c.url, state)
	}
	return err
}

// bridgeState returns what the bridge's retained topic says; that there is none is an error.
func (c *client) bridgeState(ctx context.Context) (string, error) {
	topic := c.topics + "/bridge/state"
	arrived := newArrived()
	if err := c.subscribe(ctx, arrived, topic); err != nil {
		return "", err
	}
	m, err := c.next(ctx, arrived, time.After(bridgeGrace))
	if errors.Is(err, errTimeout) {
		return "", fmt.Errorf("no bridge has spoken on %s at %s; is topics.prefix the bridge's (-c FILE)?", topic, c.url)
	}
	return string(m.Payload), err
}
