package mapping

import (
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// area reads a rectangle on a picture, in pixels of it [GB28181-2022 A.2.3.1.8].
func area(a *arguments) []gb28181.Field {
	var out []gb28181.Field
	for _, f := range []struct{ tag, name string }{
		{"Length", "length"}, {"Width", "width"}, {"MidPointX", "mid_point_x"}, {"MidPointY", "mid_point_y"},
		{"LengthX", "length_x"}, {"LengthY", "length_y"},
	} {
		out = append(out, element(f.tag, strconv.Itoa(a.needInteger(f.name, 0, pixels))))
	}
	return out
}

func buildDragZoom(a *arguments, c *Command, _ bool) {
	tag := "DragZoomIn"
	if a.needWord("direction", "in", "out") == "out" {
		tag = "DragZoomOut"
	}
	control(c, AnswerNone, gb28181.Field{Name: tag, Children: area(a)})
}

func buildHomePosition(a *arguments, c *Command, onChannel bool) {
	reported := map[string]any{"enabled": a.needBool("enabled")}
	for name, most := range map[string]int{"reset_time": 86_400, "preset_index": 255} {
		if n, there := a.integer(name, 0, most); there {
			reported[name] = n
		}
	}
	homePosition(reported)(c)
	if onChannel {
		c.Reported = map[string]any{"home_position": reported}
	}
}

// homePosition makes a command of a checked home_position.
func homePosition(want map[string]any) func(*Command) {
	fields := []gb28181.Field{element("Enabled", digit(want["enabled"] == true))}
	for _, f := range []struct{ tag, name string }{{"ResetTime", "reset_time"}, {"PresetIndex", "preset_index"}} {
		if v, there := numberOf(want[f.name]); there {
			fields = append(fields, element(f.tag, strconv.Itoa(int(v))))
		}
	}
	return func(c *Command) { control(c, AnswerResponse, gb28181.Field{Name: "HomePosition", Children: fields}) }
}

func digit(on bool) string {
	if on {
		return "1"
	}
	return "0"
}

// preciseAxes are what PTZPreciseCtrl moves: degrees clockwise, degrees downwards, times
// [GB28181-2022 A.2.1.11].
var preciseAxes = map[string]struct {
	tag       string
	low, high float64
}{
	"pan": {"Pan", 0, 360}, "tilt": {"Tilt", -90, 90}, "zoom": {"Zoom", 1, 1000},
}

func buildPTZPrecise(a *arguments, c *Command, onChannel bool) {
	want := map[string]float64{}
	for _, name := range slices.Sorted(maps.Keys(preciseAxes)) {
		if v, there := a.number(name, preciseAxes[name].low, preciseAxes[name].high); there {
			want[name] = v
		}
	}
	if len(want) == 0 {
		a.fail("pan, tilt and zoom are missing; give pan from 0 to 360, tilt from -90 to 90, zoom from 1 to 1000")
		return
	}
	ptzPrecise(want)(c)
	if onChannel {
		reported := map[string]any{}
		for name, v := range want {
			reported[name] = v
		}
		c.Reported = map[string]any{"ptz": reported}
	}
}

// ptzPrecise makes a command of checked axes.
func ptzPrecise(want map[string]float64) func(*Command) {
	var fields []gb28181.Field
	for _, name := range slices.Sorted(maps.Keys(want)) {
		fields = append(fields, element(preciseAxes[name].tag, strconv.FormatFloat(want[name], 'f', 2, 64)))
	}
	return func(c *Command) {
		c.PTZ = true
		control(c, AnswerNone, gb28181.Field{Name: "PTZPreciseCtrl", Children: fields})
	}
}

// buildSDFormat formats a card, 0: all of them. The device says no more than the SIP 200;
// sd_status tells how far it is.
func buildSDFormat(a *arguments, c *Command, _ bool) {
	control(c, AnswerNone, element("FormatSDCard", strconv.Itoa(a.needInteger("id", 0, 64))))
}

// session reads the name of an upgrade or a snapshot [GB28181-2022 A.2.3.1.12].
func (a *arguments) session(name string, must bool) string {
	const least, most = 32, 128
	accepted := fmt.Sprintf("%d to %d of A-Z a-z 0-9 -", least, most)
	s, there := a.text(name, most)
	switch {
	case !there && must:
		a.fail("%s is missing; give %s", name, accepted)
	case there && (len(s) < least || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") != ""):
		a.fail("%s: %s is not accepted; use %s", name, show(s), accepted)
	}
	return s
}

func (a *arguments) needText(name string, longest int) string {
	s, there := a.text(name, longest)
	if !there || s == "" {
		a.fail("%s is missing; give a text of at most %d bytes", name, longest)
	}
	return s
}

func buildUpgrade(a *arguments, c *Command, _ bool) {
	control(c, AnswerResponse, gb28181.Field{Name: "DeviceUpgrade", Children: []gb28181.Field{
		element("Firmware", a.needText("firmware", 256)), element("FileURL", a.needText("url", 1024)),
		element("Manufacturer", a.needText("manufacturer", 256)), element("SessionID", a.session("session", true)),
	}})
}

// buildSnapshot has a device take pictures and upload them; the event `snapshot` tells of the
// end, by the session [GB28181-2022 9.14].
func buildSnapshot(a *arguments, c *Command, _ bool) {
	value := map[string]any{
		"snap_num": a.needInteger("count", 1, 10), "interval": a.needInteger("interval_s", 1, 3600),
		"upload_url": a.needText("url", 512), "session_id": a.session("session", false),
	}
	if value["session_id"] == "" {
		value["session_id"] = rand.Text() + rand.Text()
	}
	configuration, _ := FindConfiguration("snapshot")
	field, why := configuration.Encode(value)
	if why != nil && a.err == nil {
		a.err = why
	}
	deviceConfig(c, field)
	c.Adds = map[string]any{"session_id": value["session_id"]}
}

func buildTargetTrack(a *arguments, c *Command, _ bool) {
	words := map[string]string{"auto": "Auto", "manual": "Manual", "stop": "Stop"}
	mode := a.needWord("mode", "auto", "manual", "stop")
	fields := []gb28181.Field{element("TargetTrack", words[mode])}
	if device2, there := a.text("device2", gb28181.IDLength); there {
		if _, err := gb28181.ParseID(device2); err != nil {
			a.fail("device2: %v", err)
		}
		fields = append(fields, element("DeviceID2", device2))
	}
	box, there := a.value("area")
	switch object, isObject := box.(map[string]any); {
	case mode == "manual" && !there:
		a.fail("area is missing; mode manual tracks what is in it: length, width, mid_point_x, mid_point_y, length_x, length_y")
	case there && !isObject:
		a.fail("area: %s is not accepted; use an object with length, width, mid_point_x, mid_point_y, length_x, length_y", show(box))
	case there:
		inner := &arguments{values: object}
		fields = append(fields, gb28181.Field{Name: "TargetArea", Children: area(inner)})
		inner.nothingElse()
		if inner.err != nil {
			a.fail("area: %s", inner.err.Message)
		}
	}
	control(c, AnswerNone, fields...)
}

// deviceConfig makes c a DeviceConfig of some elements [GB28181-2022 A.2.3.2].
func deviceConfig(c *Command, fields ...gb28181.Field) {
	c.CmdType, c.Answer = "DeviceConfig", AnswerResponse
	c.Encode = func(sn int, target string, p Peer) []byte {
		return gb28181.Control{CmdType: "DeviceConfig", DeviceID: target, Fields: fields}.Encode(sn, p.Encoding)
	}
}

// buildConfigSet writes configurations, whole: what the standard wants in each must be there.
func buildConfigSet(a *arguments, c *Command, _ bool) {
	var fields []gb28181.Field
	reported := make(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(a.values)) {
		configuration, known := FindConfiguration(name)
		if !known || !configuration.write {
			continue // nothingElse complains
		}
		v, _ := a.value(name)
		field, why := configuration.Encode(v)
		if missing := configuration.lacks(v, func(n configNode) bool { return n.must }); why == nil && len(missing) > 0 {
			why = Errorf(CodeBadRequest, "%s.%s is missing; it is written whole, config_get reads what is set", configuration.Name, missing[0])
		}
		if why != nil && a.err == nil {
			a.err = why
		}
		fields = append(fields, field)
		if configuration.Name != "snapshot" { // which is an order, and no state
			reported[configuration.Name] = configuration.written(v)
		}
	}
	if len(reported) > 0 {
		c.Reported = map[string]any{"config": reported}
	}
	if len(fields) == 0 {
		a.fail("there is nothing to set; give objects for some of %s", strings.Join(configurationNames(true), ", "))
	}
	deviceConfig(c, fields...)
}

// WriteConfiguration returns the command that writes one configuration to a device.
func WriteConfiguration(configuration Configuration, value any) (*Command, *Error) {
	field, why := configuration.Encode(value)
	if why != nil {
		return nil, why
	}
	c := &Command{Name: "config_set", Timeout: defaultTimeout}
	deviceConfig(c, field)
	return c, nil
}
