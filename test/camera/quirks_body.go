package camera

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
)

// encode writes a body as the device does: with its declaration, in its encoding, and with
// what it gets wrong.
func (d *Device) encode(text string) string {
	if len(d.cfg.Quirks) == 0 {
		return encodeBody(text, d.cfg.Encoding)
	}
	text = d.cfg.misspell(text)
	encoding, declared := d.cfg.Encoding, d.cfg.Encoding
	switch {
	case d.cfg.has(UTF8DeclaredGB2312):
		encoding, declared = "utf-8", "gb2312"
	case d.cfg.has(GBKDeclaredUTF8):
		encoding, declared = "gb2312", "utf-8"
	}
	body := encodeBody(text, encoding)
	before, after, _ := strings.Cut(body, "?>\r\n")
	if d.cfg.has(NoDeclaration) {
		body = after
	} else {
		body = strings.Replace(before, strings.ToUpper(encoding), strings.ToUpper(declared), 1) + "?>\r\n" + after
	}
	if d.cfg.has(CutNames) {
		body = cutNames(body)
	}
	if d.cfg.has(TrailingNUL) {
		body += "\x00"
	}
	return body
}

var (
	tags      = regexp.MustCompile(`</?[A-Za-z0-9]+`)
	framing   = regexp.MustCompile(`(<CmdType>[^<]*</CmdType>\r\n)(<SN>[^<]*</SN>\r\n)?(<DeviceID>[^<]*</DeviceID>\r\n)`)
	addresses = regexp.MustCompile(`<Address>[^<]*</Address>`)
	results   = regexp.MustCompile(`<Result>([^<]*)</Result>\r\n`)
	sums      = regexp.MustCompile(`<SumNum>[^<]*</SumNum>\r\n`)
	list      = regexp.MustCompile(`List Num=|StatusInfo Num=`)
	parentals = regexp.MustCompile(`<Parental>[^<]*</Parental>`)

	coordinates = regexp.MustCompile(`<(Longitude|Latitude)>[^<]*</[A-Za-z]+>`)
	events      = regexp.MustCompile(`<Event>[A-Z]+`)
	alarmType   = regexp.MustCompile(`<AlarmType>[^<]*</AlarmType>\r\n`)
	alarmCodes  = regexp.MustCompile(`<AlarmPriority>[^<]*</AlarmPriority>\s*<AlarmMethod>[^<]*</AlarmMethod>`)

	placeholders = regexp.MustCompile(`<(CivilCode|Owner|Address)>[^<]*</[A-Za-z]+>`)
)

// misspell changes a body's text before it is encoded.
func (c *Config) misspell(text string) string {
	if c.has(ControlBytes) {
		text = addresses.ReplaceAllString(text, "<Address>No. 1\x01\x02\x1f Lane</Address>")
	}
	if c.has(Unescaped) {
		text = addresses.ReplaceAllString(text, "<Address>A&B <1st floor</Address>")
	}
	if c.has(DeviceIDFirst) {
		text = framing.ReplaceAllString(text, "$3$1$2")
	}
	if c.has(DoubledItemEnd) {
		if at := strings.LastIndex(text, "</Item>\r\n"); at >= 0 {
			text = text[:at] + "</Item>\r\n" + text[at:]
		}
	}
	if strings.Contains(text, "<CmdType>Catalog<") {
		text = c.misdescribe(text)
	}
	switch {
	case strings.HasPrefix(text, "<Response>"):
		text = c.misanswer(text)
	case strings.HasPrefix(text, "<Notify>"):
		text = c.misnotify(text)
	}
	if c.has(LowerCaseTags) {
		text = tags.ReplaceAllStringFunc(text, strings.ToLower)
	}
	return text
}

