package mapping

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// queryWith makes c a Query with these elements beside CmdType, SN and DeviceID.
func queryWith(c *Command, cmdType string, answer AnswerKind, fields ...gb28181.Field) {
	c.CmdType, c.Answer = cmdType, answer
	c.Encode = func(sn int, target string, p Peer) []byte {
		return gb28181.Query{CmdType: cmdType, DeviceID: target, Fields: fields}.Encode(sn, p.Encoding)
	}
}

// buildRecords asks for recordings. Type and Secrecy are always sent: Dahua recorders answer
// nothing without Type.
func buildRecords(a *arguments, c *Command, _ bool) {
	c.Limit, _ = a.integer("limit", 1, maxLimit)
	c.Next, _ = a.text("next", maxToken)
	start, end := a.moment("start", c.Next == ""), a.moment("end", c.Next == "")
	if c.Next == "" && !start.Before(end) {
		a.fail("start: it must be before end")
	}
	which := recordFields(a)
	c.CmdType, c.Answer = "RecordInfo", AnswerList
	c.Encode = func(sn int, target string, p Peer) []byte {
		span := []gb28181.Field{element("StartTime", gb28181.FormatTime(start, p.Zone)), element("EndTime", gb28181.FormatTime(end, p.Zone))}
		return gb28181.Query{CmdType: c.CmdType, DeviceID: target, Fields: append(span, which...)}.Encode(sn, p.Encoding)
	}
	c.Alone = true // of two at once some recorders (Dahua) answer one
}

// recordFields reads which recordings are asked for; what is not said is left to the device
// [GB28181-2022 A.2.4].
func recordFields(a *arguments) (fields []gb28181.Field) {
	text := func(tag, name string, most int) {
		if s, there := a.text(name, most); there && s != "" {
			fields = append(fields, element(tag, s))
		}
	}
	number := func(tag, name string, high int) {
		if n, there := a.integer(name, 0, high); there {
			fields = append(fields, element(tag, strconv.Itoa(n)))
		}
	}
	text("FilePath", "file_path", 1024)
	text("Address", "address", 1024)
	fields = append(fields, element("Secrecy", digit(a.is("secrecy"))))
	kind := "all"
	if _, there := a.value("type"); there {
		kind = a.needWord("type", "all", "time", "alarm", "manual")
	}
	fields = append(fields, element("Type", kind))
	text("RecorderID", "recorder_id", 64)
	if a.is("indistinct_query") { // the device's and the platform's, whatever is recorded where
		fields = append(fields, element("IndistinctQuery", "1"))
	}
	number("StreamNumber", "stream_number", 255)
	number("AlarmMethod", "alarm_method", 7)
	number("AlarmType", "alarm_type", 99)
	return fields
}

// moment reads a time: Unix ms, or ISO text, without a zone the device's time (UTC+8).
func (a *arguments) moment(name string, must bool) time.Time {
	const accepted = "use Unix milliseconds or a text such as 2026-09-23T08:00:00"
	v, there := a.value(name)
	if !there {
		if must {
			a.fail("%s is missing; %s", name, accepted)
		}
		return time.Time{}
	}
	switch t := v.(type) {
	case json.Number:
		if ms, err := t.Int64(); err == nil && ms >= 0 && ms < 1<<45 {
			return time.UnixMilli(ms)
		}
	case string:
		if at, ok := gb28181.ParseTime(t); ok {
			return at
		}
	}
	a.fail("%s: %s is not accepted; %s", name, show(v), accepted)
	return time.Time{}
}

func buildCruiseTrack(a *arguments, c *Command, _ bool) {
	queryWith(c, "CruiseTrackQuery", AnswerList, element("Number", strconv.Itoa(a.needInteger("id", 0, 255))))
}

// buildPosition asks where a device is. The standard has the query as a subscription's body
// alone [GB28181-2022 A.2.4.9]; some devices answer it.
func buildPosition(_ *arguments, c *Command, _ bool) {
	queryWith(c, "MobilePosition", AnswerResponse, element("Interval", "5"))
	c.Unowed = true
}

// buildConfigGet asks for configurations. Devices may answer with all in one Response, or one
// each [GB28181-2022 A.2.4.7].
func buildConfigGet(a *arguments, c *Command, _ bool) {
	list, there := a.value("types")
	names, ok := list.([]any)
	if !there || !ok || len(names) == 0 {
		a.fail("types is missing; give an array with some of %s", strings.Join(configurationNames(false), ", "))
		return
	}
	var asked []Configuration
	for _, v := range names {
		name, _ := v.(string)
		configuration, known := FindConfiguration(name)
		if !known {
			a.fail("types: %s is not accepted; use some of %s", show(v), strings.Join(configurationNames(false), ", "))
			return
		}
		asked = append(asked, configuration)
	}
	configDownload(c, asked...)
}

// configDownload makes c the query for some configurations.
func configDownload(c *Command, asked ...Configuration) {
	tags := make([]string, 0, len(asked))
	for _, configuration := range asked {
		tags = append(tags, configuration.Tag)
	}
	queryWith(c, "ConfigDownload", AnswerParts, element("ConfigType", strings.Join(tags, "/")))
	c.Parts = asked
}

// ReadConfiguration returns the command that reads one configuration from a device.
func ReadConfiguration(configuration Configuration, timeout time.Duration) *Command {
	c := &Command{Name: "config_get", Timeout: timeout}
	configDownload(c, configuration)
	return c
}
