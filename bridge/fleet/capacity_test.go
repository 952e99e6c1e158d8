package fleet

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

func TestRegistrationBeyondCapacityIsPutOffAndThenTaken(t *testing.T) {
	inUse, most := 0, 1
	n := &notes{saved: map[gb28181.ID]Record{}}
	f, err := New(testConfig(time.Minute), Options{
		Sink: n, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
		Admit: func(time.Time) (func(), time.Duration) {
			if inUse == most {
				return nil, 7 * time.Second
			}
			inUse++
			return func() { inUse-- }, 0
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	n.f = f
	if a := register(f, cam, home, password, nil); a.Code != 200 || inUse != 0 {
		t.Fatalf("answer %d, %d slots held after the work was done", a.Code, inUse)
	}
	most = 0
	other := mustID("34020000001320000002")
	if a := register(f, other, home, password, nil); a.Code != 503 || a.RetryAfter != 7*time.Second {
		t.Fatalf("beyond capacity: %+v, want 503 with Retry-After 7s", a)
	}
	if _, known := f.Device(other); known {
		t.Error("a device that was put off is known")
	}
	if a := register(f, cam, home, password, nil); a.Code != 200 {
		t.Errorf("a refresh, which makes no work, got %d", a.Code)
	}
	most = 1
	if a := register(f, other, home, password, nil); a.Code != 200 {
		t.Errorf("once there is room: %d, want 200", a.Code)
	}
}
