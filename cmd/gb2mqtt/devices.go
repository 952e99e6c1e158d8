package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
)

// Retained messages have come in full when none has come for a while.
const (
	retainedQuiet = 500 * time.Millisecond
	retainedMost  = time.Minute
)

// newDevicesCommand makes `gb2mqtt devices`: who is there, and what one of them has.
func newDevicesCommand(global *globalFlags) *cobra.Command {
	f := &clientFlags{global: global}
	var asTree bool
	cmd := &cobra.Command{
		Use:   "devices [DEVICE]",
		Short: "List the devices, or the channels of one of them",
		Example: "  gb2mqtt devices\n" +
			"  gb2mqtt devices 34020000001320000001\n" +
			"  gb2mqtt devices 34020000002000000009 --tree",
		Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && !isID(args[0]) {
				return usagef("%q is not a device; use its 20-digit ID, as gb2mqtt devices lists them", args[0])
			}
			if asTree && len(args) == 0 {
				return usagef("--tree is of one device; as in: gb2mqtt devices DEVICE --tree")
			}
			c, err := f.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.close()
			if len(args) == 1 {
				return c.showChannels(cmd.Context(), cmd.OutOrStdout(), args[0], asTree, f.json)
			}
			devices, err := c.devices(cmd.Context())
			if err != nil {
				return err
			}
			if f.json {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(devices)
			}
			return printDevices(cmd.OutOrStdout(), devices)
		},
	}
	cmd.Flags().BoolVar(&asTree, "tree", false, "where the channels stand: regions, systems, business groups, virtual organisations, recorders")
	f.add(cmd)
	return cmd
}

// deviceRow is one device as the list shows it.
type deviceRow struct {
	ID        string `json:"id"`
	Name      string `json:"name,omitempty"`
	Presence  string `json:"presence"`
	Reason    string `json:"presence_reason,omitempty"`
	Transport string `json:"transport,omitempty"`
	Remote    string `json:"remote,omitempty"`
	Channels  int    `json:"channels"`
	Maker     string `json:"manufacturer,omitempty"`
	Model     string `json:"model,omitempty"`
	Since     int64  `json:"registered_at,omitempty"` // Unix ms
}

// retainedState is what this list reads of P/D/state.
type retainedState struct {
	Presence     string `json:"presence"`
	Reason       string `json:"presence_reason"`
	Registration struct {
		At        int64  `json:"at"`
		Transport string `json:"transport"`
		Remote    string `json:"remote"`
	} `json:"registration"`
	Info struct {
		Name         string `json:"name"`
		Manufacturer string `json:"manufacturer"`
		Model        string `json:"model"`
	} `json:"info"`
	Channels int `json:"channels"`
}

// devices gathers the retained presence and state of every device, by ID.
func (c *client) devices(ctx context.Context) ([]deviceRow, error) {
	if _, err := c.bridgeState(ctx); err != nil {
		return nil, err
	}
	rows := map[string]deviceRow{}
	err := c.retained(ctx, []string{c.topics + "/+/presence", c.topics + "/+/state"}, func(m message) {
		if id, kind, _ := strings.Cut(strings.TrimPrefix(m.Topic, c.topics+"/"), "/"); id != "bridge" {
			rows[id] = rows[id].with(id, kind, m.Payload)
		}
	})
	if err != nil {
		return nil, err
	}
	list := slices.AppendSeq([]deviceRow{}, maps.Values(rows)) // never null in JSON
	slices.SortFunc(list, func(a, b deviceRow) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
}

// retained hands over what is retained on filters, and what is published on them meanwhile.
func (c *client) retained(ctx context.Context, filters []string, take func(message)) error {
	arrived := newArrived()
	if err := c.subscribe(ctx, arrived, filters...); err != nil {
		return err
	}
	most, quiet := time.After(retainedMost), time.NewTimer(retainedQuiet)
	defer quiet.Stop()
	for {
		select {
		case <-most:
			return fmt.Errorf("what is retained at %s did not come to an end within %v; is the server overloaded?", c.url, retainedMost)
		default:
		}
		m, err := c.next(ctx, arrived, quiet.C)
		switch {
		case errors.Is(err, errTimeout):
			return nil
		case err != nil:
			return err
		case m.Retained: // a fleet at work is never quiet, but what it says now is not retained
			quiet.Reset(retainedQuiet)
		}
		take(m)
	}
}

// with returns r with what a retained message says. An empty payload is a topic that was
// cleared: it says nothing.
func (r deviceRow) with(id, kind string, payload []byte) deviceRow {
	r.ID = id
	switch kind {
	case "presence":
		r.Presence = string(payload)
	case "state":
		var s retainedState
		if json.Unmarshal(payload, &s) != nil {
			return r // not the bridge's: presence alone is shown
		}
		r.Presence = cmp.Or(r.Presence, s.Presence)
		r.Reason, r.Since = s.Reason, s.Registration.At
		r.Transport, r.Remote = s.Registration.Transport, s.Registration.Remote
		r.Name, r.Maker, r.Model, r.Channels = s.Info.Name, s.Info.Manufacturer, s.Info.Model, s.Channels
	}
	return r
}

var presenceColours = map[string]text.Color{"online": text.FgGreen, "offline": text.FgRed, "unknown": text.FgYellow}

// printDevices writes the list as a table.
func printDevices(w io.Writer, devices []deviceRow) error {
	if len(devices) == 0 {
		_, err := fmt.Fprintln(w, "No device has registered yet. Set a camera's SIP server to this platform; gb2mqtt check shows its address and ID.")
		return err
	}
	paint := painter(w)
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"ID", "Name", "Presence", "Reason", "Transport", "Remote", "Channels", "Model", "Since"})
	for _, d := range devices {
		since := ""
		if d.Since > 0 {
			since = time.UnixMilli(d.Since).Format(time.DateTime)
		}
		t.AppendRow(table.Row{d.ID, d.Name, paint(presenceColours[d.Presence], d.Presence), d.Reason, d.Transport, d.Remote,
			d.Channels, strings.TrimSpace(d.Maker + " " + d.Model), since})
	}
	_, err := fmt.Fprintln(w, t.Render())
	return err
}
