package bridge

import (
	"time"

	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/shadowsync"
)

// reportTold reports what a device told or did, and tells what changed with it.
func (b *Bridge) reportTold(k shadowsync.Key, patch map[string]any) {
	b.tellChanges(k, patch)
	b.shadows.Report(k, patch, nil)
}

// tellChanges publishes as events what of a patch is not reported yet: `record` when a channel
// begins or ends to record, `config` with the configurations that are others now.
func (b *Bridge) tellChanges(k shadowsync.Key, patch map[string]any) {
	e := event{device: k.Thing, channel: k.Name, at: time.Now()}
	if recording, told := patch["recording"]; told && recording != b.reportedAt(k, "recording") {
		e.kind, e.fields = "record", map[string]any{"recording": recording}
		b.publishEvent(e)
	}
	config, _ := patch["config"].(map[string]any)
	changed := make(map[string]any)
	for name, value := range config {
		if !mapping.Covered(b.reportedAt(k, "config."+name), value) {
			changed[name] = value
		}
	}
	if len(changed) > 0 {
		e.kind, e.fields = "config", changed
		b.publishEvent(e)
	}
}
