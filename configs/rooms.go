package configs

import (
	"github.com/gb2mqtt/gb2mqtt/bridge/command"
	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/bridge/guard"
	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/shadowsync"
)

// SIP is the section `sip`: how devices reach the platform and prove who they are.
type SIP struct {
	sip.Config `yaml:",inline"`
	Auth       Auth            `yaml:"auth"`
	Keepalive  fleet.Keepalive `yaml:"keepalive"`
	Redirect   fleet.Redirect  `yaml:"redirect"`
}

// Auth is the section `sip.auth`.
type Auth struct {
	fleet.Auth `yaml:",inline"`
	Lockout    guard.LockoutConfig `yaml:"lockout"`
}

func defaultSIP() SIP {
	room := fleet.Default()
	room.Auth.Devices, room.Auth.Allow = map[string]string{}, []string{}
	return SIP{
		Config:    sip.Default(),
		Auth:      Auth{Auth: room.Auth, Lockout: guard.Default().Lockout},
		Keepalive: room.Keepalive,
		Redirect:  fleet.Redirect{},
	}
}

// RoomSIP returns what bridge/sip is configured with.
func (c *Config) RoomSIP() sip.Config {
	room := c.SIP.Config
	room.MaxBody = c.Limits.Body
	return room
}

// RoomFleet returns what bridge/fleet is configured with.
func (c *Config) RoomFleet() fleet.Config {
	return fleet.Config{
		Auth: c.SIP.Auth.Auth, Keepalive: c.SIP.Keepalive, Redirect: c.SIP.Redirect, Domain: c.SIP.Domain,
		AdoptOnKeepalive: c.Devices.AdoptKeepalive, TellKeepalives: c.Devices.KeepaliveEvents,
		MaxDevices: c.Limits.Devices, MaxChannels: c.Limits.CatalogItems,
	}
}

// RoomGuard returns what bridge/guard is configured with.
func (c *Config) RoomGuard() guard.Config {
	return guard.Config{Lockout: c.SIP.Auth.Lockout}
}

// RoomCommand returns what bridge/command is configured with.
func (c *Config) RoomCommand() command.Config {
	return command.Config{
		InflightPerDevice: c.Limits.InflightPerDevice,
		QueuePerDevice:    c.Limits.QueuePerDevice,
		CatalogItems:      c.Limits.CatalogItems,
		PTZMax:            c.Devices.PTZMax,
	}
}

// RoomShadow returns what shadowsync is configured with.
func (c *Config) RoomShadow() shadowsync.Config {
	room := c.Shadow
	room.Rate, room.Shadows = c.Limits.ShadowRate, c.Limits.Shadows
	return room
}

// validateRooms returns what each room says about its own part.
func (c *Config) validateRooms() []error {
	return []error{
		c.RoomSIP().Validate(),
		c.RoomGuard().Validate(),
		c.RoomFleet().Validate(),
		c.RoomCommand().Validate(),
		c.Devices.Quirks.Validate(),
		c.MQTT.Validate(),
		c.RoomShadow().Validate(),
		c.Store.Validate(),
	}
}
