package mapping

import (
	"maps"
	"strings"
	"time"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// Parts gathers the configurations of one answer, which may come in one Response or in one
// each [GB28181-2022 A.2.4.7].
type Parts struct {
	asked  []Configuration
	got    map[string]bool
	fields map[string]any
}

// NewParts returns an empty answer to a query for these.
func NewParts(asked []Configuration) *Parts {
	return &Parts{asked: asked, got: make(map[string]bool), fields: make(map[string]any)}
}

// Add takes one packet. Uniview names the element otherwise than the ConfigType: where one
// configuration is asked for, the only element that is neither known nor part of the frame is it.
func (p *Parts) Add(m *gb28181.Message) {
	for _, c := range m.Tree.Children {
		if known, ok := configurationOf(c.Name); ok {
			p.got[known.Name] = true
		}
	}
	fields := Fields(m)
	if extra, _ := fields["extra"].(map[string]any); len(p.asked) == 1 && !p.got[p.asked[0].Name] && len(extra) == 1 {
		for _, foreign := range m.Tree.Children {
			if _, is := extra[foreign.Name]; is && len(foreign.Children) > 0 {
				p.got[p.asked[0].Name] = true
				fields[p.asked[0].Name] = reader{zone: m.Zone}.objectOf(foreign)
				delete(fields, "extra")
			}
		}
	}
	maps.Copy(p.fields, fields)
}

// configurationOf finds the configuration that an element of an answer holds. SnapShotConfig
// is called SnapShot in the answer's schema [GB28181-2022 A.2.6.9].
func configurationOf(tag string) (Configuration, bool) {
	if strings.EqualFold(tag, "SnapShot") {
		tag = "SnapShotConfig"
	}
	for _, c := range Configurations {
		if strings.EqualFold(c.Tag, tag) {
			return c, true
		}
	}
	return Configuration{}, false
}

// Missing names what was asked for and has not come.
func (p *Parts) Missing() []string {
	var missing []string
	for _, c := range p.asked {
		if !p.got[c.Name] {
			missing = append(missing, c.Name)
		}
	}
	return missing
}

// Complete reports whether all has come.
func (p *Parts) Complete() bool { return len(p.Missing()) == 0 }

// Partial reports whether something is missing.
func (p *Parts) Partial() bool { return !p.Complete() }

// Fields returns what came, and what did not.
func (p *Parts) Fields() map[string]any {
	f := maps.Clone(p.fields)
	if missing := p.Missing(); len(missing) > 0 {
		f["partial"], f["missing"] = true, missing
	}
	return f
}

// ConfigPatch is the `config` section that a ConfigDownload tells, nil when it tells none.
func ConfigPatch(m *gb28181.Message) map[string]any {
	fields := Fields(m)
	config := make(map[string]any)
	for _, c := range Configurations {
		if v, there := fields[c.Name]; there && c.Name != "snapshot" {
			config[c.Name] = c.Brief(v)
		}
	}
	if len(config) == 0 {
		return nil
	}
	return map[string]any{"config": config}
}

// HeartbeatOf reads a device's keepalive interval and misses from a patch that ConfigPatch
// made; what is not told is 0. told is false when neither is.
func HeartbeatOf(patch map[string]any) (interval time.Duration, misses int, told bool) {
	config, _ := patch["config"].(map[string]any)
	basic, _ := config["basic"].(map[string]any)
	if n, ok := numberOf(basic["heart_beat_interval"]); ok {
		interval, told = time.Duration(n)*time.Second, true
	}
	if n, ok := numberOf(basic["heart_beat_count"]); ok {
		misses, told = int(n), true
	}
	return interval, misses, told
}
