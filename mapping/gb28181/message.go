package gb28181

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Message is one MANSCDP body [GB28181-2022 A.1].
type Message struct {
	Root     string // Control, Query, Notify or Response; another as it was spelt
	CmdType  string // in the standard's spelling where it has one
	SN       int64  // 0: absent
	DeviceID string // the subject: the device or one of its channels; "" when absent
	Encoding Encoding
	Faulty   bool     // something had to be forgiven
	Body     any      // *Keepalive, *Catalog, …; *Unknown for what has no type of its own
	Tree     *Element // all of it, as read

	Zone *time.Location // of the device's clock, for who knows it; nil: UTC+8
}

// Unknown is the body of a message that has no type here; Message.Tree holds its fields.
type Unknown struct{}

// kind is what decides how a body is read.
type kind struct{ root, cmdType string }

// messages lists the bodies that have a type, by root element and CmdType.
var messages = map[kind]func(*Element) any{
	{"Notify", "Keepalive"}:       func(e *Element) any { return decodeKeepalive(e) },
	{"Notify", "Alarm"}:           func(e *Element) any { return decodeAlarm(e) },
	{"Notify", "Catalog"}:         func(e *Element) any { return decodeCatalog(e) },
	{"Response", "Catalog"}:       func(e *Element) any { return decodeCatalog(e) },
	{"Response", "DeviceInfo"}:    func(e *Element) any { return decodeDeviceInfo(e) },
	{"Response", "DeviceStatus"}:  func(e *Element) any { return decodeDeviceStatus(e) },
	{"Response", "PresetQuery"}:   func(e *Element) any { return decodePresets(e) },
	{"Response", "DeviceControl"}: func(e *Element) any { return decodeControlResponse(e) },
	{"Response", "DeviceConfig"}:  func(e *Element) any { return decodeControlResponse(e) },
}

var roots = []string{"Control", "Query", "Notify", "Response"}

// cmdTypes are the standard's CmdTypes [GB28181-2022 A.2], to heal their case.
var cmdTypes = []string{
	"DeviceControl", "DeviceConfig", "DeviceStatus", "Catalog", "DeviceInfo", "RecordInfo", "Alarm", "ConfigDownload",
	"PresetQuery", "MobilePosition", "HomePositionQuery", "CruiseTrackListQuery", "CruiseTrackQuery", "PTZPosition",
	"SDCardStatus", "Keepalive", "MediaStatus", "Broadcast", "UploadSnapShotFinished", "VideoUploadNotify",
	"DeviceUpgradeResult",
}

// IsStandard tells whether the standard knows m's CmdType.
func (m *Message) IsStandard() bool {
	for _, known := range cmdTypes {
		if m.CmdType == known {
			return true
		}
	}
	return false
}

// Decode reads a body. It forgives what cameras get wrong (Message.Faulty tells that it had
// to) and never fails for one bad field. With ErrDoctype or ErrUnreadable the Message holds
// what could be read; it is never nil.
func Decode(body []byte) (*Message, error) {
	text, encoding := decodeText(body)
	m := &Message{Encoding: encoding, Body: new(Unknown), Tree: new(Element)}
	root, closed, faulty, err := parseTree(text)
	if err != nil {
		m.Faulty = true
		return m, err
	}
	if root == nil {
		return m, fmt.Errorf("%w: no element is in it", ErrUnreadable)
	}
	m.Tree, m.Faulty = root, faulty
	m.Root = canonical(root.Name, roots)
	m.CmdType = canonical(root.Value("CmdType"), cmdTypes)
	if m.Root == "Response" && strings.EqualFold(m.CmdType, "HomePosition") {
		m.CmdType = "HomePositionQuery" // Dahua, 2016 firmware
	}
	m.DeviceID = root.Value("DeviceID", "TargetID")
	if sn, err := strconv.ParseInt(root.Value("SN"), 10, 64); err == nil && sn > 0 {
		m.SN = sn
	}
	switch {
	case !closed:
		return m, fmt.Errorf("%w: it breaks off before </%s>", ErrUnreadable, root.Name)
	case m.CmdType == "":
		return m, fmt.Errorf("%w: it has no CmdType", ErrUnreadable)
	}
	if decode := messages[kind{m.Root, m.CmdType}]; decode != nil {
		m.Body = decode(root)
	}
	return m, nil
}

