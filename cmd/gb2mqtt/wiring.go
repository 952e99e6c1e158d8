package main

import (
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge"
	"github.com/gb2mqtt/gb2mqtt/configs"
)

// bridgeConfig hands each room its part of the configuration.
func bridgeConfig(c *configs.Config) bridge.Config {
	return bridge.Config{
		SIP:         c.RoomSIP(),
		Fleet:       c.RoomFleet(),
		Guard:       c.RoomGuard(),
		Command:     c.RoomCommand(),
		MQTT:        c.MQTT,
		Shadow:      c.RoomShadow(),
		Store:       c.Store,
		Version:     version(),
		TopicPrefix: c.Topics.Prefix,
		OnRegister:  c.Devices.OnRegister,
		Encoding:    c.Devices.Encoding,
		Subscribe: map[string]time.Duration{
			"catalog": c.Devices.Subscribe.Catalog, "alarm": c.Devices.Subscribe.Alarm, "position": c.Devices.Subscribe.Position,
		},
		Quirks:       c.Devices.Quirks,
		RecoveryRate: c.Devices.RecoveryRate,
		Vanished:     c.Devices.Vanished,
		HTTPListen:   c.HTTP.Listen,
		PProf:        c.HTTP.Pprof,
	}
}
