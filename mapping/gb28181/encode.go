package gb28181

import (
	"fmt"
	"strconv"
	"strings"
)

// Field is one element of a body that the platform writes: with text, or with children.
type Field struct {
	Name     string
	Value    string
	Num      int // its Num attribute; 0: it has none
	Children []Field
}

// Query asks a device or a channel something [GB28181-2022 A.2.4].
type Query struct {
	CmdType  string
	DeviceID string // of whom it is asked
	Fields   []Field
}

// Encode writes the body with the number that pairs its answer.
func (q Query) Encode(sn int, e Encoding) []byte {
	return encode("Query", q.CmdType, q.DeviceID, sn, e, q.Fields)
}

// Control tells a device or a channel to do something [GB28181-2022 A.2.3].
type Control struct {
	CmdType  string // DeviceControl or DeviceConfig
	DeviceID string
	Fields   []Field
}

// Encode writes the body with the number that pairs its answer.
func (c Control) Encode(sn int, e Encoding) []byte {
	return encode("Control", c.CmdType, c.DeviceID, sn, e, c.Fields)
}

// AlarmResponse is the platform's answer to an alarm: some devices repeat an alarm that gets
// none [GB28181-2022 A.2.6.4].
type AlarmResponse struct {
	DeviceID string // of the alarm
}

// Encode writes the body; sn is that of the alarm.
func (a AlarmResponse) Encode(sn int, e Encoding) []byte {
	return encode("Response", "Alarm", a.DeviceID, sn, e, []Field{{Name: "Result", Value: "OK"}})
}

func encode(root, cmdType, deviceID string, sn int, e Encoding, fields []Field) []byte {
	if e == ASCII {
		e = GB2312
	}
	var b strings.Builder
	fmt.Fprintf(&b, "<?xml version=\"1.0\" encoding=\"%s\"?>\r\n<%s>\r\n", e, root)
	writeFields(&b, []Field{{Name: "CmdType", Value: cmdType}, {Name: "SN", Value: strconv.Itoa(sn)}, {Name: "DeviceID", Value: deviceID}})
	writeFields(&b, fields)
	fmt.Fprintf(&b, "</%s>\r\n", root)
	return EncodeText(b.String(), e)
}

func writeFields(b *strings.Builder, fields []Field) {
	for _, f := range fields {
		b.WriteString("<" + f.Name)
		if f.Num > 0 {
			b.WriteString(` Num="` + strconv.Itoa(f.Num) + `"`)
		}
		b.WriteString(">")
		if len(f.Children) > 0 {
			b.WriteString("\r\n")
			writeFields(b, f.Children)
		} else {
			b.WriteString(escaper.Replace(dropControls(f.Value)))
		}
		b.WriteString("</" + f.Name + ">\r\n")
	}
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
