package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
)

// pastState is one moment of a shadow, as `history --json` prints it.
type pastState struct {
	TS      int64 `json:"ts"` // Unix ms: since when it was so
	Version int64 `json:"version"`
	State   struct {
		Reported map[string]any `json:"reported"` // null: the shadow was deleted
	} `json:"state"`
}

// newShadowHistoryCommand makes `gb2mqtt shadow history`: what a shadow reported in the past.
func newShadowHistoryCommand(f *clientFlags) *cobra.Command {
	var at, from, to string
	var limit int
	cmd := &cobra.Command{
		Use:   "history THING [NAME]",
		Short: "Print what a shadow reported in the past",
		Long: "Print what a shadow reported: each change, the newest last, or with --at how it was at one moment.\n" +
			"Moments are Unix milliseconds or RFC 3339, as in 2026-09-23T08:00:00+08:00.",
		Args: between(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ask := map[string]any{}
			for name, text := range map[string]string{"at": at, "from": from, "to": to} {
				if text == "" {
					continue
				}
				ms, err := parseMoment(text)
				if err != nil {
					return usagef("--%s %q: %v", name, text, err)
				}
				ask[name] = ms
			}
			if at != "" && (from != "" || to != "") {
				return usagef("--at is one moment; it goes without --from and --to")
			}
			return f.withShadow(cmd.Context(), args, func(ctx context.Context, s *shadow) error {
				past, err := s.history(ctx, ask, limit)
				if err != nil {
					return err
				}
				return printHistory(cmd.OutOrStdout(), past, f.json || !isTerminal(cmd.OutOrStdout()))
			})
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "how it was at this moment")
	cmd.Flags().StringVar(&from, "from", "", "changes from this moment on")
	cmd.Flags().StringVar(&to, "to", "", "changes until this moment")
	cmd.Flags().IntVar(&limit, "limit", 1000, "at most so many changes, the newest")
	return cmd
}

// parseMoment reads Unix ms or RFC 3339.
func parseMoment(s string) (int64, error) {
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil && ms >= 0 {
		return ms, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return 0, fmt.Errorf("use Unix milliseconds, or RFC 3339 as in 2026-09-23T08:00:00+08:00")
	}
	return t.UnixMilli(), nil
}

// history asks for changes, page by page, and returns them the oldest first.
func (s *shadow) history(ctx context.Context, ask map[string]any, limit int) ([]pastState, error) {
	if err := s.listen(ctx, "history"); err != nil {
		return nil, err
	}
	var past []pastState
	for len(past) < limit {
		ask["limit"] = min(100, limit-len(past))
		m, err := s.request(ctx, "history", ask)
		if err != nil {
			return nil, s.explain(err)
		}
		var page struct {
			Results []pastState `json:"results"`
			Next    int64       `json:"next"`
		}
		if err := json.Unmarshal(m.Payload, &page); err != nil {
			return nil, fmt.Errorf("the answer is no history: %w", err)
		}
		past = append(past, page.Results...)
		if page.Next == 0 {
			break
		}
		ask["next"] = page.Next
	}
	slices.Reverse(past)
	return past, nil
}

// printHistory writes one JSON object a line for machines, and for a person what changed.
func printHistory(w io.Writer, past []pastState, machine bool) error {
	if machine {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		for _, p := range past {
			if err := encoder.Encode(p); err != nil {
				return err
			}
		}
		return nil
	}
	if len(past) == 0 {
		_, err := fmt.Fprintln(w, "Nothing changed in that time; shadow.history says how long the past is kept.")
		return err
	}
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 3, WidthMax: 100, WidthMaxEnforcer: text.WrapSoft}})
	t.AppendHeader(table.Row{"Since", "Version", "Reported"})
	last := map[string]bool{}
	for i, p := range past {
		leaves := leavesOf(p.State.Reported)
		changed := slices.DeleteFunc(slices.Clone(leaves), func(leaf string) bool { return i > 0 && last[leaf] })
		clear(last)
		for _, leaf := range leaves {
			last[leaf] = true
		}
		shown := strings.Join(changed, " ")
		if p.State.Reported == nil {
			shown = "deleted"
		}
		t.AppendRow(table.Row{time.UnixMilli(p.TS).Format("2006-01-02 15:04:05.000"), p.Version, shown})
	}
	_, err := fmt.Fprintln(w, t.Render())
	return err
}
