package camera

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// configuration is what is known of one ConfigType.
type configuration struct {
	factory  string // what a camera comes with: the inside of the element
	check    func(e *element) error
	readOnly bool
}

// configurations are all but BasicParam, which belongs to the device itself
// [GB28181-2022 A.2.3.2, A.2.6.9].
var configurations = map[string]configuration{
	"VideoParamOpt": {factory: tag("DownloadSpeed", "1/2/4") + tag("Resolution", "6/5/4"), readOnly: true},
	"SVACEncodeConfig": {check: func(*element) error { return nil },
		factory: group("SVCParam", tag("SVCSpaceDomainMode", "0"), tag("SVCTimeDomainMode", "0"), tag("SVCSpaceSupportMode", "3"), tag("SVCTimeSupportMode", "3")) +
			group("SurveillanceParam", tag("TimeFlag", "1"), tag("OSDFlag", "0"), tag("AIFlag", "0"), tag("GISFlag", "0"))},
	"SVACDecodeConfig": {check: func(*element) error { return nil },
		factory: group("SVCParam", tag("SVCSTMMode", "0"), tag("SVCSpaceSupportMode", "3"), tag("SVCTimeSupportMode", "3")) +
			group("SurveillanceParam", tag("TimeShowFlag", "1"), tag("OSDShowFlag", "0"), tag("AIShowFlag", "0"), tag("GISShowFlag", "0"))},
	"VideoParamAttribute": {check: checkVideo, factory: stream("0", "5", "2560x1440", "4096") + stream("1", "2", "704x576", "512")},
	"VideoRecordPlan":     {check: checkPlan, factory: tag("RecordEnable", "0") + tag("RecordScheduleSumNum", "0") + tag("StreamNumber", "0")},
	"VideoAlarmRecord": {check: checkAlarmRecord,
		factory: tag("RecordEnable", "1") + tag("RecordTime", "30") + tag("PreRecordTime", "5") + tag("StreamNumber", "0")},
	"PictureMask": {check: checkMask, factory: tag("On", "0") + tag("SumNum", "0") + numbered("RegionList", nil)},
	"FrameMirror": {check: checkMirror, factory: "0"},
	"AlarmReport": {check: checkReport, factory: tag("MotionDetection", "1") + tag("FieldDetection", "0")},
	"OSDConfig": {check: checkOSD, factory: tag("Length", "1920") + tag("Width", "1080") + tag("TimeX", "20") + tag("TimeY", "20") +
		tag("TimeEnable", "1") + tag("TimeType", "0") + tag("TextEnable", "1") + tag("SumNum", "1") +
		group("Item", tag("Text", "南门"), tag("X", "20"), tag("Y", "1000"))},
	"SnapShotConfig": {check: checkSnapshot,
		factory: tag("SnapNum", "1") + tag("Interval", "1") + tag("UploadURL", "http://192.0.2.1/snap") + tag("SessionID", strings.Repeat("0", sessionLeast))},
}

func stream(number, format, resolution, rate string) string {
	return group("Item", tag("StreamNumber", number), tag("VideoFormat", format), tag("Resolution", resolution), tag("FrameRate", "25"),
		tag("BitRateType", "1"), tag("VideoBitRate", rate))
}

// deviceConfigs returns the elements of DeviceConfig that the device knows.
func deviceConfigs() map[string]control {
	table := map[string]control{"BasicParam": {apply: applyBasic, after: (*Device).rebeat, responds: true}}
	for name, c := range configurations {
		if !c.readOnly {
			table[name] = control{apply: applyConfig, responds: true}
		}
	}
	table["SnapShotConfig"] = control{apply: applySnapshot, responds: true}
	return table
}

// applyConfig keeps an element for ConfigDownload, once it is what the standard wants.
func applyConfig(d *Device, r *Request, e *element, _ *Target) error {
	if err := configurations[e.name].check(e); err != nil {
		return err
	}
	if d.state.configs == nil {
		d.state.configs = make(map[string]map[string]*element)
	}
	if d.state.configs[r.DeviceID] == nil {
		d.state.configs[r.DeviceID] = make(map[string]*element)
	}
	d.state.configs[r.DeviceID][e.name] = e
	return nil
}

// answerConfig tells the configurations that were asked for, all in one Response: what
// DeviceConfig has set, else what the camera came with. Of types that it does not know it
// has nothing, and says OK with no element, as devices do [GB28181-2022 A.2.6.9].
func (d *Device) answerConfig(r *Request) {
	told := []string{tag("Result", "OK")}
	for kind := range strings.SplitSeq(r.Element("ConfigType"), "/") {
		c := d.configOf(r.DeviceID, kind)
		if d.cfg.has(ConfigOneEach) {
			d.respond(r, told[0], c)
			continue
		}
		told = append(told, c)
	}
	if !d.cfg.has(ConfigOneEach) {
		d.respond(r, told...)
	}
}

// configOf writes one configuration of a target; "" for a type that is not known.
func (d *Device) configOf(target, kind string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if kind == "BasicParam" {
		beat, misses := seconds(d.beatEvery), strconv.Itoa(d.misses)
		if d.cfg.has(NonsenseHeartbeat) {
			beat, misses = "0", "-1"
		}
		if d.cfg.has(BasicOfDevice) && target != d.cfg.ID {
			return ""
		}
		return group(kind, tag("Name", d.cfg.Name), tag("Expiration", seconds(d.cfg.Expires)), tag("HeartBeatInterval", beat), tag("HeartBeatCount", misses))
	}
	if e := d.state.configs[target][kind]; e != nil {
		return e.write()
	}
	switch c, known := configurations[kind]; {
	case !known || !d.cfg.understands(kind):
		return ""
	case kind == "VideoParamAttribute":
		return "<" + kind + ` Num="` + strconv.Itoa(strings.Count(c.factory, "<Item>")) + `">` + c.factory + "</" + kind + ">\r\n"
	default:
		return "<" + kind + ">" + c.factory + "</" + kind + ">\r\n"
	}
}

