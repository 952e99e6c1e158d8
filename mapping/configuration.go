package mapping

import (
	"maps"
	"slices"
	"strings"
)

// Configuration is one of a device's configurations: what ConfigDownload reads and
// DeviceConfig writes [GB28181-2022 A.2.3.2, A.2.6.9].
type Configuration struct {
	Name string // in JSON: config_get's types, desired config.NAME
	Tag  string // the standard's ConfigType, and the element that holds it
	node configNode
	// write tells that there is a Control for it: what a device can do (VideoParamOpt) is
	// only read.
	write bool
}

// configNode says how a value in JSON becomes an element.
type configNode struct {
	tag, name string // name: in JSON
	kind      fieldKind
	low, high float64 // of a number; a text has at most high bytes
	must      bool    // the standard wants it in every Control
	children  []configNode
	list      bool   // JSON has an array: the element repeats
	wrap      string // of a list: the element around it, "" for none
	count     string // of a list: the element that tells how many, "" for none
	segment   bool   // in a shadow it is a text
}

// The kinds of nodes that the table below is made of.
func wholeNode(tag, name string, low, high float64, must bool) configNode {
	return configNode{tag: tag, name: name, kind: whole, low: low, high: high, must: must}
}

func flagNode(tag, name string, must bool) configNode {
	return configNode{tag: tag, name: name, kind: onoff, must: must}
}

func textNode(tag, name string, most float64, must bool) configNode {
	return configNode{tag: tag, name: name, high: most, must: must}
}

func objectNode(tag, name string, children ...configNode) configNode {
	return configNode{tag: tag, name: name, children: children}
}

const pixels = 65_535

