package camera

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// ptzCommand is a decoded PTZCmd [GB28181-2022 A.3].
type ptzCommand struct {
	Group           string // move, focus, preset, cruise, scan, aux
	Action          string // within the group: set, call, delete …
	Pan, Tilt, Zoom int    // of move: right, up and in are positive
	Focus, Iris     int    // of focus: far and open are positive
	Number, Value   int    // of the others: group or switch, preset or value
}

// decodePTZ reads the sixteen hex digits of a PTZCmd.
func decodePTZ(text string) (ptzCommand, error) {
	b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(text), " ", ""))
	if err != nil || len(b) != 8 {
		return ptzCommand{}, fmt.Errorf("PTZCmd %q: sixteen hex digits are wanted", text)
	}
	var sum byte
	for _, v := range b[:7] {
		sum += v
	}
	if b[0] != 0xA5 || sum != b[7] {
		return ptzCommand{}, fmt.Errorf("PTZCmd %q: begins with %02X (A5 is right), checksum %02X (%02X is right)", text, b[0], b[7], sum)
	}
	code, x, y, high := b[3], int(b[4]), int(b[5]), int(b[6]>>4)
	long := y | high<<8 // twelve bits [GB28181-2022 A.3.5]
	switch {
	case code < 0x40:
		return ptzCommand{Group: "move", Pan: way(code, 0, 1, x), Tilt: way(code, 3, 2, y), Zoom: way(code, 4, 5, high)}, nil
	case code < 0x80:
		return ptzCommand{Group: "focus", Focus: way(code, 0, 1, x), Iris: way(code, 2, 3, y)}, nil
	case code >= 0x81 && code <= 0x83:
		return ptzCommand{Group: "preset", Action: [...]string{"", "set", "call", "delete"}[code&3], Number: y}, nil
	case code == 0x84 || code == 0x85:
		return ptzCommand{Group: "cruise", Action: [...]string{"add", "delete"}[code-0x84], Number: x, Value: y}, nil
	case code == 0x86 || code == 0x87:
		return ptzCommand{Group: "cruise", Action: [...]string{"speed", "dwell"}[code-0x86], Number: x, Value: long}, nil
	case code == 0x88:
		return ptzCommand{Group: "cruise", Action: "start", Number: x}, nil
	case code == 0x89 && y <= 2:
		return ptzCommand{Group: "scan", Action: [...]string{"start", "left", "right"}[y], Number: x}, nil
	case code == 0x8A:
		return ptzCommand{Group: "scan", Action: "speed", Number: x, Value: long}, nil
	case code == 0x8C || code == 0x8D:
		return ptzCommand{Group: "aux", Action: [...]string{"on", "off"}[code-0x8C], Number: x}, nil
	}
	return ptzCommand{}, fmt.Errorf("PTZCmd %q: instruction %02X is unknown", text, code)
}

// way gives speed the sign of the direction bit that is set in code.
func way(code byte, plus, minus uint, speed int) int {
	switch {
	case code>>plus&1 == 1:
		return speed
	case code>>minus&1 == 1:
		return -speed
	}
	return 0
}
