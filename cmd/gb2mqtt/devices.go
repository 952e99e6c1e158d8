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

// newDevicesCommand makes `gb2mqtt devices`: who is there.
func newDevicesCommand(global *globalFlags) *cobra.Command {
	f := &clientFlags{global: global}
	cmd := &cobra.Command{
		Use:   "devices",
		Short: "List the devices: presence, address, channels, model",
		Args:  between(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.close()
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
	arrived := newArrived()
	if err := c.subscribe(ctx, arrived, c.topics+"/+/presence", c.topics+"/+/state"); err != nil {
		return nil, err
	}
	rows := map[string]deviceRow{}
	most, quiet := time.After(retainedMost), time.NewTimer(retainedQuiet)
	defer quiet.Stop()
gather:
	for {
		select {
		case <-most:
			return nil, fmt.Errorf("the devices at %s did not come to an end within %v; is the server overloaded?", c.url, retainedMost)
		default:
		}
		m, err := c.next(ctx, arrived, quiet.C)
		switch {
		case errors.Is(err, errTimeout):
			break gather
		case err != nil:
			return nil, err
		case m.Retained: // a fleet at work is never quiet, but what it says now is not retained
			quiet.Reset(retainedQuiet)
		}
		if id, kind, _ := strings.Cut(strings.TrimPrefix(m.Topic, c.topics+"/"), "/"); id != "bridge" {
			rows[id] = rows[id].with(id, kind, m.Payload)
		}
	}
	list := slices.AppendSeq([]deviceRow{}, maps.Values(rows)) // never null in JSON
	slices.SortFunc(list, func(a, b deviceRow) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
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

// printDevices writes the list as a table.
func printDevices(w io.Writer, devices []deviceRow) error {
	if len(devices) == 0 {
		_, err := fmt.Fprintln(w, "No device has registered yet. Set a camera's SIP server to this platform; gb2mqtt check shows its address and ID.")
		return err
	}
	paint := painter(w)
	colours := map[string]text.Color{"online": text.FgGreen, "offline": text.FgRed, "unknown": text.FgYellow}
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"ID", "Name", "Presence", "Reason", "Transport", "Remote", "Channels", "Model", "Since"})
	for _, d := range devices {
		since := ""
		if d.Since > 0 {
			since = time.UnixMilli(d.Since).Format(time.DateTime)
		}
		t.AppendRow(table.Row{d.ID, d.Name, paint(colours[d.Presence], d.Presence), d.Reason, d.Transport, d.Remote,
			d.Channels, strings.TrimSpace(d.Maker + " " + d.Model), since})
	}
	_, err := fmt.Fprintln(w, t.Render())
	return err
}
