package fleet

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestMetricsCountPresenceAndRefusals(t *testing.T) {
	reg, n := prometheus.NewRegistry(), &notes{}
	f, err := New(testConfig(time.Minute), Options{Sink: n, Log: slog.New(slog.DiscardHandler), Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	n.f = f
	register(f, cam, home, password, nil)
	keepalive(f, cam, udp("10.9.9.9:5060"))
	say(f, cam, home, 1, body("Response", "Catalog", 1))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	want := map[string]float64{
		"gb2mqtt_fleet_devices online": 1, "gb2mqtt_fleet_devices offline": 0, "gb2mqtt_fleet_devices unknown": 0,
		"gb2mqtt_fleet_transitions_total registered": 1, "gb2mqtt_fleet_refusals_total address": 1, "gb2mqtt_fleet_lane_depth": 1,
		"gb2mqtt_devices_by_lifecycle disconnected": 0, "gb2mqtt_devices_by_lifecycle connecting": 0,
		"gb2mqtt_devices_by_lifecycle registered": 1, "gb2mqtt_devices_by_lifecycle subscribed": 0,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
