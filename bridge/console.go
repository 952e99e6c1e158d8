package bridge

import (
	"cmp"
	"embed"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
	"github.com/gb2mqtt/gb2mqtt/shadowsync"
)

//go:embed console
var consoleFiles embed.FS

// The console shows so many devices, and channels of one, at once: what a person can look at.
const (
	consoleDevices  = 200
	consoleChannels = 1000
)

// console is the page at /: who is there, and each one's shadow. It reads and changes nothing.
type console struct{ *Bridge }

// register puts the console on mux.
func (c console) register(mux *http.ServeMux) {
	files := http.FileServerFS(consoleFiles)
	safe := func(h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			h(w, r)
		}
	}
	mux.HandleFunc("GET /{$}", safe(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, consoleFiles, "console/index.html")
	}))
	mux.HandleFunc("GET /console/console.css", safe(files.ServeHTTP))
	mux.HandleFunc("GET /console/console.js", safe(files.ServeHTTP))
	mux.HandleFunc("GET /console/devices", safe(c.devices))
	mux.HandleFunc("GET /console/devices/{id}", safe(c.device))
	mux.HandleFunc("GET /console/devices/{id}/tree", safe(c.tree))
}

// consoleDevice is one row of the console.
type consoleDevice struct {
	ID        string `json:"id"`
	Presence  string `json:"presence"`
	Reason    string `json:"reason,omitempty"`
	Transport string `json:"transport,omitempty"`
	Remote    string `json:"remote,omitempty"`
	Channels  int    `json:"channels"`
	LastSeen  int64  `json:"last_seen_at,omitempty"` // Unix ms
}

// devices answers with the first devices by ID whose ID begins with `begins` and whose
// presence is `presence`, and how many there are in all.
func (c console) devices(w http.ResponseWriter, r *http.Request) {
	begins, presence := r.FormValue("begins"), r.FormValue("presence")
	var found []fleet.Device
	matching := 0
	byID := func(a, b fleet.Device) int { return cmp.Compare(a.ID.String(), b.ID.String()) }
	c.fleet.Each(func(d fleet.Device) {
		if !strings.HasPrefix(d.ID.String(), begins) || presence != "" && presence != d.Presence.String() {
			return
		}
		matching++
		if found = append(found, d); len(found) >= 2*consoleDevices { // never more than that in memory
			slices.SortFunc(found, byID)
			found = found[:consoleDevices]
		}
	})
	slices.SortFunc(found, byID)
	rows := make([]consoleDevice, 0, consoleDevices)
	for _, d := range found[:min(len(found), consoleDevices)] {
		row := consoleDevice{ID: d.ID.String(), Presence: d.Presence.String(), Reason: d.Reason, Channels: d.Channels}
		if d.HasPath {
			row.Transport, row.Remote = d.Path.Network.String(), d.Path.Remote.String()
		}
		if d.Reason != fleet.ReasonRestarted {
			row.LastSeen = d.LastSeen.UnixMilli()
		}
		rows = append(rows, row)
	}
	online, offline, unknown := c.fleet.Counts()
	c.answer(w, map[string]any{
		"ts": time.Now().UnixMilli(), "version": c.cfg.Version, "devices": rows, "matching": matching,
		"counts": map[string]int{"online": online, "offline": offline, "unknown": unknown},
	})
}

// known reads the device of a path, or answers why not.
func (c console) known(w http.ResponseWriter, r *http.Request) (id gb28181.ID, known bool) {
	id, err := gb28181.ParseID(r.PathValue("id"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return id, false
	}
	if _, known = c.fleet.Device(id); !known {
		http.Error(w, "device "+id.String()+" has never registered here", http.StatusNotFound)
	}
	return id, known
}

// tree answers with the tree of a device: regions, systems, groups, organisations, recorders
// and its first channels, each in its places.
func (c console) tree(w http.ResponseWriter, r *http.Request) {
	id, known := c.known(w, r)
	if !known {
		return
	}
	d, _ := c.fleet.Device(id)
	c.answer(w, map[string]any{"tree": c.treeOf(id, consoleChannels), "channels": d.Channels, "shown": min(d.Channels, consoleChannels)})
}

// device answers with the presence of a device's channels and its shadow, or with the shadow
// of its `channel`.
func (c console) device(w http.ResponseWriter, r *http.Request) {
	id, known := c.known(w, r)
	if !known {
		return
	}
	type channel struct {
		ID       string `json:"id"`
		Presence string `json:"presence"`
	}
	channels := []channel{}
	for _, ch := range c.fleet.Channels(id) {
		if len(channels) == consoleChannels {
			break
		}
		channels = append(channels, channel{ch.ID.String(), ch.Presence.String()})
	}
	var shadow json.RawMessage
	if doc, err := c.shadows.Get(shadowsync.Key{Thing: id.String(), Name: r.FormValue("channel")}); err == nil {
		shadow = doc.Encode()
	}
	c.answer(w, map[string]any{"channels": channels, "shadow": shadow})
}

func (c console) answer(w http.ResponseWriter, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(body); err != nil {
		c.log.Debug("console not answered", "err", err) // the browser went away
	}
}