// Configurations lists what is known, in the standard's order.
var Configurations = []Configuration{
	{Name: "basic", Tag: "BasicParam", write: true, node: configNode{children: []configNode{
		textNode("Name", "name", 256, false),
		wholeNode("Expiration", "expiration", 30, 86_400, false),
		wholeNode("HeartBeatInterval", "heart_beat_interval", 5, 3600, false),
		wholeNode("HeartBeatCount", "heart_beat_count", 1, 10, false),
	}}},
	{Name: "video_opt", Tag: "VideoParamOpt"},
	{Name: "svac_encode", Tag: "SVACEncodeConfig", write: true, node: configNode{children: []configNode{
		objectNode("ROIParam", "roi",
			flagNode("ROIFlag", "roi_flag", true),
			configNode{tag: "Item", name: "items", list: true, high: 16, count: "ROINumber", children: []configNode{
				wholeNode("ROISeq", "roi_seq", 1, 16, true),
				wholeNode("TopLeft", "top_left", 0, pixels, true), wholeNode("BottomRight", "bottom_right", 0, pixels, true),
				wholeNode("ROIQP", "roi_qp", 0, 3, true),
			}}),
		objectNode("SVCParam", "svc",
			wholeNode("SVCSpaceDomainMode", "svc_space_domain_mode", 0, 3, false),
			wholeNode("SVCTimeDomainMode", "svc_time_domain_mode", 0, 3, false),
			textNode("SSVCRatioValue", "ssvc_ratio_value", 16, false)),
		objectNode("SurveillanceParam", "surveillance", // OSD, AI and GIS are of 2022, Event and Alert of 2016
			flagNode("TimeFlag", "time_flag", false), flagNode("OSDFlag", "osd_flag", false),
			flagNode("AIFlag", "ai_flag", false), flagNode("GISFlag", "gis_flag", false),
			flagNode("EventFlag", "event_flag", false), flagNode("AlertFlag", "alert_flag", false)),
		objectNode("AudioParam", "audio", flagNode("AudioRecognitionFlag", "audio_recognition_flag", false)),
		objectNode("EncryptParam", "encrypt", // of 2016
			flagNode("EncryptionFlag", "encryption_flag", false), flagNode("AuthenticationFlag", "authentication_flag", false)),
	}}},
	{Name: "svac_decode", Tag: "SVACDecodeConfig", write: true, node: configNode{children: []configNode{
		objectNode("SVCParam", "svc", wholeNode("SVCSTMMode", "svc_stm_mode", 0, 3, false)),
		objectNode("SurveillanceParam", "surveillance",
			flagNode("TimeShowFlag", "time_show_flag", false), flagNode("OSDShowFlag", "osd_show_flag", false),
			flagNode("AIShowFlag", "ai_show_flag", false), flagNode("GISShowFlag", "gis_show_flag", false),
			flagNode("EventShowFlag", "event_show_flag", false),
			flagNode("AlerShowtFlag", "alert_show_flag", false)), // so spelt in the text of 2016, and by devices
	}}},
	{Name: "video", Tag: "VideoParamAttribute", write: true, node: configNode{
		tag: "Item", list: true, high: 8, children: []configNode{
			wholeNode("StreamNumber", "stream_number", 0, 255, true),
			wholeNode("VideoFormat", "video_format", 1, 5, true),
			textNode("Resolution", "resolution", 32, true),
			wholeNode("FrameRate", "frame_rate", 0, 255, true),
			wholeNode("BitRateType", "bit_rate_type", 1, 2, true),
			wholeNode("VideoBitRate", "video_bit_rate", 0, 1_000_000, false),
		}}},
	{Name: "record_plan", Tag: "VideoRecordPlan", write: true, node: configNode{children: []configNode{
		flagNode("RecordEnable", "record_enable", true),
		{tag: "RecordSchedule", name: "record_schedules", list: true, high: 7, count: "RecordScheduleSumNum", children: []configNode{
			wholeNode("WeekDayNum", "week_day_num", 1, 7, true),
			{tag: "TimeSegment", name: "time_segments", segment: true, list: true, high: 8, count: "TimeSegmentSumNum", children: []configNode{
				wholeNode("StartHour", "start_hour", 0, 23, true), wholeNode("StartMin", "start_min", 0, 59, true),
				wholeNode("StartSec", "start_sec", 0, 59, true), wholeNode("StopHour", "stop_hour", 0, 24, true),
				wholeNode("StopMin", "stop_min", 0, 59, true), wholeNode("StopSec", "stop_sec", 0, 59, true),
			}},
		}},
		wholeNode("StreamNumber", "stream_number", 0, 255, true),
	}}},
	{Name: "alarm_record", Tag: "VideoAlarmRecord", write: true, node: configNode{children: []configNode{
		flagNode("RecordEnable", "record_enable", true),
		wholeNode("RecordTime", "record_time", 0, 86_400, false),
		wholeNode("PreRecordTime", "pre_record_time", 0, 86_400, false),
		wholeNode("StreamNumber", "stream_number", 0, 255, true),
	}}},
	{Name: "picture_mask", Tag: "PictureMask", write: true, node: configNode{children: []configNode{
		flagNode("On", "on", true),
		{tag: "Item", name: "regions", list: true, high: 4, wrap: "RegionList", count: "SumNum", children: []configNode{
			wholeNode("Seq", "seq", 1, 4, true),
			textNode("Point", "point", 64, true),
		}},
	}}},
	{Name: "mirror", Tag: "FrameMirror", write: true, node: configNode{kind: whole, high: 3}},
	{Name: "alarm_report", Tag: "AlarmReport", write: true, node: configNode{children: []configNode{
		flagNode("MotionDetection", "motion_detection", true),
		flagNode("FieldDetection", "field_detection", true),
	}}},
	{Name: "osd", Tag: "OSDConfig", write: true, node: configNode{children: []configNode{
		wholeNode("Length", "length", 1, pixels, true), wholeNode("Width", "width", 1, pixels, true),
		wholeNode("TimeX", "time_x", 0, pixels, true), wholeNode("TimeY", "time_y", 0, pixels, true),
		flagNode("TimeEnable", "time_enable", false), wholeNode("TimeType", "time_type", 0, 1, false),
		flagNode("TextEnable", "text_enable", false),
		{tag: "Item", name: "items", list: true, high: 8, count: "SumNum", children: []configNode{
			textNode("Text", "text", 96, true), // 32 characters
			wholeNode("X", "x", 0, pixels, true), wholeNode("Y", "y", 0, pixels, true),
		}},
	}}},
	{Name: "snapshot", Tag: "SnapShotConfig", write: true, node: configNode{children: []configNode{
		wholeNode("SnapNum", "snap_num", 1, 10, true), wholeNode("Interval", "interval", 1, 3600, true),
		textNode("UploadURL", "upload_url", 512, true), textNode("SessionID", "session_id", 128, true),
	}}},
}

