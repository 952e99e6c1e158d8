package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
)

func newShadowWatchCommand(f *clientFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "watch THING [NAME]",
		Short: "Print every change of a shadow until interrupted",
		Args:  between(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withShadow(cmd.Context(), args, func(ctx context.Context, s *shadow) error {
				return s.watch(ctx, cmd.OutOrStdout(), cmd.ErrOrStderr(), f.json)
			})
		},
	}
}

// watch prints what happens to the shadow until ctx ends, which is no error.
func (s *shadow) watch(ctx context.Context, out, notes io.Writer, asJSON bool) error {
	arrived := newArrived()
	err := s.subscribe(ctx, arrived, s.topic+"/update/accepted", s.topic+"/update/rejected", s.topic+"/update/delta",
		s.topic+"/update/documents", s.topic+"/delete/accepted")
	if err != nil {
		return err
	}
	if !asJSON {
		fmt.Fprintf(notes, "watching %s at %s; Ctrl-C ends it\n", s.path, s.url)
	}
	paint := painter(out)
	for {
		m, err := s.next(ctx, arrived, nil)
		if errors.Is(err, context.Canceled) {
			return nil
		}
		if err != nil {
			return err
		}
		kind := strings.TrimPrefix(m.Topic, s.topic+"/")
		line := ""
		if asJSON {
			if line, err = watchedJSON(time.Now(), kind, m.Payload); err != nil {
				return fmt.Errorf("print %s: %w", m.Topic, err)
			}
		} else {
			line = watchedLine(paint, time.Now(), kind, m.Payload)
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
}

// watchedJSON is one message for a machine; a payload that is not JSON is told as text.
func watchedJSON(at time.Time, kind string, payload []byte) (string, error) {
	record := struct {
		TS      int64  `json:"ts"`
		Kind    string `json:"kind"`
		Message any    `json:"message"`
	}{at.UnixMilli(), kind, string(payload)}
	if json.Valid(payload) {
		record.Message = json.RawMessage(payload)
	}
	line, err := json.Marshal(record)
	return string(line), err
}

// watchedLine is one message for a person: time, version, what happened, the leaves.
func watchedLine(paint func(text.Color, string) string, at time.Time, kind string, payload []byte) string {
	var m struct {
		rejection
		Version int64          `json:"version"`
		State   map[string]any `json:"state"`
		Current struct {
			Version int64          `json:"version"`
			State   map[string]any `json:"state"`
		} `json:"current"`
	}
	clock := at.Format("15:04:05.000")
	if err := json.Unmarshal(payload, &m); err != nil {
		return fmt.Sprintf("%s %s %q", clock, kind, payload)
	}
	switch kind {
	case "update/rejected":
		return fmt.Sprintf("%s %s %s", clock, paint(text.FgRed, "rejected "), m.rejection.Error())
	case "update/delta":
		return fmt.Sprintf("%s %s v%d %s", clock, paint(text.FgYellow, "delta    "), m.Version, dotted(m.State))
	case "update/documents":
		return fmt.Sprintf("%s %s v%d %s", clock, paint(text.FgCyan, "document "), m.Current.Version, dotted(m.Current.State))
	case "delete/accepted":
		return fmt.Sprintf("%s %s v%d", clock, paint(text.FgRed, "deleted  "), m.Version)
	}
	return fmt.Sprintf("%s %s v%d %s", clock, paint(text.FgGreen, "accepted "), m.Version, dotted(m.State))
}
