package mapping

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// ptz makes c a DeviceControl with a PTZCmd, which devices need not answer, and what goes with it.
func ptz(c *Command, words gb28181.PTZ, params ...gb28181.Field) {
	c.PTZ, c.CmdType, c.Answer = true, "DeviceControl", AnswerNone
	c.Encode = func(sn int, target string, p Peer) []byte {
		fields := append([]gb28181.Field{element("PTZCmd", p.Speeds.scale(words).PTZCmd())}, params...)
		return gb28181.Control{CmdType: c.CmdType, DeviceID: target, Fields: fields}.Encode(sn, p.Encoding)
	}
}

// ptzName is the name of a preset or a cruise, which 2022 lets a PTZCmd give; none where the caller
// gives none.
func ptzName(a *arguments, tag, action, with string) []gb28181.Field {
	const most = 32
	name, there := a.text("name", most)
	switch {
	case !there || name == "":
		return nil
	case action != with:
		a.fail("name: it is given with %s alone", with)
	}
	return []gb28181.Field{{Name: "PTZCmdParams", Children: []gb28181.Field{element(tag, name)}}}
}

// scale turns a movement's speeds into those of a device: speeds are vendor-scaled, and equal
// numbers move cameras unequally.
func (s Speeds) scale(words gb28181.PTZ) gb28181.PTZ {
	switch w := words.(type) {
	case gb28181.Move:
		return gb28181.Move{Pan: scaled(w.Pan, 255, s.Pan), Tilt: scaled(w.Tilt, 255, s.Tilt), Zoom: scaled(w.Zoom, 15, s.Zoom)}
	case gb28181.Focus:
		return gb28181.Focus{Speed: scaled(w.Speed, 255, s.Focus)}
	case gb28181.Iris:
		return gb28181.Iris{Speed: scaled(w.Speed, 255, s.Iris)}
	}
	return words
}

// scaled brings v of -full…full to -fastest…fastest. What moves goes on moving: a speed of 0
// with its direction set means "slowest" to some and "stand still" to others.
func scaled(v, full, fastest int) int {
	if v == 0 || fastest == 0 {
		return v
	}
	size := max(1, (max(v, -v)*fastest+full/2)/full)
	if v < 0 {
		return -size
	}
	return size
}

// control makes c a DeviceControl with these elements beside CmdType, SN and DeviceID.
func control(c *Command, answer AnswerKind, fields ...gb28181.Field) {
	c.CmdType, c.Answer = "DeviceControl", answer
	c.Encode = func(sn int, target string, p Peer) []byte {
		return gb28181.Control{CmdType: "DeviceControl", DeviceID: target, Fields: fields}.Encode(sn, p.Encoding)
	}
}

// element is one of a body, with text.
func element(name, value string) gb28181.Field { return gb28181.Field{Name: name, Value: value} }

// query reads a command without arguments of its own that becomes a Query.
func query(cmdType string, answer AnswerKind) func(*arguments, *Command, bool) {
	return func(_ *arguments, c *Command, _ bool) {
		c.CmdType, c.Answer = cmdType, answer
		c.Encode = func(sn int, target string, p Peer) []byte {
			return gb28181.Query{CmdType: cmdType, DeviceID: target}.Encode(sn, p.Encoding)
		}
	}
}

// IFrameSpellings are the names of the element that asks for a key frame: the 2016 text left
// out a letter.
var IFrameSpellings = []string{"IFameCmd", "IFrameCmd"}

// buildIFrame spells the element as the device does, else as its edition does.
func buildIFrame(_ *arguments, c *Command, _ bool) {
	control(c, AnswerNone)
	c.Encode = func(sn int, target string, p Peer) []byte {
		name := p.IFrame
		switch {
		case name != "":
		case p.GBVersion >= "3":
			name = IFrameSpellings[1]
		default:
			name = IFrameSpellings[0]
		}
		send := gb28181.Control{CmdType: "DeviceControl", DeviceID: target, Fields: []gb28181.Field{element(name, "Send")}}
		return send.Encode(sn, p.Encoding)
	}
}

func buildAlarmReset(a *arguments, c *Command, _ bool) {
	var info []gb28181.Field
	if method, there := a.integer("method", 0, 7); there {
		info = append(info, element("AlarmMethod", strconv.Itoa(method)))
	}
	if kind, there := a.integer("type", 0, 99); there {
		info = append(info, element("AlarmType", strconv.Itoa(kind)))
	}
	fields := []gb28181.Field{element("AlarmCmd", "ResetAlarm")}
	if info != nil {
		fields = append(fields, gb28181.Field{Name: "Info", Children: info})
	}
	control(c, AnswerResponse, fields...)
	c.Reported = map[string]any{"guard_alarm": false}
}

