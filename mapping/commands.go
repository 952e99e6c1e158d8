package mapping

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// commandRow says how one command reads its arguments.
type commandRow struct {
	deviceOnly bool
	build      func(a *arguments, c *Command, onChannel bool)
}

// commands lists every command of this version by its name on the topic.
var commands = map[string]commandRow{
	"ptz":           {build: buildPTZ},
	"focus":         {build: buildFocus},
	"iris":          {build: buildIris},
	"preset":        {build: buildPreset},
	"cruise":        {build: buildCruise},
	"scan":          {build: buildScan},
	"aux":           {build: buildAux},
	"iframe":        {build: buildIFrame},
	"guard":         {build: buildGuard},
	"record":        {build: buildRecord},
	"alarm_reset":   {build: buildAlarmReset},
	"reboot":        {build: buildReboot, deviceOnly: true},
	"catalog":       {build: buildCatalog, deviceOnly: true},
	"device_info":   {build: query("DeviceInfo", AnswerResponse)},
	"device_status": {build: query("DeviceStatus", AnswerResponse)},
	"presets":       {build: query("PresetQuery", AnswerList)},
	"raw":           {build: buildRaw},

	"records":           {build: buildRecords},
	"config_get":        {build: buildConfigGet},
	"config_set":        {build: buildConfigSet},
	"position":          {build: buildPosition},
	"ptz_status":        {build: query("PTZPosition", AnswerResponse)},
	"home_position_get": {build: query("HomePositionQuery", AnswerResponse)},
	"cruise_tracks":     {build: query("CruiseTrackListQuery", AnswerList)},
	"cruise_track":      {build: buildCruiseTrack},
	"sd_status":         {build: query("SDCardStatus", AnswerList)},

	"drag_zoom":     {build: buildDragZoom},
	"home_position": {build: buildHomePosition},
	"ptz_precise":   {build: buildPTZPrecise},
	"sd_format":     {build: buildSDFormat},
	"upgrade":       {build: buildUpgrade},
	"snapshot":      {build: buildSnapshot},
	"target_track":  {build: buildTargetTrack},

	"subscribe": {build: buildSubscribe, deviceOnly: true},
	"diagnose":  {build: buildDiagnose, deviceOnly: true},
	"tree":      {build: buildTree, deviceOnly: true},
}

// laterCommands are names that users know and this version does not have.
var laterCommands = []string{
	"play", "playback", "download", "control", "stop", "broadcast",
}

var commandNames []string // sorted; set once, for commands would refer to itself

func init() { commandNames = slices.Sorted(maps.Keys(commands)) }

// longestMove bounds duration_ms; the backstop ptz_max may end it sooner.
const longestMove = 600_000

func buildPTZ(a *arguments, c *Command, _ bool) {
	pan, havePan := a.integer("pan", -255, 255)
	tilt, haveTilt := a.integer("tilt", -255, 255)
	zoom, haveZoom := a.integer("zoom", -15, 15)
	if !havePan && !haveTilt && !haveZoom {
		a.fail("pan, tilt and zoom are missing; give pan and tilt from -255 to 255, zoom from -15 to 15; all zero is a stop")
	}
	moving := pan != 0 || tilt != 0 || zoom != 0
	movement(a, c, gb28181.Move{Pan: pan, Tilt: tilt, Zoom: zoom}, HeadMotion, moving)
}

func buildFocus(a *arguments, c *Command, _ bool) {
	speed := a.needInteger("speed", -255, 255)
	movement(a, c, gb28181.Focus{Speed: speed}, LensMotion, speed != 0)
}

func buildIris(a *arguments, c *Command, _ bool) {
	speed := a.needInteger("speed", -255, 255)
	movement(a, c, gb28181.Iris{Speed: speed}, LensMotion, speed != 0)
}

// movement makes c a movement that must be stopped, or a stop.
func movement(a *arguments, c *Command, words gb28181.PTZ, motion Motion, moving bool) {
	ms, _ := a.integer("duration_ms", 1, longestMove)
	ptz(c, words)
	c.Motion = motion
	if !moving {
		return
	}
	c.StopAfter = time.Duration(ms) * time.Millisecond
	c.Stop = &Command{Name: c.Name, Timeout: defaultTimeout, Motion: motion}
	if motion == LensMotion {
		ptz(c.Stop, gb28181.Focus{})
	} else {
		ptz(c.Stop, gb28181.Move{})
	}
}

func buildPreset(a *arguments, c *Command, onChannel bool) {
	action := a.needWord("action", "set", "call", "delete")
	id := a.needInteger("id", 1, 255)
	presetCommand(action, id, ptzName(a, "PresetName", action, "set")...)(c)
	if action == "call" && onChannel {
		c.Reported = nested("ptz.preset", id)
	}
}

