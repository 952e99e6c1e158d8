package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/gb2mqtt/gb2mqtt/test/load/measure"
	"github.com/gb2mqtt/gb2mqtt/test/load/scenario"
)

// progress tells how a load test goes: one line that changes on a terminal, else a line
// every few seconds.
type progress struct {
	w        io.Writer
	terminal bool
	last     float64 // when the last line was written
}

// quietly is how far apart lines are where they stay.
const quietly = 5

func newProgress(w io.Writer) *progress {
	f, ok := w.(*os.File)
	return &progress{w: w, terminal: ok && term.IsTerminal(int(f.Fd())), last: -quietly}
}

// show tells of one sample.
func (p *progress) show(r *run, s measure.Sample) {
	if !p.terminal && s.At-p.last < quietly {
		return
	}
	p.last = s.At
	begin, end := "", "\n"
	if p.terminal {
		begin, end = "\r\x1b[K", "" // back to the line's start, clear it
	}
	fmt.Fprint(p.w, begin, line(r.s, r.plan.Length(), s), end)
}

// done leaves the line.
func (p *progress) done() {
	if p.terminal {
		fmt.Fprintln(p.w)
	}
}

// line is a sample in one line.
func line(sc *scenario.Scenario, length time.Duration, s measure.Sample) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d/%d %s %.0f/%.0fs  devices %.0f/%.0f", s.Phase+1, len(sc.Phases), sc.Phases[s.Phase].Name, s.At, length.Seconds(), s.Registered, s.Wanted)
	for _, kind := range scenario.Kinds {
		k, some := s.Kinds[kind]
		if !some {
			continue
		}
		fmt.Fprintf(&b, "  %s %.0f/s %s", kind, k.Rate, scenario.FormatAmount(k.P99, scenario.Seconds))
		if bad := k.Refused + k.Lost; bad > 0 {
			fmt.Fprintf(&b, " %d bad", bad)
		}
	}
	if s.Process == nil {
		return b.String() + "  the bridge's metrics do not answer"
	}
	fmt.Fprintf(&b, "  cpu %.2f  rss %s  goroutines %.0f", s.Cores, scenario.FormatAmount(s.RSS, scenario.Bytes), s.Goroutines)
	return b.String()
}
