package configs

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/command"
	"github.com/gb2mqtt/gb2mqtt/bridge/quirk"
	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
)

// Devices is the section `devices`: how the platform treats the devices that register.
type Devices struct {
	OnRegister      []string      `yaml:"on_register"`        // queries sent once a device is registered
	Subscribe       Subscribe     `yaml:"subscribe"`          // subscriptions upheld with each device
	Encoding        string        `yaml:"encoding"`           // of what is sent: auto, gb18030, utf-8
	AdoptKeepalive  bool          `yaml:"adopt_on_keepalive"` // a keepalive without a registration makes online
	KeepaliveEvents bool          `yaml:"keepalive_events"`   // each keepalive is an event
	PTZMax          time.Duration `yaml:"ptz_max"`            // a movement that nobody stops ends after this
	RecoveryRate    int           `yaml:"recovery_rate"`      // requests per second to returned devices, in all
	Vanished        time.Duration `yaml:"vanished"`           // a channel gone from the catalog is forgotten after this
	Quirks          quirk.Config  `yaml:"quirks"`             // by device ID or "manufacturer/model"
}

// Subscribe says how long each subscription lasts before it is refreshed; 0 is none.
type Subscribe struct {
	Catalog  time.Duration `yaml:"catalog"`
	Alarm    time.Duration `yaml:"alarm"`
	Position time.Duration `yaml:"position"` // the reporting interval
}

func defaultDevices() Devices {
	return Devices{
		OnRegister:   []string{"device_info", "catalog"},
		Subscribe:    Subscribe{Catalog: time.Hour, Alarm: time.Hour},
		Encoding:     "auto",
		PTZMax:       command.Default().PTZMax,
		RecoveryRate: 500,
		Vanished:     24 * time.Hour,
		Quirks:       quirk.Config{},
	}
}

func (c Devices) validate(complain complainer) {
	for i, q := range c.OnRegister {
		if !slices.Contains(quirk.Queries, q) {
			complain(fmt.Sprintf("devices.on_register[%d]", i), "%q is not a query for a new device; use %s", q, words(quirk.Queries))
		}
	}
	expiry := func(key string, d, least time.Duration) {
		if d != 0 && (d < least || d > 24*time.Hour) {
			complain("devices.subscribe."+key, "%v is out of range; use %s to 24h, or 0s for no subscription", short(d), short(least))
		}
	}
	expiry("catalog", c.Subscribe.Catalog, time.Minute)
	expiry("alarm", c.Subscribe.Alarm, time.Minute)
	expiry("position", c.Subscribe.Position, time.Second)
	if !slices.Contains(quirk.Encodings, c.Encoding) {
		complain("devices.encoding", "%q is not an encoding; use %s", c.Encoding, words(quirk.Encodings))
	}
	if c.RecoveryRate < 1 || c.RecoveryRate > 100000 {
		complain("devices.recovery_rate", "%d is out of range; use 1 to 100000 requests per second", c.RecoveryRate)
	}
	if c.Vanished < time.Second {
		complain("devices.vanished", "%v is too short; use 1s or more", c.Vanished)
	}
}

// Media is the section `media`: where streams of devices arrive.
type Media struct {
	Listen    string `yaml:"listen"`    // IP address
	Ports     string `yaml:"ports"`     // first-last
	Advertise string `yaml:"advertise"` // host that devices can reach, for SDP; empty: the local address of the route
}

// PortRange returns the first and the last port of Ports.
func (c Media) PortRange() (first, last uint16, err error) {
	a, b, ok := strings.Cut(c.Ports, "-")
	lo, errLo := strconv.ParseUint(strings.TrimSpace(a), 10, 16)
	hi, errHi := strconv.ParseUint(strings.TrimSpace(b), 10, 16)
	switch {
	case !ok || errLo != nil || errHi != nil || lo == 0:
		return 0, 0, fmt.Errorf("%q is not a range of ports; use first-last between 1 and 65535, as in 30000-30500", c.Ports)
	case lo > hi:
		return 0, 0, fmt.Errorf("%q runs backwards; use %d-%d", c.Ports, hi, lo)
	case hi == lo:
		// RTP takes the even port of a pair, RTCP the odd one above it [RFC3550 11].
		return 0, 0, fmt.Errorf("%q has room for no stream; a stream takes two ports, RTP and RTCP", c.Ports)
	}
	return uint16(lo), uint16(hi), nil
}

