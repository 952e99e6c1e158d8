package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"golang.org/x/term"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// run lets the fleet live, tells how it goes, and writes the summary.
func run(ctx context.Context, fleet *camera.Fleet, o options, out, progress io.Writer) error {
	began := time.Now()
	over := make(chan struct{})
	var wg sync.WaitGroup
	orders, deaf := listen()
	defer deaf()
	wg.Go(func() { obey(orders, fleet, o.fleet.Die.Share, progress, over) })
	if !o.json && !o.print {
		wg.Go(func() { report(fleet, began, progress, over) })
	}
	err := fleet.Run(ctx)
	close(over)
	wg.Wait()
	if err != nil {
		return err
	}
	took := time.Since(began)
	if o.json {
		return writeJSON(out, fleet, took)
	}
	writeTable(out, fleet, took)
	return failure(fleet)
}

// obey lets a share of the fleet die, all of it when none is named, and the dead come back,
// as it is ordered, and says so, until over.
func obey(orders <-chan os.Signal, fleet *camera.Fleet, share float64, progress io.Writer, over <-chan struct{}) {
	if share == 0 {
		share = 1
	}
	for {
		select {
		case <-over:
			return
		case order := <-orders:
			if deadly(order) {
				fmt.Fprintf(progress, "%d devices fell silent\n", fleet.Die(share))
			} else {
				fmt.Fprintf(progress, "%d devices came back\n", fleet.Revive())
			}
		}
	}
}

// failure is the error of a fleet that never got anywhere: exit 1, so that a script sees it.
func failure(fleet *camera.Fleet) error {
	c, p := fleet.Stats().Kind(camera.KindRegister), fleet.Progress()
	switch {
	case c.Sent > 0 && c.Answered == 0 && c.Lost > 0:
		return fmt.Errorf("no REGISTER was answered; is a platform listening at --server, and does a firewall let UDP through?")
	case p.Started > 0 && c.Answered > 0 && p.Registered == 0 && p.Dead == 0:
		return fmt.Errorf("none of %d devices is registered, though the platform answers; do --password, --server-id and --domain match its own?", p.Started)
	}
	return nil
}

// report writes progress until over: one line that changes on a terminal, else a line
// every 5 s.
func report(fleet *camera.Fleet, began time.Time, w io.Writer, over <-chan struct{}) {
	every, end, begin := 5*time.Second, "\n", ""
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		every, end, begin = 500*time.Millisecond, "", "\r\x1b[K" // back to the line's start, clear it
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	line := func() {
		p, all := fleet.Progress(), fleet.Stats().Total()
		fmt.Fprintf(w, "%s%s  started %d/%d  registered %d  dead %d  sent %d  answered %d  lost %d  p99 %v%s", begin,
			time.Since(began).Truncate(time.Second), p.Started, p.Devices, p.Registered, p.Dead, all.Sent, all.Answered, all.Lost, short(all.P99), end)
	}
	for {
		select {
		case <-over:
			if begin != "" {
				fmt.Fprintln(w)
			}
			return
		case <-tick.C:
			line()
		}
	}
}

// short rounds a duration to what a person reads.
func short(d time.Duration) time.Duration {
	if d < time.Millisecond {
		return d.Round(time.Microsecond)
	}
	return d.Round(10 * time.Microsecond)
}

// row is one line of the summary, its latencies in milliseconds.
type row struct {
	camera.Count
	P50 float64 `json:"p50_ms"`
	P95 float64 `json:"p95_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
}

func toRow(c camera.Count) row {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return row{c, ms(c.P50), ms(c.P95), ms(c.P99), ms(c.Max)}
}

// writeJSON writes the summary for machines.
func writeJSON(out io.Writer, fleet *camera.Fleet, took time.Duration) error {
	stats := fleet.Stats()
	summary := struct {
		Duration float64 `json:"duration_s"`
		camera.Progress
		Requests uint64         `json:"requests"` // from the platform
		Total    row            `json:"total"`
		Kinds    map[string]row `json:"kinds"`
	}{took.Seconds(), fleet.Progress(), stats.Requests(), toRow(stats.Total()), map[string]row{}}
	for _, k := range camera.Kinds() {
		if c := stats.Kind(k); c.Sent > 0 {
			summary.Kinds[k.String()] = toRow(c)
		}
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	if err := e.Encode(summary); err != nil {
		return fmt.Errorf("write the summary: %w", err)
	}
	return failure(fleet)
}

// writeTable writes it for people.
func writeTable(out io.Writer, fleet *camera.Fleet, took time.Duration) {
	stats, p := fleet.Stats(), fleet.Progress()
	t := table.NewWriter()
	t.SetOutputMirror(out)
	style := table.StyleLight
	style.Format = table.FormatOptions{} // as written: 97µs would become 97ΜS
	t.SetStyle(style)
	t.AppendHeader(table.Row{"request", "sent", "resent", "answered", "refused", "lost", "p50", "p95", "p99", "max"})
	line := func(name string, c camera.Count) table.Row {
		return table.Row{name, c.Sent, c.Resent, c.Answered, c.Refused, c.Lost, short(c.P50), short(c.P95), short(c.P99), short(c.Max)}
	}
	for _, k := range camera.Kinds() {
		if c := stats.Kind(k); c.Sent > 0 {
			t.AppendRow(line(k.String(), c))
		}
	}
	t.AppendFooter(line("all", stats.Total()))
	t.Render()
	fmt.Fprintf(out, "%d devices in %v: %d started, %d registered at the end, %d died, %d could not connect; the platform sent %d requests\n",
		p.Devices, took.Round(100*time.Millisecond), p.Started, p.Registered, p.Dead, p.Failed, stats.Requests())
}
