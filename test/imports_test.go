package test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// mayImport holds the directions of the house: for each room, the rooms it may know.
// Data flows down this list; a room that is named nowhere may be imported by nobody.
var mayImport = map[string][]string{
	"mapping/gb28181":     {},
	"mapping":             {"mapping/gb28181"},
	"bridge/sip":          {},
	"bridge/guard":        {},
	"bridge/leak":         {},
	"bridge/quirk":        {"bridge/sip", "mapping", "mapping/gb28181"},
	"bridge/fleet":        {"bridge/quirk", "bridge/sip", "mapping", "mapping/gb28181"},
	"bridge/command":      {"bridge/sip", "bridge/guard", "mapping", "mapping/gb28181"},
	"bridge/due":          {},
	"bridge/tree":         {"mapping/gb28181"},
	"bridge/subscribe":    {"bridge/due", "bridge/sip", "bridge/command", "mapping", "mapping/gb28181"},
	"broker":              {},
	"shadowsync":          {"shadowsync/store"},
	"shadowsync/store":    {},
	"shadowsync/upstream": {"shadowsync"},
	"bridge": {"bridge/due", "bridge/subscribe", "bridge/tree", "bridge/sip", "bridge/fleet", "bridge/command", "bridge/guard", "bridge/leak", "bridge/quirk", "mapping", "mapping/gb28181",
		"broker", "shadowsync", "shadowsync/store", "shadowsync/upstream"},
	"configs": {"bridge/quirk", "bridge/sip", "bridge/fleet", "bridge/command", "bridge/guard", "broker", "shadowsync", "shadowsync/store"},
	"cmd/gb2mqtt": {"bridge", "bridge/sip", "bridge/fleet", "bridge/command", "bridge/guard", "mapping", "mapping/gb28181",
		"broker", "shadowsync", "shadowsync/store", "configs", "test/camera"},
	"test/authority":     {},
	"cmd/gbsim":          {"test/camera", "mapping", "mapping/gb28181"},
	"test/camera":        {"mapping", "mapping/gb28181", "test/latency"},
	"test/faults":        {},
	"test/latency":       {},
	"test/load/scenario": {},
	"test/load/measure":  {"test/latency", "test/load/scenario"},
	"test/load/report":   {"test/load/measure", "test/load/scenario"},
	"test/load":          {"test/camera", "test/faults", "test/load/scenario", "test/load/measure", "test/load/report"},
	"test":               {"test/camera", "mapping/gb28181"},
}

// mayNotTouch keeps what is pure away from the network and from storage.
var mayNotTouch = map[string][]string{
	"mapping":         {"net", "os", "github.com/dgraph-io/badger/v4"},
	"mapping/gb28181": {"net", "os", "github.com/dgraph-io/badger/v4"},
}

func TestImportsFollowTheDirectionsOfTheHouse(t *testing.T) {
	const module = "github.com/gb2mqtt/gb2mqtt/"
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		room := strings.TrimPrefix(words[0], module)
		allowed, known := mayImport[room]
		if !known {
			t.Errorf("room %s is not on the plan: say in mayImport what it may know", room)
			continue
		}
		for _, imported := range words[1:] {
			if other, ours := strings.CutPrefix(imported, module); ours && !slices.Contains(allowed, other) {
				t.Errorf("%s imports %s, which it must not know", room, other)
			}
			if slices.Contains(mayNotTouch[room], imported) {
				t.Errorf("%s imports %s, but it is pure", room, imported)
			}
		}
	}
}