// flag reads a child that is 0 or 1.
func (e *element) flag(name string, must bool) error {
	var n int
	return e.number(name, 0, 1, must, &n)
}

// within reads a child that must be a number from low to high.
func (e *element) within(name string, low, high int) error {
	var n int
	return e.number(name, low, high, true, &n)
}

// all returns the children of that name, at most most of them, which the number in the
// child counter must tell.
func (e *element) all(name, counter string, most int) ([]*element, error) {
	var found []*element
	for _, c := range e.children {
		if c.name == name {
			found = append(found, c)
		}
	}
	if len(found) > most || counter != "" && e.child(counter) != strconv.Itoa(len(found)) {
		return nil, fmt.Errorf("%s: %d times %s and %s %q; at most %d and the true number are wanted", e.name, len(found), name, counter, e.child(counter), most)
	}
	return found, nil
}

func checkVideo(e *element) error {
	items, err := e.all("Item", "", 8)
	if len(items) == 0 {
		err = errors.Join(err, fmt.Errorf("%s without an Item", e.name))
	}
	for _, i := range items {
		err = errors.Join(err, i.within("StreamNumber", 0, 255), i.within("VideoFormat", 1, 5), i.within("FrameRate", 0, 255), i.within("BitRateType", 1, 2))
		if i.child("Resolution") == "" || i.child("BitRateType") == "1" && i.child("VideoBitRate") == "" {
			err = errors.Join(err, fmt.Errorf("%s: a Resolution, and a VideoBitRate where BitRateType is 1, are wanted", e.name))
		}
	}
	return err
}

func checkPlan(e *element) error {
	days, err := e.all("RecordSchedule", "RecordScheduleSumNum", 7)
	err = errors.Join(err, e.flag("RecordEnable", true), e.within("StreamNumber", 0, 255))
	for _, day := range days {
		segments, bad := day.all("TimeSegment", "TimeSegmentSumNum", 8)
		err = errors.Join(err, bad, day.within("WeekDayNum", 1, 7))
		for _, s := range segments {
			err = errors.Join(err, s.within("StartHour", 0, 23), s.within("StartMin", 0, 59), s.within("StartSec", 0, 59),
				s.within("StopHour", 0, 24), s.within("StopMin", 0, 59), s.within("StopSec", 0, 59))
		}
	}
	return err
}

func checkAlarmRecord(e *element) error {
	return errors.Join(e.flag("RecordEnable", true), e.within("StreamNumber", 0, 255))
}

func checkMask(e *element) error {
	err := e.flag("On", true)
	list := e.find("RegionList")
	if list == nil {
		list = &element{name: "RegionList"}
	}
	regions, bad := list.all("Item", "", 4)
	if e.child("SumNum") != strconv.Itoa(len(regions)) {
		bad = errors.Join(bad, fmt.Errorf("PictureMask SumNum %q: it has %d regions", e.child("SumNum"), len(regions)))
	}
	err = errors.Join(err, bad)
	for _, r := range regions {
		err = errors.Join(err, r.within("Seq", 1, 4))
		if strings.Count(r.child("Point"), ",") != 3 {
			err = errors.Join(err, fmt.Errorf("PictureMask Point %q: lx,ly,rx,ry is wanted", r.child("Point")))
		}
	}
	return err
}

func checkMirror(e *element) error {
	_, err := oneOf(e, "0", "1", "2", "3")
	return err
}

func checkReport(e *element) error {
	return errors.Join(e.flag("MotionDetection", true), e.flag("FieldDetection", true))
}

func checkOSD(e *element) error {
	items, err := e.all("Item", "SumNum", 8)
	err = errors.Join(err, e.within("Length", 1, pixelsMost), e.within("Width", 1, pixelsMost), e.within("TimeX", 0, pixelsMost),
		e.within("TimeY", 0, pixelsMost), e.flag("TimeEnable", false), e.flag("TimeType", false), e.flag("TextEnable", false))
	for _, i := range items {
		err = errors.Join(err, i.within("X", 0, pixelsMost), i.within("Y", 0, pixelsMost))
		if n := len([]rune(i.child("Text"))); n == 0 || n > 32 {
			err = errors.Join(err, fmt.Errorf("OSDConfig Text %q: 1 to 32 characters are wanted", i.child("Text")))
		}
	}
	return err
}

// applyBasic takes over BasicParam: the name, Expires, the heartbeat [GB28181-2022 A.2.3.2.2].
func applyBasic(d *Device, _ *Request, e *element, _ *Target) error {
	const most = 1 << 30
	beat, misses, expires := int(d.beatEvery/time.Second), d.misses, int(d.cfg.Expires/time.Second)
	err := errors.Join(e.number("HeartBeatInterval", 1, most, false, &beat), e.number("HeartBeatCount", 1, most, false, &misses),
		e.number("Expiration", 1, most, false, &expires))
	if err != nil {
		return err
	}
	if name := e.child("Name"); name != "" {
		d.cfg.Name = name
	}
	if e.child("HeartBeatInterval") != "" {
		d.beatEvery = time.Duration(beat) * time.Second
	}
	if e.child("Expiration") != "" {
		d.cfg.Expires = time.Duration(expires) * time.Second
	}
	d.misses = misses
	return nil
}

// name is the device's own; BasicParam may have changed it.
func (d *Device) name() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cfg.Name
}

// rebeat lets a changed heartbeat begin.
func (d *Device) rebeat() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.registered {
		d.planBeatLocked()
	}
}
