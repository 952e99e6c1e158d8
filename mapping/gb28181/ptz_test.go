package gb28181

import (
	"encoding/hex"
	"strings"
	"testing"
)

// The worked examples for address 001H [GB28181-2022 A.3].
var ptzCases = []struct {
	name string
	cmd  PTZ
	want string
}{
	{"stop", Move{}, "A50F0100000000B5"},
	{"right at 31", Move{Pan: 31}, "A50F01011F0000D5"},
	{"left at 31", Move{Pan: -31}, "A50F01021F0000D6"},
	{"down at 31", Move{Tilt: -31}, "A50F0104001F00D8"},
	{"up at 31", Move{Tilt: 31}, "A50F0108001F00DC"},
	{"right and up", Move{Pan: 100, Tilt: 50}, "A50F010964320054"},
	{"right and down", Move{Pan: 100, Tilt: -50}, "A50F010564320050"},
	{"left and up at full speed", Move{Pan: -255, Tilt: 255}, "A50F010AFFFF00BD"},
	{"zoom in", Move{Zoom: 5}, "A50F011000005015"},
	{"zoom out", Move{Zoom: -15}, "A50F01200000F0C5"},
	{"zoom in, clamped", Move{Zoom: 99}, "A50F01100000F0B5"},
	{"right, up and zoom out", Move{Pan: 31, Tilt: 31, Zoom: -1}, "A50F01291F1F102C"},
	{"focus far", Focus{Speed: 128}, "A50F014180000076"},
	{"focus near", Focus{Speed: -128}, "A50F014280000077"},
	{"iris open", Iris{Speed: 128}, "A50F014400800079"},
	{"iris close", Iris{Speed: -128}, "A50F01480080007D"},
	{"lens stop", Focus{}, "A50F0140000000F5"},
	{"set preset", Preset{Action: PresetSet, ID: 5}, "A50F01810005003B"},
	{"call preset", Preset{Action: PresetCall, ID: 5}, "A50F01820005003C"},
	{"delete preset", Preset{Action: PresetDelete, ID: 5}, "A50F01830005003D"},
	{"call the last preset", Preset{Action: PresetCall, ID: 255}, "A50F018200FF0036"},
	{"cruise, add a point", Cruise{Action: CruiseAdd, ID: 1, Preset: 5}, "A50F01840105003F"},
	{"cruise, delete a point", Cruise{Action: CruiseDelete, ID: 1, Preset: 5}, "A50F018501050040"},
	{"cruise, delete the group", Cruise{Action: CruiseDelete, ID: 1}, "A50F01850100003B"},
	{"cruise speed of twelve bits", Cruise{Action: CruiseSpeed, ID: 1, Value: 300}, "A50F0186012C1078"},
	{"cruise dwell", Cruise{Action: CruiseDwell, ID: 1, Value: 30}, "A50F0187011E005B"},
	{"cruise start", Cruise{Action: CruiseStart, ID: 1}, "A50F01880100003E"},
	{"scan start", Scan{Action: ScanStart, ID: 1}, "A50F01890100003F"},
	{"scan left limit", Scan{Action: ScanLeft, ID: 1}, "A50F018901010040"},
	{"scan right limit", Scan{Action: ScanRight, ID: 1}, "A50F018901020041"},
	{"scan speed of twelve bits", Scan{Action: ScanSpeed, ID: 1, Value: 256}, "A50F018A01001050"},
	{"scan speed", Scan{Action: ScanSpeed, ID: 1, Value: 40}, "A50F018A01280068"},
	{"wiper on", Aux{ID: 1, On: true}, "A50F018C01000042"},
	{"wiper off", Aux{ID: 1}, "A50F018D01000043"},
}

