package camera

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// print tells Config.Print of a message.
func (d *Device) print(m *message, at time.Time, again bool) {
	if d.cfg.Print != nil {
		d.cfg.Print(d.heardLine(m, at, again))
	}
}

// heardLine tells in the words of the standard what came: when, to which device, the method,
// the body's root, CmdType, SN and DeviceID, and what else is in it. An answer has its code
// and the method that it answers.
//
//	10:11:12.345 34020000001320000001 MESSAGE Control DeviceControl SN=17 DeviceID=34020000001310000001 GuardCmd=SetGuard
//	10:11:12.351 34020000001320000001 200 OK to MESSAGE
func (d *Device) heardLine(m *message, at time.Time, again bool) string {
	line := []string{at.Format("15:04:05.000"), d.cfg.ID}
	if m.code > 0 {
		_, method, _ := strings.Cut(m.header("cseq"), " ")
		line = append(line, strconv.Itoa(m.code))
		if m.reason != "" {
			line = append(line, m.reason)
		}
		return strings.Join(append(line, "to", method), " ")
	}
	line = append(line, m.method)
	if again {
		line = append(line, "(again)")
	}
	for _, name := range [...]string{"Event", "Expires", "Subject", "Subscription-State"} {
		if v := m.header(strings.ToLower(name)); v != "" {
			line = append(line, name+"="+v)
		}
	}
	if !strings.Contains(m.body, "<") {
		return strings.Join(line, " ")
	}
	tree, err := parseBody(m.body)
	if err != nil {
		return strings.Join(append(line, "(its body is not XML: "+err.Error()+")"), " ")
	}
	line = append(line, tree.name, tree.child("CmdType"))
	for _, c := range tree.children {
		if c.name != "CmdType" {
			line = append(line, c.line())
		}
	}
	return clipLine(strings.Join(line, " "))
}

// line is an element in a line: Name=text, or Name{what is inside}.
func (e *element) line() string {
	if len(e.children) == 0 {
		text := e.name + "=" + strings.Join(strings.Fields(e.text), " ")
		if e.name != "PTZCmd" {
			return text
		}
		c, err := decodePTZ(e.text)
		if err != nil {
			return text + " (broken)"
		}
		return text + " (" + c.String() + ")"
	}
	inner := make([]string, len(e.children))
	for i, c := range e.children {
		inner[i] = c.line()
	}
	return e.name + "{" + strings.Join(inner, " ") + "}"
}

// lineMost bounds a line, in bytes.
const lineMost = 2000

func clipLine(line string) string {
	if len(line) <= lineMost {
		return line
	}
	return strings.ToValidUTF8(line[:lineMost], "") + "…"
}

// String says in words what a PTZCmd does.
func (c ptzCommand) String() string {
	var words []string
	say := func(v int, plus, minus string) {
		switch {
		case v > 0:
			words = append(words, fmt.Sprint(plus, " ", v))
		case v < 0:
			words = append(words, fmt.Sprint(minus, " ", -v))
		}
	}
	switch c.Group {
	case "move":
		say(c.Pan, "right", "left")
		say(c.Tilt, "up", "down")
		say(c.Zoom, "zoom in", "zoom out")
	case "focus":
		say(c.Focus, "focus far", "focus near")
		say(c.Iris, "iris open", "iris close")
	case "aux":
		return fmt.Sprintf("aux %d %s", c.Number, c.Action)
	case "preset":
		return fmt.Sprintf("preset %d %s", c.Number, c.Action)
	default:
		if c.Value != 0 {
			return fmt.Sprintf("%s %d %s %d", c.Group, c.Number, c.Action, c.Value)
		}
		return fmt.Sprintf("%s %d %s", c.Group, c.Number, c.Action)
	}
	if words == nil {
		return "stop"
	}
	return strings.Join(words, ", ")
}