func presetCommand(action string, id int, params ...gb28181.Field) func(*Command) {
	actions := map[string]gb28181.PresetAction{
		"set": gb28181.PresetSet, "call": gb28181.PresetCall, "delete": gb28181.PresetDelete,
	}
	return func(c *Command) { ptz(c, gb28181.Preset{Action: actions[action], ID: id}, params...) }
}

func buildCruise(a *arguments, c *Command, _ bool) {
	action := a.needWord("action", "add", "delete", "speed", "dwell", "start", "stop")
	words := gb28181.Cruise{ID: a.needInteger("id", 0, 255)}
	preset, havePreset := a.integer("preset", 1, 255)
	value, haveValue := a.integer("value", 1, 4095)
	name := ptzName(a, "CruiseTrackName", action, "add")
	switch action {
	case "add":
		words.Action, words.Preset = gb28181.CruiseAdd, preset
		if !havePreset {
			a.fail("preset is missing; give the preset to add, from 1 to 255")
		}
	case "delete": // without a preset: the whole group
		words.Action, words.Preset = gb28181.CruiseDelete, preset
	case "speed":
		words.Action, words.Value = gb28181.CruiseSpeed, value
	case "dwell":
		words.Action, words.Value = gb28181.CruiseDwell, value
	case "start":
		words.Action = gb28181.CruiseStart
	case "stop":
		ptz(c, gb28181.Move{}) // a cruise stops as a movement does [GB28181-2022 A.3.5]
		c.Motion = HeadMotion
		return
	}
	if !haveValue && (action == "speed" || action == "dwell") {
		a.fail("value is missing; give the %s from 1 to 4095", action)
	}
	ptz(c, words, name...)
}

func buildScan(a *arguments, c *Command, _ bool) {
	action := a.needWord("action", "left", "right", "speed", "start", "stop")
	words := gb28181.Scan{ID: a.needInteger("id", 0, 255)}
	value, haveValue := a.integer("value", 1, 4095)
	switch action {
	case "left":
		words.Action = gb28181.ScanLeft
	case "right":
		words.Action = gb28181.ScanRight
	case "speed":
		words.Action, words.Value = gb28181.ScanSpeed, value
		if !haveValue {
			a.fail("value is missing; give the speed from 1 to 4095")
		}
	case "start":
		words.Action = gb28181.ScanStart
	case "stop":
		ptz(c, gb28181.Move{}) // [GB28181-2022 A.3.6]
		c.Motion = HeadMotion
		return
	}
	ptz(c, words)
}

func buildAux(a *arguments, c *Command, _ bool) {
	ptz(c, gb28181.Aux{ID: a.needInteger("id", 1, 255), On: a.needBool("on")})
}

func buildGuard(a *arguments, c *Command, _ bool) {
	on := a.needBool("on")
	guardCommand(on)(c)
	c.Reported = map[string]any{"guard": onOff(on)}
	if !on {
		c.Reported["guard_alarm"] = false
	}
}

func guardCommand(on bool) func(*Command) {
	cmd := "ResetGuard"
	if on {
		cmd = "SetGuard"
	}
	return func(c *Command) { control(c, AnswerResponse, element("GuardCmd", cmd)) }
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func buildRecord(a *arguments, c *Command, onChannel bool) {
	on := a.needBool("on")
	var of []gb28181.Field
	if stream, there := a.integer("stream_number", 0, 255); there {
		of = append(of, element("StreamNumber", strconv.Itoa(stream)))
	}
	recordCommand(on, of...)(c)
	if onChannel {
		c.Reported = map[string]any{"recording": on}
	}
}

func recordCommand(on bool, of ...gb28181.Field) func(*Command) {
	cmd := "StopRecord"
	if on {
		cmd = "Record"
	}
	return func(c *Command) {
		control(c, AnswerResponse, append([]gb28181.Field{element("RecordCmd", cmd)}, of...)...)
	}
}

func buildReboot(_ *arguments, c *Command, _ bool) {
	control(c, AnswerNone, element("TeleBoot", "Boot"))
}

func buildCatalog(a *arguments, c *Command, onChannel bool) {
	c.Limit, _ = a.integer("limit", 1, maxLimit)
	c.Next, _ = a.text("next", maxToken)
	query("Catalog", AnswerList)(a, c, onChannel)
}

func buildSubscribe(a *arguments, c *Command, _ bool) {
	kind := a.needWord("kind", slices.Sorted(maps.Keys(SubscriptionKinds))...)
	least := SubscriptionKinds[kind]
	seconds := a.needInteger("expires", 0, 86_400)
	if seconds > 0 && seconds < least {
		a.fail("expires: %d is not accepted; use %d to 86400 seconds, or 0 to end it", seconds, least)
	}
	c.Local = &Local{Subscription: kind, Seconds: seconds}
}

func buildTree(a *arguments, c *Command, _ bool) {
	c.Limit, _ = a.integer("limit", 1, maxLimit)
	c.Next, _ = a.text("next", maxToken)
	c.Local = &Local{Tree: true}
}

func buildDiagnose(_ *arguments, c *Command, _ bool) { c.Local = &Local{} }
