package bridge

import (
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/command"
	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/bridge/guard"
	"github.com/gb2mqtt/gb2mqtt/bridge/quirk"
	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/broker"
	"github.com/gb2mqtt/gb2mqtt/shadowsync"
	"github.com/gb2mqtt/gb2mqtt/shadowsync/store"
)

// Config is everything a Bridge is made of: each room's own, and what routes between them.
type Config struct {
	SIP     sip.Config
	Fleet   fleet.Config
	Guard   guard.Config
	Command command.Config
	MQTT    broker.Config
	Shadow  shadowsync.Config
	Store   store.Config

	Version      string
	TopicPrefix  string
	OnRegister   []string                 // device_info, catalog, device_status: asked once a device is registered
	Encoding     string                   // of what is sent: auto, gb18030, utf-8
	Subscribe    map[string]time.Duration // catalog, alarm, position: for how long, of position how often it reports; 0: not
	Quirks       quirk.Config             // devices.quirks
	RecoveryRate int                      // requests per second, in all, that bring returned devices up to date
	Vanished     time.Duration
	HTTPListen   string // host:port; "" for none
	PProf        bool
}