// misanswer is misspell for a Response.
func (c *Config) misanswer(text string) string {
	if c.has(NoResult) {
		text = results.ReplaceAllString(text, "")
	}
	if c.has(ResultWords) {
		text = results.ReplaceAllStringFunc(text, func(s string) string {
			return strings.NewReplacer("OK", "Ok", "ERROR", "Failed").Replace(s)
		})
	}
	switch {
	case c.has(NoSumNum):
		text = sums.ReplaceAllString(text, "")
	case c.has(SumNumZero):
		text = sums.ReplaceAllString(text, "<SumNum>0</SumNum>\r\n")
	case c.has(SumNumMore) && list.MatchString(text): // the list's own, which stands before it
		sum := sums.FindString(text)
		n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(sum, "<SumNum>"), "</SumNum>\r\n"))
		text = strings.Replace(text, sum, tag("SumNum", strconv.Itoa(n+1)), 1)
	}
	if c.has(HomeCmdType) {
		text = strings.Replace(text, "<CmdType>HomePositionQuery<", "<CmdType>HomePosition<", 1)
	}
	if c.has(SnapShotName) {
		text = strings.ReplaceAll(text, "SnapShotConfig>", "SnapShot>")
	}
	if c.has(ConfigOtherwise) && strings.Contains(text, "<CmdType>ConfigDownload<") {
		for name := range configurations {
			text = renameElement(text, name, name+"Info")
		}
		text = renameElement(text, "BasicParam", "BasicParamInfo")
	}
	if c.has(Names2011) {
		text = strings.NewReplacer("<Channel>", "<DeviceType>IPC</DeviceType>\r\n<MaxCamera>", "</Channel>", "</MaxCamera>\r\n<MaxAlarm>0</MaxAlarm>",
			"Firmware>", "FirmWare>", "Alarmstatus", "AlarmStatus").Replace(text)
	}
	return text
}

// misnotify is misspell for a Notify.
func (c *Config) misnotify(text string) string {
	if strings.Contains(text, "<CmdType>MobilePosition<") {
		if c.has(NoFix) {
			text = coordinates.ReplaceAllString(text, "<$1>null</$1>")
		}
		if c.has(TargetID) {
			text = renameElement(text, "DeviceID", "TargetID")
		}
	}
	if strings.Contains(text, "<CmdType>Catalog<") {
		if c.has(EventLowerCase) {
			text = events.ReplaceAllStringFunc(text, func(s string) string {
				return "<Event>" + strings.ToLower(strings.TrimPrefix(s, "<Event>"))
			})
		}
		if c.has(StatusNotEvent) && !strings.Contains(text, "<Status>") {
			text = renameElement(text, "Event", "Status")
		}
	}
	if strings.Contains(text, "<CmdType>Alarm<") {
		if kind := alarmType.FindString(text); kind != "" && c.has(AlarmTypeOutside) {
			text = strings.Replace(strings.Replace(text, kind, "", 1), "<Info>", kind+"<Info>", 1)
		}
		if c.has(AlarmWords) {
			text = alarmCodes.ReplaceAllString(text, "<AlarmPriority>high</AlarmPriority>\r\n<AlarmMethod>video</AlarmMethod>")
		}
	}
	return text
}

// reroot changes the root of what a NOTIFY carries.
func (c *Config) reroot(text string) string {
	if c.has(NotifyResponse) {
		return renameElement(text, "Notify", "Response")
	}
	return text
}

// renameElement changes the tags of an element, with or without Num.
func renameElement(text, name, to string) string {
	return strings.NewReplacer("<"+name+">", "<"+to+">", "<"+name+" ", "<"+to+" ", "</"+name+">", "</"+to+">").Replace(text)
}

// misdescribe is misspell for a catalogue.
func (c *Config) misdescribe(text string) string {
	if c.has(StatusWords) {
		text = strings.NewReplacer("<Status>ON<", "<Status>ONLINE<", "<Status>OFF<", "<Status>OFFLINE<").Replace(text)
	}
	if c.has(Parental65535) {
		text = parentals.ReplaceAllString(text, "<Parental>65535</Parental>")
	}
	if c.has(ParentServer) {
		text = strings.ReplaceAll(text, tag("ParentID", c.ID), tag("ParentID", c.ServerID))
	}
	if c.has(Placeholders) {
		text = placeholders.ReplaceAllString(text, "<$1>$1</$1>")
	}
	return text
}

// nameBytes is where names are cut.
const nameBytes = 32

// cutNames cuts the names in an encoded body, wherever that is.
func cutNames(body string) string {
	var out bytes.Buffer
	for {
		before, rest, found := strings.Cut(body, "<Name>")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		name, after, _ := strings.Cut(rest, "</Name>")
		out.WriteString("<Name>" + name[:min(len(name), nameBytes)] + "</Name>")
		body = after
	}
}
