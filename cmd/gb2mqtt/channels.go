package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/list"
	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/gb2mqtt/gb2mqtt/mapping"
)

// channelRow is one channel of a device as its list shows it.
type channelRow struct {
	ID       string `json:"id"`
	Name     string `json:"name,omitempty"`
	Presence string `json:"presence"`
	Reason   string `json:"presence_reason,omitempty"`
	Status   string `json:"status,omitempty"`
	Maker    string `json:"manufacturer,omitempty"`
	Model    string `json:"model,omitempty"`
	Parent   string `json:"parent_id,omitempty"`
	Civil    string `json:"civil_code,omitempty"`
	Group    string `json:"business_group_id,omitempty"`
}

// channelState is what the list reads of P/D/C/state.
type channelState struct {
	Presence string `json:"presence"`
	Reason   string `json:"presence_reason"`
	Status   string `json:"status"`
	Catalog  struct {
		Name         string `json:"name"`
		Manufacturer string `json:"manufacturer"`
		Model        string `json:"model"`
		Parent       string `json:"parent_id"`
		Civil        string `json:"civil_code"`
		Group        string `json:"business_group_id"`
	} `json:"catalog"`
}

// showChannels writes the channels of a device as a table or as a tree.
func (c *client) showChannels(ctx context.Context, out io.Writer, device string, asTree, asJSON bool) error {
	if err := c.bridgeOnline(ctx); err != nil {
		return err
	}
	channels, err := c.channels(ctx, device)
	if err != nil {
		return err
	}
	if !asTree {
		if asJSON {
			return json.NewEncoder(out).Encode(channels)
		}
		return printChannels(out, device, channels)
	}
	items, err := c.nodes(ctx, device)
	if err != nil {
		return err
	}
	for _, ch := range channels {
		items = append(items, mapping.TreeItem{ID: ch.ID, Name: ch.Name, ParentID: ch.Parent, CivilCode: ch.Civil,
			BusinessGroupID: ch.Group, Presence: ch.Presence})
	}
	tree := mapping.Tree(device, items)
	if asJSON {
		return json.NewEncoder(out).Encode(tree)
	}
	return printTree(out, tree)
}

// channels gathers the retained presence and state of every channel of a device, by ID.
func (c *client) channels(ctx context.Context, device string) ([]channelRow, error) {
	base := c.topics + "/" + device + "/"
	rows := map[string]channelRow{}
	err := c.retained(ctx, []string{base + "+/presence", base + "+/state"}, func(m message) {
		id, kind, _ := strings.Cut(strings.TrimPrefix(m.Topic, base), "/")
		if len(m.Payload) == 0 { // a topic that was cleared
			delete(rows, id)
			return
		}
		rows[id] = rows[id].with(id, kind, m.Payload)
	})
	if err != nil {
		return nil, err
	}
	found := slices.AppendSeq([]channelRow{}, maps.Values(rows)) // never null in JSON
	slices.SortFunc(found, func(a, b channelRow) int { return cmp.Compare(a.ID, b.ID) })
	return found, nil
}

// with returns r with what a retained message says.
func (r channelRow) with(id, kind string, payload []byte) channelRow {
	r.ID = id
	if kind == "presence" {
		r.Presence = string(payload)
		return r
	}
	var s channelState
	if json.Unmarshal(payload, &s) != nil {
		return r // not the bridge's: presence alone is shown
	}
	r.Presence, r.Reason, r.Status = cmp.Or(r.Presence, s.Presence), s.Reason, s.Status
	r.Name, r.Maker, r.Model = s.Catalog.Name, s.Catalog.Manufacturer, s.Catalog.Model
	r.Parent, r.Civil, r.Group = s.Catalog.Parent, s.Catalog.Civil, s.Catalog.Group
	return r
}

// treeTimeout bounds each question for nodes, which the bridge answers itself.
const treeTimeout = 10 * time.Second

// nodes asks the bridge for what stands above a device's channels.
func (c *client) nodes(ctx context.Context, device string) ([]mapping.TreeItem, error) {
	topic := fmt.Sprintf("%s/%s/cmd/tree", c.topics, device)
	arrived := newArrived()
	if err := c.subscribe(ctx, arrived, topic+"/accepted", topic+"/rejected"); err != nil {
		return nil, err
	}
	var items []mapping.TreeItem
	for next := ""; ; {
		token := newToken()
		args := map[string]any{"clientToken": token}
		if next != "" {
			args["next"] = next
		}
		m, err := c.ask(ctx, arrived, topic, token, args, treeTimeout)
		if err != nil {
			return nil, err
		}
		var answer struct {
			Result struct {
				Nodes []struct {
					ID     string `json:"device_id"`
					Name   string `json:"name"`
					Parent string `json:"parent_id"`
					Civil  string `json:"civil_code"`
					Group  string `json:"business_group_id"`
				} `json:"nodes"`
				Next string `json:"next"`
			} `json:"result"`
		}
		if err := json.Unmarshal(m.Payload, &answer); err != nil {
			return nil, fmt.Errorf("%s: not JSON: %w", m.Topic, err)
		}
		for _, n := range answer.Result.Nodes {
			items = append(items, mapping.TreeItem{ID: n.ID, Name: n.Name, ParentID: n.Parent, CivilCode: n.Civil, BusinessGroupID: n.Group})
		}
		if next = answer.Result.Next; next == "" {
			return items, nil
		}
	}
}

// printChannels writes channels as a table.
func printChannels(w io.Writer, device string, channels []channelRow) error {
	if len(channels) == 0 {
		_, err := fmt.Fprintf(w, "Device %s has no channels here; ask for its catalogue with: gb2mqtt cmd %s catalog\n", device, device)
		return err
	}
	paint := painter(w)
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"ID", "Name", "Presence", "Reason", "Status", "Model", "Parent"})
	for _, ch := range channels {
		t.AppendRow(table.Row{ch.ID, ch.Name, paint(presenceColours[ch.Presence], ch.Presence), ch.Reason, ch.Status,
			strings.TrimSpace(ch.Maker + " " + ch.Model), ch.Parent})
	}
	_, err := fmt.Fprintln(w, t.Render())
	return err
}

// printTree writes a tree: what is no channel has its kind beside it, in words.
func printTree(w io.Writer, root *mapping.TreeNode) error {
	paint := painter(w)
	line := func(n *mapping.TreeNode) string {
		text := strings.TrimSpace(n.ID + " " + n.Name)
		if n.Presence != "" {
			text += " " + paint(presenceColours[n.Presence], n.Presence)
		} else {
			text += " (" + strings.ReplaceAll(string(n.Kind), "_", " ") + ")"
		}
		if n.Also {
			text += " (also here)"
		}
		return text
	}
	l := list.NewWriter()
	style := list.StyleConnectedLight
	style.CharItemTop, style.CharItemSingle = style.CharItemMiddle, style.CharItemBottom // they hang on the root's line
	l.SetStyle(style)
	var below func(n *mapping.TreeNode)
	below = func(n *mapping.TreeNode) {
		for _, c := range n.Children {
			l.AppendItem(line(c))
			if len(c.Children) > 0 {
				l.Indent()
				below(c)
				l.UnIndent()
			}
		}
	}
	below(root)
	text := strings.TrimSpace(root.ID + " " + root.Name)
	if len(root.Children) > 0 {
		text += "\n" + l.Render()
	}
	_, err := fmt.Fprintln(w, text)
	return err
}
