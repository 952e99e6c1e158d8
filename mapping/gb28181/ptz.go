package gb28181

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// PTZ is a front-end command of eight bytes [GB28181-2022 A.3], one of Move, Focus, Iris,
// Preset, Cruise, Scan and Aux.
type PTZ interface {
	// PTZCmd renders the command as its sixteen hex digits.
	PTZCmd() string
}

// render completes the bytes 4 to 7 with what frames them [GB28181-2022 A.3.1]: the address is
// 001H, as most platforms send it; devices go by the DeviceID of the body.
func render(instruction, data1, data2, data3 byte) string {
	b := [8]byte{0xA5, 0x0F, 0x01, instruction, data1, data2, data3 << 4}
	for _, v := range b[:7] {
		b[7] += v // the sum of the first seven bytes, modulo 256
	}
	return strings.ToUpper(hex.EncodeToString(b[:]))
}

// way returns the bit of a direction: positive, negative, or none.
func way(v int, positive, negative byte) byte {
	switch {
	case v > 0:
		return positive
	case v < 0:
		return negative
	}
	return 0
}

// speed is the size of v, at most limit.
func speed(v, limit int) byte {
	if v < 0 {
		v = -v
	}
	return byte(min(v, limit))
}

// Move turns and zooms until the next Move; all zero is the stop, of a cruise and a scan too
// [GB28181-2022 A.3.2].
type Move struct {
	Pan  int // -255…255, to the right when positive
	Tilt int // -255…255, up
	Zoom int // -15…15, in
}

// PTZCmd renders m.
func (m Move) PTZCmd() string {
	bits := way(m.Pan, 1<<0, 1<<1) | way(m.Tilt, 1<<3, 1<<2) | way(m.Zoom, 1<<4, 1<<5)
	return render(bits, speed(m.Pan, 0xFF), speed(m.Tilt, 0xFF), speed(m.Zoom, 0xF))
}

// Focus moves the focus until the next Focus or Iris; zero is the stop [GB28181-2022 A.3.3].
type Focus struct {
	Speed int // -255…255, far when positive
}

// PTZCmd renders f.
func (f Focus) PTZCmd() string {
	return render(0x40|way(f.Speed, 1<<0, 1<<1), speed(f.Speed, 0xFF), 0, 0)
}

// Iris moves the iris until the next Focus or Iris; zero is the stop [GB28181-2022 A.3.3].
type Iris struct {
	Speed int // -255…255, open when positive
}

// PTZCmd renders i.
func (i Iris) PTZCmd() string {
	return render(0x40|way(i.Speed, 1<<2, 1<<3), 0, speed(i.Speed, 0xFF), 0)
}

// PresetAction is what is done with a preset.
type PresetAction byte

// The preset instructions [GB28181-2022 A.3.4].
const (
	PresetSet    PresetAction = 0x81
	PresetCall   PresetAction = 0x82
	PresetDelete PresetAction = 0x83
)

// Preset sets, calls or deletes a stored position.
type Preset struct {
	Action PresetAction
	ID     int // 1…255
}

// PTZCmd renders p.
func (p Preset) PTZCmd() string { return render(byte(p.Action), 0, byte(p.ID), 0) }

// CruiseAction is what is done with a cruise.
type CruiseAction byte

// The cruise instructions [GB28181-2022 A.3.5]. A Move of zero stops a cruise.
const (
	CruiseAdd    CruiseAction = 0x84
	CruiseDelete CruiseAction = 0x85
	CruiseSpeed  CruiseAction = 0x86
	CruiseDwell  CruiseAction = 0x87
	CruiseStart  CruiseAction = 0x88
)

// Cruise edits or starts a group of presets that are visited in turn.
type Cruise struct {
	Action CruiseAction
	ID     int // group, 0…255
	Preset int // 1…255, of CruiseAdd and CruiseDelete; 0 with CruiseDelete: the whole group
	Value  int // 1…4095, of CruiseSpeed and, in seconds, of CruiseDwell
}