func (c Media) validate(complain complainer) {
	if _, err := netip.ParseAddr(c.Listen); err != nil {
		complain("media.listen", "%q is not an IP address; use 0.0.0.0 for all, or one address of this machine", c.Listen)
	}
	if _, _, err := c.PortRange(); err != nil {
		complain("media.ports", "%v", err)
	}
	if c.Advertise != "" && !isHost(c.Advertise) {
		complain("media.advertise", "%q is not a host; use an IP address or name that devices can reach, without a port", c.Advertise)
	}
}

// isHost accepts an IP address or a host name.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	return s != "" && len(s) <= 253 && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789.-") == ""
}

// Topics is the section `topics`.
type Topics struct {
	Prefix string `yaml:"prefix"` // before every topic of the bridge but the shadows'
}

func (c Topics) validate(complain complainer) {
	switch p := c.Prefix; {
	case p == "":
		complain("topics.prefix", "is empty; use one or more topic levels, as in gb28181")
	case strings.ContainsAny(p, "+#"):
		complain("topics.prefix", "%q holds a wildcard; use a prefix without + and #", p)
	case strings.HasPrefix(p, "/") || strings.HasSuffix(p, "/") || strings.Contains(p, "//"):
		complain("topics.prefix", "%q has an empty level; use a prefix without / at its ends", p)
	case strings.HasPrefix(p, "$"):
		complain("topics.prefix", "%q begins with $, which # does not reach; use a prefix without it", p)
	case strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }):
		complain("topics.prefix", "%q holds control characters; use visible ones", p)
	}
}

// HTTP is the section `http`.
type HTTP struct {
	Listen string `yaml:"listen"` // host:port; empty: none
	Pprof  bool   `yaml:"pprof"`  // Go's profiles at /debug/pprof
}

func (c HTTP) validate(complain complainer) {
	if c.Listen == "" {
		if c.Pprof {
			complain("http.pprof", "is on while http.listen is empty; give http.listen an address, or turn it off")
		}
		return
	}
	if _, port, err := net.SplitHostPort(c.Listen); err != nil || !isPort(port) {
		complain("http.listen", "%q is not an address; use host:port, as in 127.0.0.1:8080, or leave it empty for none", c.Listen)
	}
}

// isPort accepts 0 to 65535; 0 is any free one.
func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

// GRPC is the section `grpc`.
type GRPC struct {
	Listen string `yaml:"listen"` // empty: none
}

// Redis is the section `redis`.
type Redis struct {
	URL string `yaml:"url"` // empty: this bridge is alone
}

// Limits is the section `limits`; 0 is no limit where the manual says so.
type Limits struct {
	Devices           int `yaml:"devices"`             // registered at once; 0: none
	Shadows           int `yaml:"shadows"`             // documents kept; 0: none
	ShadowRate        int `yaml:"shadow_rate"`         // requests per second and thing; 0: none
	InflightPerDevice int `yaml:"inflight_per_device"` // commands on the wire
	QueuePerDevice    int `yaml:"queue_per_device"`    // commands that wait
	CatalogItems      int `yaml:"catalog_items"`       // of one device
	Body              int `yaml:"body"`                // bytes of a SIP message's body
}

func defaultLimits() Limits {
	return Limits{
		InflightPerDevice: command.Default().InflightPerDevice,
		QueuePerDevice:    command.Default().QueuePerDevice,
		CatalogItems:      command.Default().CatalogItems,
		Body:              sip.Default().MaxBody,
	}
}

// validate looks at the limits that no room takes over; see RoomCommand.
func (c Limits) validate(complain complainer) {
	between := func(key string, n, least, most int) {
		if n < least || n > most {
			complain("limits."+key, "%d is out of range; use %d to %d", n, least, most)
		}
	}
	between("devices", c.Devices, 0, 10_000_000)
	between("shadows", c.Shadows, 0, 100_000_000)
	between("shadow_rate", c.ShadowRate, 0, 1_000_000)
	between("body", c.Body, 1024, 16<<20)
}

// Log is the section `log`.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // text, json
}

// SlogLevel returns Level as log/slog has it.
func (c Log) SlogLevel() slog.Level {
	return levels[c.Level]
}

var levels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

func (c Log) validate(complain complainer) {
	if _, ok := levels[c.Level]; !ok {
		complain("log.level", "%q is not a level; use debug, info, warn or error", c.Level)
	}
	if c.Format != "text" && c.Format != "json" {
		complain("log.format", "%q is not a format; use text or json", c.Format)
	}
}

// words lists what is accepted: a, b or c.
func words(list []string) string {
	last := len(list) - 1
	return strings.Join(list[:last], ", ") + " or " + list[last]
}