// AsNotify reads a Response as the Notify that it ought to be: it came by NOTIFY, and some
// devices get its root wrong.
func (m *Message) AsNotify() {
	if m.Root != "Response" {
		return
	}
	m.Root, m.Faulty = "Notify", true
	m.Tree.Name = m.Root
	m.Body = new(Unknown)
	if decode := messages[kind{m.Root, m.CmdType}]; decode != nil {
		m.Body = decode(m.Tree)
	}
}

func canonical(name string, known []string) string {
	for _, k := range known {
		if strings.EqualFold(name, k) {
			return k
		}
	}
	return name
}

// Refused tells whether m is a device's refusal, and in which words. A Result other than OK
// refuses whatever the CmdType is, also where the schema has no Result (PTZPosition).
func (m *Message) Refused() (refused bool, why string) {
	result := m.Tree.Value("Result")
	if m.Root != "Response" || result == "" || strings.EqualFold(result, "OK") || result == "200" {
		return false, ""
	}
	if reason := m.Tree.Value("Reason", "ErrorCode"); reason != "" {
		return true, result + ": " + reason
	}
	return true, result
}

// number reads a whole number; what is none, or empty, is absent.
func number(s string) (int, bool) {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	return n, err == nil
}

// orElse is the number that s holds, else absent.
func orElse(s string, absent int) int {
	if n, ok := number(s); ok {
		return n
	}
	return absent
}

// LooksLikeKeepalive tells, without an allocation, that body is a plain Notify Keepalive with
// Status OK: a sign of life and nothing else to learn. What it accepts Decode reads as a
// *Keepalive with Status OK and no faulty children; what it does not accept may be one too.
func LooksLikeKeepalive(body []byte) bool {
	body = bytes.TrimSpace(body)
	if rest, ok := bytes.CutPrefix(body, []byte("<?xml")); ok {
		end := bytes.Index(rest, []byte("?>"))
		if end < 0 || bytes.IndexByte(rest[:end], '<') >= 0 {
			return false
		}
		body = bytes.TrimSpace(rest[end+2:])
	}
	body, ok := bytes.CutPrefix(body, []byte("<Notify>"))
	if !ok {
		return false
	}
	body, ok = bytes.CutSuffix(body, []byte("</Notify>"))
	if !ok {
		return false
	}
	var cmd, status, device, sn, info bool
	for {
		body = skipSpace(body)
		if len(body) == 0 {
			return cmd && status && device && sn
		}
		var value []byte
		switch {
		case !cmd && cutElement(&body, &value, "<CmdType>", "</CmdType>"):
			cmd = true
			if string(value) != "Keepalive" {
				return false
			}
		case !status && cutElement(&body, &value, "<Status>", "</Status>"):
			status = true
			if string(value) != "OK" {
				return false
			}
		case !device && cutElement(&body, &value, "<DeviceID>", "</DeviceID>"):
			device = true
			if !digits(value) {
				return false
			}
		case !sn && cutElement(&body, &value, "<SN>", "</SN>"):
			sn = true
			if !digits(value) {
				return false
			}
		case !info && cutElement(&body, &value, "<Info>", "</Info>"): // no device is faulty
			info = true
			if len(value) != 0 {
				return false
			}
		default:
			return false
		}
	}
}

// skipSpace drops white space from the front.
func skipSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == '\n' || b[0] == '\r' || b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	return b
}

// cutElement cuts <name>value</name> off the front of body.
func cutElement(body, value *[]byte, start, end string) bool {
	b := *body
	if len(b) < len(start) || string(b[:len(start)]) != start {
		return false
	}
	b = b[len(start):]
	lt := bytes.IndexByte(b, '<')
	if lt < 0 || len(b) < lt+len(end) || string(b[lt:lt+len(end)]) != end {
		return false
	}
	*value, *body = bytes.TrimSpace(b[:lt]), b[lt+len(end):]
	return true
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}