// PTZCmd renders c.
func (c Cruise) PTZCmd() string {
	if c.Action == CruiseSpeed || c.Action == CruiseDwell {
		return render(byte(c.Action), byte(c.ID), byte(c.Value), byte(c.Value>>8))
	}
	return render(byte(c.Action), byte(c.ID), byte(c.Preset), 0)
}

// ScanAction is what is done with a scan.
type ScanAction byte

// The scan instructions [GB28181-2022 A.3.6]. A Move of zero stops a scan.
const (
	ScanStart ScanAction = iota
	ScanLeft             // the present position is the left limit
	ScanRight
	ScanSpeed
)

// Scan edits or starts a movement between two limits.
type Scan struct {
	Action ScanAction
	ID     int // group, 0…255
	Value  int // 1…4095, of ScanSpeed
}

// PTZCmd renders s.
func (s Scan) PTZCmd() string {
	if s.Action == ScanSpeed {
		return render(0x8A, byte(s.ID), byte(s.Value), byte(s.Value>>8))
	}
	return render(0x89, byte(s.ID), byte(s.Action), 0)
}

// Aux turns an auxiliary switch, such as the wiper, on or off [GB28181-2022 A.3.7].
type Aux struct {
	ID int // 1…255; 1 is the wiper
	On bool
}

// PTZCmd renders a.
func (a Aux) PTZCmd() string {
	if a.On {
		return render(0x8C, byte(a.ID), 0, 0)
	}
	return render(0x8D, byte(a.ID), 0, 0)
}

// errPTZ: the digits are no front-end command.
var errPTZ = errors.New("not a PTZCmd: sixteen hex digits that begin with A5 and end with their sum are")

// DecodePTZ reads the sixteen hex digits of a PTZCmd, in either case. It refuses a wrong
// length, first byte or checksum, and an instruction that the standard does not have.
func DecodePTZ(digits string) (PTZ, error) {
	b, err := hex.DecodeString(strings.TrimSpace(digits))
	if err != nil || len(b) != 8 || b[0] != 0xA5 {
		return nil, errPTZ
	}
	var sum byte
	for _, v := range b[:7] {
		sum += v
	}
	if sum != b[7] {
		return nil, errPTZ
	}
	code, d1, d2, d3 := b[3], int(b[4]), int(b[5]), int(b[6]>>4)
	wide := d2 | d3<<8
	switch {
	case code < 0x40:
		return Move{
			Pan: signed(code, 1<<0, 1<<1, d1), Tilt: signed(code, 1<<3, 1<<2, d2), Zoom: signed(code, 1<<4, 1<<5, d3),
		}, nil
	case code < 0x80 && code&0x0C != 0:
		return Iris{signed(code, 1<<2, 1<<3, d2)}, nil // with Focus beside it, the iris alone is told
	case code < 0x80:
		return Focus{signed(code, 1<<0, 1<<1, d1)}, nil
	case code >= 0x81 && code <= 0x83:
		return Preset{PresetAction(code), d2}, nil
	case code == byte(CruiseSpeed), code == byte(CruiseDwell):
		return Cruise{Action: CruiseAction(code), ID: d1, Value: wide}, nil
	case code >= 0x84 && code <= 0x88:
		return Cruise{Action: CruiseAction(code), ID: d1, Preset: d2}, nil
	case code == 0x89 && d2 <= int(ScanRight):
		return Scan{Action: ScanAction(d2), ID: d1}, nil
	case code == 0x8A:
		return Scan{Action: ScanSpeed, ID: d1, Value: wide}, nil
	case code == 0x8C, code == 0x8D:
		return Aux{ID: d1, On: code == 0x8C}, nil
	}
	return nil, fmt.Errorf("%w; instruction %02X is none of the standard's", errPTZ, code)
}

// signed gives the size of a movement the sign of its direction bit; opposite ones cancel.
func signed(code, positive, negative byte, size int) int {
	switch {
	case code&positive != 0 && code&negative == 0:
		return size
	case code&negative != 0 && code&positive == 0:
		return -size
	}
	return 0
}