func TestPTZCommandsAreTheBytesOfTheStandard(t *testing.T) {
	for _, c := range ptzCases {
		if got := c.cmd.PTZCmd(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestPTZCommandsAreReadBack(t *testing.T) {
	for _, c := range ptzCases {
		want := c.cmd
		if c.name == "zoom in, clamped" {
			want = Move{Zoom: 15}
		}
		if iris, is := want.(Iris); is && iris.Speed == 0 {
			want = Focus{} // the lens stops by one word
		}
		for _, digits := range []string{c.want, strings.ToLower(c.want), " " + c.want + "\n"} {
			if got, err := DecodePTZ(digits); err != nil || got != want {
				t.Errorf("%s: %q read as %+v, %v; want %+v", c.name, digits, got, err, want)
			}
		}
	}
}

func TestWhatIsNoPTZCommandIsRefused(t *testing.T) {
	for name, digits := range map[string]string{
		"empty": "", "too short": "A50F01010000B6", "too long": "A50F0100000000B500", "no hex": "A50F01000000GGB5",
		"wrong first byte": "A60F0100000000B6", "wrong sum": "A50F0100000000B6", "no instruction of the standard": "A50F01FF000000B4",
		"a scan that is none": "A50F018900030041",
	} {
		if got, err := DecodePTZ(digits); err == nil {
			t.Errorf("%s: %q read as %+v", name, digits, got)
		}
	}
	// The low half of the second byte is a check that some get wrong; the sum tells the rest.
	if got, err := DecodePTZ("A5000100000000A6"); err != nil || got != (Move{}) {
		t.Errorf("a wrong check in byte 2: %+v, %v", got, err)
	}
}

// FuzzDecodePTZ holds that what was read is the same written and read again. A stop of the iris
// and one of the focus are the same word.
func FuzzDecodePTZ(f *testing.F) {
	for _, c := range ptzCases {
		f.Add(c.want)
	}
	f.Fuzz(func(t *testing.T, digits string) {
		cmd, err := DecodePTZ(digits)
		if err != nil {
			return
		}
		if again, err := DecodePTZ(cmd.PTZCmd()); err != nil || again.PTZCmd() != cmd.PTZCmd() {
			t.Errorf("%q is %+v; written as %s it is %+v, %v", digits, cmd, cmd.PTZCmd(), again, err)
		}
	})
}

// FuzzPTZ holds that every movement, whatever its speeds, is eight bytes that frame and sum up
// as the standard says, never in opposite directions at once, and never a bit with speed 0.
func FuzzPTZ(f *testing.F) {
	f.Add(100, -50, 3)
	f.Add(-1<<40, 1<<40, 16)
	f.Add(256, 0, -16)
	f.Fuzz(func(t *testing.T, pan, tilt, zoom int) {
		for _, cmd := range []PTZ{Move{pan, tilt, zoom}, Focus{pan}, Iris{tilt}, Preset{PresetCall, zoom}, Cruise{CruiseSpeed, pan, tilt, zoom}, Scan{ScanSpeed, pan, tilt}, Aux{pan, true}} {
			b, err := hex.DecodeString(cmd.PTZCmd())
			if err != nil || len(b) != 8 {
				t.Fatalf("%+v: %s is not eight bytes", cmd, cmd.PTZCmd())
			}
			var sum byte
			for _, v := range b[:7] {
				sum += v
			}
			if b[0] != 0xA5 || b[1] != 0x0F || b[7] != sum || b[6]&0x0F != 0 {
				t.Errorf("%+v: % X does not frame or sum up", cmd, b)
			}
		}
		b, _ := hex.DecodeString(Move{pan, tilt, zoom}.PTZCmd())
		for _, pair := range []byte{0x03, 0x0C, 0x30} {
			if b[3]&pair == pair {
				t.Errorf("pan %d, tilt %d, zoom %d go both ways: %02X", pan, tilt, zoom, b[3])
			}
		}
		for bits, speed := range map[byte]byte{0x03: b[4], 0x0C: b[5], 0x30: b[6]} {
			if (b[3]&bits != 0) != (speed != 0) {
				t.Errorf("pan %d, tilt %d, zoom %d: direction %02X with speed %02X", pan, tilt, zoom, b[3]&bits, speed)
			}
		}
	})
}
