// Package report tells a person or a machine what a load test came to.
//
//	measure.Result, verdicts ──▶ Report ─▶ Table: text │ JSON │ HTML: plots over time
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/gb2mqtt/gb2mqtt/test/load/measure"
	"github.com/gb2mqtt/gb2mqtt/test/load/scenario"
)

// Report is a load test from its name to its verdicts.
type Report struct {
	Scenario   string             `json:"scenario"`
	About      string             `json:"about"`
	Began      time.Time          `json:"began"`
	Seconds    float64            `json:"seconds"`
	Scale      float64            `json:"scale"`
	Machine    string             `json:"machine"`
	Passed     bool               `json:"passed"`
	Notes      []string           `json:"notes,omitempty"` // what the reader must know about this run
	Objectives []scenario.Verdict `json:"objectives"`
	measure.Result
}

// Machine names what the figures were measured on.
func Machine() string {
	return fmt.Sprintf("%d cores, %s/%s, %s; generator and bridge on the same machine", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// JSON writes r for machines.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	if err := e.Encode(r); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// Table writes r for people: a table of the phases, one of the kinds of requests, and the
// objectives.
func (r *Report) Table(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n%s; scale %v; %.0f s from %s\n", r.Scenario, r.About, r.Machine, r.Scale, r.Seconds, r.Began.Format("2006-01-02 15:04:05"))
	for _, note := range r.Notes {
		fmt.Fprintln(&b, note)
	}
	r.phases(&b)
	r.kinds(&b)
	r.objectives(&b)
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// newTable returns a table that leaves words as they are written.
func newTable(w io.Writer, header ...any) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	style := table.StyleLight
	style.Format = table.FormatOptions{}
	t.SetStyle(style)
	t.AppendHeader(header)
	return t
}

// phaseColumns are what the table of phases shows.
var phaseColumns = []string{"registered", "online", "exchanges.rate", "cpu.cores", "cpu.exchange", "rss", "heap", "goroutines", "files"}

func (r *Report) phases(w io.Writer) {
	header := []any{"phase", "s"}
	for _, name := range phaseColumns {
		header = append(header, name)
	}
	t := newTable(w, header...)
	for _, p := range r.Phases {
		row := table.Row{p.Name, fmt.Sprintf("%.0f", p.Seconds)}
		for _, name := range phaseColumns {
			row = append(row, amount(&p, name))
		}
		t.AppendRow(row)
	}
	t.Render()
}

// amount is a measure of p as text, a dash where there is none.
func amount(p *measure.Phase, name string) string {
	v, ok := p.Value(name)
	if !ok {
		return "–"
	}
	unit, _ := scenario.UnitOf(name)
	return scenario.FormatAmount(v, unit)
}

func (r *Report) kinds(w io.Writer) {
	t := newTable(w, "phase", "request", "sent", "answered", "refused", "lost", "rate/s", "p50", "p99", "max")
	for _, p := range r.Phases {
		for _, name := range scenario.Kinds {
			if k := p.Kinds[name]; k.Sent+k.Answered+k.Lost > 0 {
				t.AppendRow(table.Row{p.Name, name, k.Sent, k.Answered, k.Refused, k.Lost, fmt.Sprintf("%.1f", k.Rate),
					amount(&p, name+".p50"), amount(&p, name+".p99"), amount(&p, name+".max")})
			}
		}
	}
	t.Render()
}

func (r *Report) objectives(w io.Writer) {
	if len(r.Objectives) == 0 {
		return
	}
	t := newTable(w, "objective", "in", "wanted", "measured", "ratio", "")
	for _, o := range r.Objectives {
		t.AppendRow(table.Row{o.Of, o.In, o.Wanted, o.Measured, o.Ratio, verdict(o.Passed)})
	}
	t.Render()
	failed := 0
	for _, o := range r.Objectives {
		if !o.Passed {
			failed++
		}
	}
	if failed > 0 {
		fmt.Fprintf(w, "%d of %d objectives failed\n", failed, len(r.Objectives))
		return
	}
	fmt.Fprintf(w, "all %d objectives passed\n", len(r.Objectives))
}

func verdict(passed bool) string {
	if passed {
		return "passed"
	}
	return "FAILED"
}

// kindsSeen returns the kinds that any sample has, in the order of the reports.
func (r *Report) kindsSeen() []string {
	return slices.DeleteFunc(slices.Clone(scenario.Kinds), func(kind string) bool {
		return !slices.ContainsFunc(r.Samples, func(s measure.Sample) bool { return s.Kinds[kind].Answered+s.Kinds[kind].Lost > 0 })
	})
}
