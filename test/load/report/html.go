package report

import (
	"bytes"
	"fmt"
	"html/template"
	"io"
	"strconv"

	"github.com/go-echarts/go-echarts/v2/charts"
	"github.com/go-echarts/go-echarts/v2/components"
	"github.com/go-echarts/go-echarts/v2/opts"

	"github.com/gb2mqtt/gb2mqtt/test/load/measure"
)

// curve is one line of a plot.
type curve struct {
	name string
	of   func(measure.Sample) (float64, bool) // false: there is no point
}

// always makes a curve that has a point in every sample.
func always(name string, of func(measure.Sample) float64) curve {
	return curve{name, func(s measure.Sample) (float64, bool) { return of(s), true }}
}

const mib = 1 << 20

// HTML writes r as a page of plots over time, with the objectives above them. The page
// loads the plotting library from assets, a URL that ends with a slash; empty: from
// go-echarts' own site.
func (r *Report) HTML(w io.Writer, assets string) error {
	page := components.NewPage().SetPageTitle("gb2mqtt load: " + r.Scenario)
	if assets != "" {
		page.SetAssetsHost(assets)
	}
	var rates, latencies, errors []curve
	for _, kind := range r.kindsSeen() {
		rates = append(rates, always(kind, func(s measure.Sample) float64 { return s.Kinds[kind].Rate }))
		latencies = append(latencies, curve{kind, func(s measure.Sample) (float64, bool) {
			return s.Kinds[kind].P99 * 1000, s.Kinds[kind].Answered > 0
		}})
		errors = append(errors, always(kind, func(s measure.Sample) float64 { return s.Kinds[kind].Errors * 100 }))
	}
	page.AddCharts(
		r.plot("Devices", "", "value",
			always("wanted", func(s measure.Sample) float64 { return s.Wanted }),
			always("registered", func(s measure.Sample) float64 { return s.Registered }),
			always("online", func(s measure.Sample) float64 { return s.Presence["online"] }),
			always("unknown", func(s measure.Sample) float64 { return s.Presence["unknown"] }),
			always("offline", func(s measure.Sample) float64 { return s.Presence["offline"] })),
		r.plot("Answers", "1/s", "value", rates...),
		r.plot("Latency, p99", "ms", "log", latencies...),
		r.plot("Errors", "%", "value", errors...),
		r.plot("SIP of the bridge", "1/s", "value",
			always("exchanges", func(s measure.Sample) float64 { return s.Exchanges }),
			always("requests of the platform", func(s measure.Sample) float64 { return s.Requests })),
		r.plot("CPU of the bridge", "cores", "value", always("cores", func(s measure.Sample) float64 { return s.Cores })),
		r.plot("Memory of the bridge", "MiB", "value",
			always("resident", func(s measure.Sample) float64 { return s.RSS / mib }),
			always("heap goal", func(s measure.Sample) float64 { return s.Heap / mib })),
		r.plot("Goroutines and open files of the bridge", "", "value",
			always("goroutines", func(s measure.Sample) float64 { return s.Goroutines }),
			always("open files", func(s measure.Sample) float64 { return s.Files })),
	)
	var plots, top bytes.Buffer
	if err := page.Render(&plots); err != nil {
		return fmt.Errorf("write the plots: %w", err)
	}
	if err := heading.Execute(&top, r); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	body := []byte("<body>")
	_, err := w.Write(bytes.Replace(plots.Bytes(), body, append(body, top.Bytes()...), 1))
	if err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// plot draws curves over the time of the test, with a line where each phase begins.
func (r *Report) plot(title, unit, axis string, curves ...curve) components.Charter {
	line := charts.NewLine()
	line.SetGlobalOptions(
		charts.WithInitializationOpts(opts.Initialization{Width: "1200px", Height: "320px"}),
		charts.WithTitleOpts(opts.Title{Title: title}),
		charts.WithTooltipOpts(opts.Tooltip{Show: opts.Bool(true), Trigger: "axis"}),
		charts.WithLegendOpts(opts.Legend{Show: opts.Bool(true), Left: "right", Type: "scroll"}),
		charts.WithXAxisOpts(opts.XAxis{Name: "s"}),
		charts.WithYAxisOpts(opts.YAxis{Name: unit, Type: axis, Scale: opts.Bool(axis == "log")}),
	)
	var times []string
	var begins []opts.MarkLineNameXAxisItem
	for i, s := range r.Samples {
		at := strconv.FormatFloat(s.At, 'f', 1, 64)
		times = append(times, at)
		if (i == 0 || r.Samples[i-1].Phase != s.Phase) && s.Phase < len(r.Phases) {
			begins = append(begins, opts.MarkLineNameXAxisItem{Name: r.Phases[s.Phase].Name, XAxis: at})
		}
	}
	line.SetXAxis(times)
	for i, c := range curves {
		points := make([]opts.LineData, 0, len(r.Samples))
		for _, s := range r.Samples {
			v, ok := c.of(s)
			if !ok {
				points = append(points, opts.LineData{Value: "-"}) // echarts' word for a gap
				continue
			}
			points = append(points, opts.LineData{Value: v})
		}
		series := []charts.SeriesOpts{charts.WithLineChartOpts(opts.LineChart{ShowSymbol: opts.Bool(false)})}
		if i == 0 {
			series = append(series, charts.WithMarkLineNameXAxisItemOpts(begins...),
				charts.WithMarkLineStyleOpts(opts.MarkLineStyle{Symbol: []string{"none"}, Label: &opts.Label{Show: opts.Bool(true), Formatter: "{b}"}}))
		}
		line.AddSeries(c.name, points, series...)
	}
	return line
}

// heading is what stands above the plots.
var heading = template.Must(template.New("heading").Parse(`
<div style="font-family:sans-serif;width:1200px;margin:1em auto">
<h1>{{.Scenario}}: {{if .Passed}}passed{{else}}failed{{end}}</h1>
<p>{{.About}}</p>
<p>{{.Machine}}; scale {{.Scale}}; {{printf "%.0f" .Seconds}} s from {{.Began.Format "2006-01-02 15:04:05"}}</p>
{{range .Notes}}<p>{{.}}</p>{{end}}
<table border="1" cellpadding="4" style="border-collapse:collapse">
<tr><th>objective</th><th>in</th><th>wanted</th><th>measured</th><th>ratio</th><th></th><th>why</th></tr>
{{range .Objectives}}<tr><td>{{.Of}}</td><td>{{.In}}</td><td>{{.Wanted}}</td><td>{{.Measured}}</td><td>{{.Ratio}}</td>
<td style="color:{{if .Passed}}green{{else}}red{{end}}">{{if .Passed}}passed{{else}}FAILED{{end}}</td><td>{{.Why}}</td></tr>
{{end}}</table>
</div>
`))
