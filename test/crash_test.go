package test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

func TestNothingAcceptedIsLostToAKill(t *testing.T) {
	c, folder := baseConfig(), t.TempDir()
	const thing = "crash-test"
	base := shadowTopic(thing, "")
	wanted := map[string]float64{}
	version := 0.0
	for round := range 3 {
		p := startIn(t, folder, c)
		m := connect(t, p.mqtt, base+"/update/accepted")
		if doc := m.shadow(thing, ""); round > 0 {
			if doc == nil {
				t.Fatalf("round %d: the shadow is gone after the kill", round)
			}
			if v := doc["version"].(float64); v < version {
				t.Fatalf("round %d: version %v after %v was accepted", round, v, version)
			}
			have, _ := at(doc, "state.desired").(map[string]any)
			for key, value := range wanted {
				if got, _ := have[key].(float64); got < value {
					t.Errorf("round %d: %s is %v, but %v was accepted", round, key, got, value)
				}
			}
		}
		killed := make(chan struct{})
		go func() {
			time.Sleep(700 * time.Millisecond)
			p.kill()
			close(killed)
		}()
		for i := 0; ; i++ {
			update := fmt.Sprintf(`{"state":{"desired":{"k%d":%d}}}`, i%40, round*1_000_000+i)
			m.conn.Publish(base+"/update", 0, false, update)
			select {
			case <-killed:
			case <-time.After(200 * time.Microsecond):
				continue
			}
			break
		}
		accepted := m.messages(base + "/update/accepted")
		if len(accepted) < 20 {
			t.Fatalf("round %d: only %d updates were accepted", round, len(accepted))
		}
		for _, msg := range accepted {
			var a struct {
				Version float64
				State   struct{ Desired map[string]float64 }
			}
			if err := json.Unmarshal(msg.payload, &a); err != nil {
				t.Fatal(err)
			}
			if a.Version <= version {
				t.Fatalf("round %d: version %v follows %v", round, a.Version, version)
			}
			version = a.Version
			for key, v := range a.State.Desired {
				wanted[key] = v
			}
		}
	}
}