// AlarmConfirmation is the platform's Response to a device's alarm, with the alarm's own SN and
// subject, which may be a channel or an alarm input [GB28181-2022 9.4].
func AlarmConfirmation(sn int, subject string) *Command {
	return &Command{
		Name: "alarm_confirmation", CmdType: "Alarm", Answer: AnswerNone, Timeout: defaultTimeout,
		Encode: func(_ int, _ string, p Peer) []byte {
			return gb28181.AlarmResponse{DeviceID: subject}.Encode(sn, p.Encoding)
		},
	}
}

const maxRaw = 65_535

var rawSN = regexp.MustCompile(`(?i)<SN>[^<]*</SN>|<SN\s*/>`)

// buildRaw sends a body that the caller wrote. Its SN is replaced by one that is kept track
// of; a missing one is put behind CmdType.
func buildRaw(a *arguments, c *Command, _ bool) {
	text, there := a.value("xml")
	body, isText := text.(string)
	switch {
	case !there:
		a.fail("xml is missing; give a MANSCDP body such as <Query><CmdType>DeviceInfo</CmdType><DeviceID>…</DeviceID></Query>")
		return
	case !isText:
		a.fail("xml: %s is not accepted; use a text", show(text))
		return
	case len(body) > maxRaw && a.err == nil:
		a.err = Errorf(CodeTooLarge, "xml has %d bytes; at most %d are accepted", len(body), maxRaw)
		return
	}
	m, err := gb28181.Decode([]byte(body))
	if err != nil {
		a.fail("xml can't be read: %v", err)
		return
	}
	before, after, found := cutSN(body)
	if m.CmdType == "" || !found {
		a.fail("xml has no CmdType; it names what is asked")
		return
	}
	c.CmdType, c.Answer, c.Alone = m.CmdType, rawAnswer(m), m.CmdType == "RecordInfo"
	c.Encode = func(sn int, _ string, p Peer) []byte {
		encoding := p.Encoding
		if encoding == gb28181.ASCII {
			encoding = gb28181.GB2312 // what every edition reads
		}
		declared := "<?xml version=\"1.0\" encoding=\"" + encoding.String() + "\"?>\r\n"
		return gb28181.EncodeText(declared+before+"<SN>"+strconv.Itoa(sn)+"</SN>"+after, encoding)
	}
	const trial = 17
	if sent, err := gb28181.Decode(c.Encode(trial, "", Peer{})); err != nil || sent.SN != trial || sent.CmdType != m.CmdType {
		a.fail("xml has no place for an SN; give it one <SN> below its root, beside CmdType")
	}
}

// cutSN returns what stands before and after the SN, without an XML declaration: the one
// that is sent names the encoding that is sent.
func cutSN(body string) (before, after string, found bool) {
	if _, rest, declared := strings.Cut(body, "?>"); declared && strings.HasPrefix(strings.TrimSpace(body), "<?") {
		body = rest
	}
	body = strings.TrimSpace(body)
	if at := rawSN.FindStringIndex(body); at != nil {
		return body[:at[0]], body[at[1]:], true
	}
	const end = "</cmdtype>"
	if at := strings.Index(strings.ToLower(body), end); at >= 0 {
		return body[:at+len(end)], body[at+len(end):], true
	}
	return "", "", false
}

// rawAnswer tells what the standard owes to a body [GB28181-2022 9.3.1].
func rawAnswer(m *gb28181.Message) AnswerKind {
	switch m.Root {
	case "Query":
		switch m.CmdType {
		case "Catalog", "RecordInfo", "PresetQuery", "CruiseTrackListQuery":
			return AnswerList
		}
		return AnswerResponse
	case "Control":
		if m.CmdType != "DeviceControl" {
			return AnswerResponse
		}
		for _, name := range []string{"RecordCmd", "GuardCmd", "AlarmCmd", "HomePosition", "DeviceUpgrade"} {
			if m.Tree.Child(name) != nil {
				return AnswerResponse
			}
		}
	case "Notify":
		if m.CmdType == "Broadcast" {
			return AnswerResponse
		}
	}
	return AnswerNone
}
