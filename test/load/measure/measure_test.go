package measure

import (
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/load/scenario"
)

const exposition = `# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 12.5
# TYPE go_goroutines gauge
go_goroutines 42
# TYPE gb2mqtt_fleet_devices gauge
gb2mqtt_fleet_devices{presence="online"} 7
gb2mqtt_fleet_devices{presence="offline"} 2
# TYPE gb2mqtt_sip_requests_total counter
gb2mqtt_sip_requests_total{method="MESSAGE"} 30
gb2mqtt_sip_requests_total{method="REGISTER"} 10
# TYPE gb2mqtt_sip_rtt_seconds histogram
gb2mqtt_sip_rtt_seconds_bucket{le="+Inf"} 5
gb2mqtt_sip_rtt_seconds_sum 1
gb2mqtt_sip_rtt_seconds_count 5
`

func TestScrapeReadsWhatTheBridgeShows(t *testing.T) {
	text := exposition
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }))
	defer s.Close()
	scraper := Scraper{URL: s.URL, Also: []string{"gb2mqtt_sip_requests_total", `gb2mqtt_sip_requests_total{method="REGISTER"}`, "gb2mqtt_nothing"}}
	p, err := scraper.Scrape(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if p.CPU != 12.5 || p.Goroutines != 42 || p.Presence["online"] != 7 || p.Presence["unknown"] != 0 || p.Exchanges != 45 {
		t.Errorf("%+v", p)
	}
	if len(p.Metrics) != 2 || p.Metrics[scraper.Also[0]] != 40 || p.Metrics[scraper.Also[1]] != 10 {
		t.Errorf("metrics asked for: %v", p.Metrics)
	}
	text = "{no metrics"
	if _, err := scraper.Scrape(t.Context()); err == nil || !strings.Contains(err.Error(), s.URL) {
		t.Errorf("what is no exposition: %v", err)
	}
	s.Close()
	if _, err := scraper.Scrape(t.Context()); err == nil || !strings.Contains(err.Error(), "http.listen") {
		t.Errorf("nobody there: %v, want a next step", err)
	}
}

func TestGrowthIsTheLineAfterTheWarmUp(t *testing.T) {
	saw := func(from, slope, teeth float64) []float64 {
		var v []float64
		for i := range 40 {
			v = append(v, from+slope*float64(i)+teeth*float64(i%4))
		}
		return v
	}
	warm := slices.Concat(slices.Repeat([]float64{1}, 10), slices.Repeat([]float64{100}, 30))
	for name, c := range map[string]struct {
		values []float64
		want   float64
	}{"steady": {saw(100, 0, 0), 0}, "sawtooth": {saw(100, 0, 10), 0}, "leak": {saw(70, 1, 0), 29.0 / 80}, "warm-up": {warm, 0}} {
		if got, ok := growth(c.values); !ok || math.Abs(got-c.want) > .03 {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if _, ok := growth([]float64{1, 2, 3}); ok {
		t.Error("three values make no trend")
	}
}

func TestKindsAreSummedUpOverAStretch(t *testing.T) {
	var r Recorder
	r.Sent()
	r.Answered(time.Hour, true)
	before := r.Look()
	for range 10 {
		r.Sent()
	}
	for range 8 {
		r.Answered(time.Millisecond, false)
	}
	r.Answered(time.Millisecond, true)
	r.Lost()
	k := r.Look().Since(before).Over(2 * time.Second)
	if k.Sent != 10 || k.Answered != 9 || k.Refused != 1 || k.Lost != 1 || k.Rate != 4.5 || k.Errors != .2 || k.Losses != .1 || k.Max > .0011 || k.P99 < .001 {
		t.Errorf("%+v", k)
	}
	if _, ok := (Kind{}).value("p99"); ok {
		t.Error("nothing was answered, and has a p99")
	}
	if n, ok := (Kind{}).value("count"); n != 0 || !ok {
		t.Error("nothing was answered, and its count is not 0")
	}
}

// look is a sample with what a test needs.
func look(at, registered, online, cpu, alarms float64) Sample {
	s := Sample{At: at, Wanted: 10, Registered: registered, RSS: 100 + at}
	s.Take(&Process{At: at, CPU: cpu, RSS: 100 + at, Exchanges: 100 * at, Presence: map[string]float64{"online": online},
		Metrics: map[string]float64{"gb2mqtt_alarms_total": alarms, "gb2mqtt_depth": 10 - at}}, nil)
	return s
}

func TestPhaseIsSummedUpFromItsSamplesAlone(t *testing.T) {
	samples := []Sample{look(0, 0, 0, 1, 0), look(1, 0, 0, 2, 5), look(2, 10, 6, 2.5, 6), {At: 2.5}, look(3, 10, 10, 3, 8), look(9, 0, 0, 99, 99)}
	p := NewPhase(Bounds{Name: "b", Begin: 1, End: 3, Devices: 10, RegisteredAfter: .7, Kinds: map[string]Kind{"get": {Answered: 4, P50: .5}}},
		samples, []string{"gb2mqtt_alarms_total", "gb2mqtt_depth", "gb2mqtt_nothing"})
	r := Result{Phases: []Phase{p}}
	for measure, want := range map[string]float64{
		"registered": 1, "online": 1, "registered.within": .7, "online.within": 2, "recovered.within": 2, "cpu": 1, "cpu.cores": .5,
		"exchanges.rate": 100, "cpu.exchange": .005, "rss": 103, "gb2mqtt_alarms_total": 3, "gb2mqtt_depth": 9, "get.p50": .5,
	} {
		if got, ok := r.Value("b", measure); !ok || math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: %v, %v; want %v", measure, got, ok, want)
		}
	}
	for _, none := range []string{"gb2mqtt_nothing", "rss.growth", "alarm.p50", "get.p77"} {
		if v, ok := r.Value("b", none); ok {
			t.Errorf("%s is %v, and was not measured", none, v)
		}
	}
	if _, ok := r.Value("c", "rss"); ok {
		t.Error("a phase that there is not has a value")
	}
	verdicts, passed := r.Judge([]scenario.Objective{{Of: "rss", In: "b", Most: "1KiB"}, {Of: "online", In: "b", Least: "101%"}})
	if passed || !verdicts[0].Passed || verdicts[1].Passed {
		t.Errorf("%+v, %v", verdicts, passed)
	}
}

func TestEveryMeasureThatAnObjectiveMayBeOfIsSet(t *testing.T) {
	var samples []Sample
	for at := range 40 {
		samples = append(samples, look(float64(at), 10, 10, float64(at), 0))
	}
	for i := range samples {
		samples[i].Heap, samples[i].Goroutines, samples[i].Files = 1, 1, 1
	}
	kinds := make(map[string]Kind)
	for _, kind := range scenario.Kinds {
		kinds[kind] = Kind{Answered: 1}
	}
	p := NewPhase(Bounds{End: 39, Devices: 10, Kinds: kinds}, samples, nil)
	for _, measure := range scenario.Measures() {
		if _, ok := p.Value(measure); !ok {
			t.Errorf("%s is promised and not measured", measure)
		}
	}
}
