package measure

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Process is the bridge as its own metrics show it at one moment.
type Process struct {
	At         float64 // seconds since the load began; the caller's to set
	CPU        float64 // seconds since its start
	RSS        float64 // bytes
	Heap       float64 // bytes: the size at which the next collection begins, twice what lived at the last one
	Goroutines float64
	Files      float64            // open
	Presence   map[string]float64 // devices by presence
	Exchanges  float64            // SIP requests with their answers so far, of devices and of the platform
	Recovering float64            // devices that wait to be brought up to date
	Metrics    map[string]float64 // the metrics of Scraper.Also
}

// Scraper reads /metrics of a bridge.
type Scraper struct {
	URL  string   // http://host:port/metrics
	Also []string // further metrics, with labels or without: then all their labels together
}

// scrapeTimeout is how long a bridge that stands still may hold a look up.
const scrapeTimeout = 2 * time.Second

// Scrape looks once.
func (s *Scraper) Scrape(ctx context.Context) (*Process, error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w; is http.listen of the bridge there?", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("metrics: %s answers %s", s.URL, answer.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("metrics: %s: %w", s.URL, err)
	}
	return s.read(families), nil
}

func (s *Scraper) read(families map[string]*dto.MetricFamily) *Process {
	of := func(name string) float64 { v, _ := sum(families, name); return v }
	p := &Process{
		CPU: of("process_cpu_seconds_total"), RSS: of("process_resident_memory_bytes"), Heap: of("go_memstats_next_gc_bytes"),
		Goroutines: of("go_goroutines"), Files: of("process_open_fds"), Recovering: of("gb2mqtt_bridge_recovering_devices"),
		Exchanges: of("gb2mqtt_sip_requests_total") + of("gb2mqtt_sip_rtt_seconds"),
		Presence:  make(map[string]float64), Metrics: make(map[string]float64),
	}
	for _, presence := range []string{"online", "unknown", "offline"} {
		p.Presence[presence] = of(`gb2mqtt_fleet_devices{presence="` + presence + `"}`)
	}
	for _, name := range s.Also {
		if v, ok := sum(families, name); ok {
			p.Metrics[name] = v
		}
	}
	return p
}

// sum adds up a metric over its labels, or over those that are written behind its name as
// name{label="value"}; of a histogram it is the count. False: there is none of that name.
func sum(families map[string]*dto.MetricFamily, name string) (float64, bool) {
	name, labels, _ := strings.Cut(name, "{")
	family := families[name]
	if family == nil {
		return 0, false
	}
	var wanted []string
	for part := range strings.SplitSeq(strings.TrimSuffix(labels, "}"), ",") {
		if part = strings.TrimSpace(part); part != "" {
			wanted = append(wanted, part)
		}
	}
	var total float64
	for _, m := range family.Metric {
		if !slices.ContainsFunc(wanted, func(w string) bool { return !has(m, w) }) {
			total += m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return total, true
}

// has reports whether m carries a label, written name="value".
func has(m *dto.Metric, label string) bool {
	return slices.ContainsFunc(m.Label, func(l *dto.LabelPair) bool { return l.GetName()+`="`+l.GetValue()+`"` == label })
}