// FindConfiguration looks a configuration up by its name or by the standard's.
func FindConfiguration(name string) (Configuration, bool) {
	i := slices.IndexFunc(Configurations, func(c Configuration) bool { return c.Name == name || strings.EqualFold(c.Tag, name) })
	if i < 0 {
		return Configuration{}, false
	}
	return Configurations[i], true
}

// configurationNames are the names of those that can be read or, with writable, written.
func configurationNames(writable bool) []string {
	var names []string
	for _, c := range Configurations {
		if c.write || !writable {
			names = append(names, c.Name)
		}
	}
	return names
}

// Missing names the fields that the standard wants in every Control and that value, an object,
// does not have, and the lists that a Control without them would clear: they are to be read from
// the device first.
func (c Configuration) Missing(value any) []string {
	missing := c.lacks(value, func(n configNode) bool { return n.must || n.count != "" })
	object, _ := value.(map[string]any)
	for _, n := range c.node.children { // what is within an object that is there
		if inner, there := object[n.name]; there && !n.list && n.children != nil {
			for _, name := range (Configuration{node: n}).Missing(inner) {
				missing = append(missing, n.name+"."+name)
			}
		}
	}
	return missing
}

// written is value as it stands in the shadow of a device that was told it: the lists that it
// does not name are empty.
func (c Configuration) written(value any) any {
	object, ok := value.(map[string]any)
	if !ok {
		return value
	}
	out := maps.Clone(object)
	for _, list := range c.lacks(value, func(n configNode) bool { return n.count != "" }) {
		out[list] = []any{}
	}
	return c.Brief(out)
}

// lacks names the children of some sort that value, an object, does not have.
func (c Configuration) lacks(value any, sort func(configNode) bool) []string {
	object, ok := value.(map[string]any)
	if !ok {
		return nil
	}
	var missing []string
	for _, n := range c.node.children {
		if _, there := object[n.name]; sort(n) && !there {
			missing = append(missing, n.name)
		}
	}
	return missing
}

// Prune returns of what a device told the part that can be written back.
func (c Configuration) Prune(value any) any { return c.node.prune(value) }

func (n configNode) prune(value any) any {
	object, ok := value.(map[string]any)
	if !ok || n.children == nil {
		return value
	}
	out := make(map[string]any, len(object))
	for _, child := range n.children {
		v, there := object[child.name]
		if !there {
			continue
		}
		list, isList := v.([]any)
		if !isList {
			out[child.name] = child.prune(v)
			continue
		}
		items := make([]any, len(list))
		for i, item := range list {
			items[i] = child.prune(item)
		}
		out[child.name] = items
	}
	return out
}

// Covered tells whether got has all of want: each key of an object, each element of an array
// in its place, numbers by their value. What got has beside it does not matter.
func Covered(got, want any) bool {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return false
		}
		for key, v := range w {
			if !Covered(g[key], v) {
				return false
			}
		}
		return true
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for i := range w {
			if !Covered(g[i], w[i]) {
				return false
			}
		}
		return true
	}
	if a, ok := numberOf(want); ok {
		b, same := numberOf(got)
		return same && a == b
	}
	return got == want
}

// Overlay is base with the keys of top in it, at every depth; arrays and scalars of top win.
// Neither is changed.
func Overlay(base, top any) any {
	b, ok := base.(map[string]any)
	t, too := top.(map[string]any)
	if !ok || !too {
		return top
	}
	out := make(map[string]any, len(b)+len(t))
	for key, v := range b {
		out[key] = v
	}
	for key, v := range t {
		out[key] = Overlay(b[key], v)
	}
	return out
}
