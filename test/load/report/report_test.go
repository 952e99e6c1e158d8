package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/load/measure"
	"github.com/gb2mqtt/gb2mqtt/test/load/scenario"
)

// sample is a report with one passed and one failed objective.
func sample() *Report {
	kinds := map[string]measure.Kind{"get": {Sent: 10, Answered: 10, Rate: 5, P50: .001, P99: .0125, Max: .02}}
	return &Report{
		Scenario: "hot-shadow", About: "a <stampede>", Began: time.Unix(1e9, 0), Seconds: 12, Scale: 1, Machine: Machine(), Notes: []string{"a note"},
		Objectives: []scenario.Verdict{
			{Of: "get.p99", In: "peak", Wanted: "≤ 50ms", Measured: "12.5ms", Passed: true, Why: "it is one thing"},
			{Of: "rss", In: "peak", Wanted: "≤ 1MiB", Measured: "64.0MiB"},
		},
		Result: measure.Result{
			Phases: []measure.Phase{{Name: "peak", Seconds: 2, Kinds: kinds, Values: map[string]float64{"registered": 1, "rss": 64 << 20, "cpu.exchange": 4.2e-6}}},
			Samples: []measure.Sample{
				{At: 0, Kinds: map[string]measure.Kind{}}, {At: 1, Wanted: 10, Registered: 9, Kinds: kinds, RSS: 64 << 20, Cores: .5},
			},
		},
	}
}

func TestTableShowsPhasesRequestsAndObjectives(t *testing.T) {
	var b strings.Builder
	if err := sample().Table(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"hot-shadow: a <stampede>", "a note", "│ peak  │ 2 │ 100%", "64.0MiB", "4.2µs", "│ get     │   10 │", "12.5ms", "≤ 50ms", "passed", "FAILED", "1 of 2 objectives failed"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table has no %q:\n%s", want, b.String())
		}
	}
}

func TestJSONHoldsEverything(t *testing.T) {
	var b bytes.Buffer
	if err := sample().JSON(&b); err != nil {
		t.Fatal(err)
	}
	var r struct {
		Scenario   string
		Passed     bool
		Objectives []map[string]any
		Phases     []struct{ Kinds map[string]map[string]float64 }
		Samples    []map[string]any
	}
	if err := json.Unmarshal(b.Bytes(), &r); err != nil {
		t.Fatalf("%v in %s", err, b.String())
	}
	if r.Scenario != "hot-shadow" || r.Passed || len(r.Objectives) != 2 || r.Phases[0].Kinds["get"]["p99_s"] != .0125 || r.Samples[1]["registered"] != 9.0 {
		t.Errorf("%+v", r)
	}
}

func TestPageHasPlotsOverTimeAndTheObjectives(t *testing.T) {
	var b strings.Builder
	if err := sample().HTML(&b, "https://example.org/assets/"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<h1>hot-shadow: failed</h1>", "a &lt;stampede&gt;", "FAILED", "https://example.org/assets/echarts.min.js",
		"Latency, p99", `"name":"get"`, `"value":12.5`, `"value":"-"`, "Memory of the bridge", `"xAxis":"0.0"`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if n := strings.Count(b.String(), "echarts.init("); n != 8 {
		t.Errorf("%d plots, want 8", n)
	}
}
