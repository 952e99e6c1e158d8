package gb28181

import (
	"bytes"
	"strings"
	"testing"
)

func TestTextIsWrittenInWhatTheDeviceSpeaks(t *testing.T) {
	for _, c := range []struct {
		encoding Encoding
		declared string
		bytes    []byte
	}{
		{ASCII, "GB2312", []byte{0xB4, 0xF3, 0xC3, 0xC5}}, // nothing is known of the device: what every edition reads
		{GB2312, "GB2312", []byte{0xB4, 0xF3, 0xC3, 0xC5}},
		{GB18030, "GB18030", []byte{0xB4, 0xF3, 0xC3, 0xC5}},
		{UTF8, "UTF-8", []byte("大门")},
	} {
		body := Control{CmdType: "DeviceConfig", DeviceID: "1", Fields: []Field{{Name: "Name", Value: "大门"}}}.Encode(1, c.encoding)
		if !bytes.Contains(body, c.bytes) || !bytes.Contains(body, []byte(`encoding="`+c.declared+`"`)) {
			t.Errorf("%v: % X, want % X declared %s", c.encoding, body, c.bytes, c.declared)
		}
		if m, err := Decode(body); err != nil || m.Tree.Value("Name") != "大门" {
			t.Errorf("%v: read back as %q, %v", c.encoding, m.Tree.Value("Name"), err)
		}
	}
}

// Any text goes out and comes back, but for what XML forbids.
func TestNoTextBreaksABody(t *testing.T) {
	for sent, want := range map[string]string{
		"a & b < c > d":      "a & b < c > d",
		"堃𠮷€😀":               "堃𠮷€😀",
		"bell\a and nul\x00": "bell and nul",
		"]]> <!DOCTYPE x>":   "]]> <!DOCTYPE x>",
		"\xB4\xF3":           "?",
	} {
		for _, e := range []Encoding{GB2312, GB18030, UTF8} {
			body := Query{CmdType: "X", DeviceID: "1", Fields: []Field{{Name: "Text", Value: sent}}}.Encode(7, e)
			m, err := Decode(body)
			if got := m.Tree.Value("Text"); err != nil || got != want {
				t.Errorf("%v: %q became %q, %v; want %q", e, sent, got, err, want)
			}
		}
	}
}

// C4 A3 is 模 in GBK and ģ in UTF-8: with nothing longer in the body, the declaration decides.
func TestTheDeclarationDecidesWhereBytesCannot(t *testing.T) {
	for declared, want := range map[string]string{
		`<?xml version="1.0" encoding="GB2312"?>`:  "模",
		`<?xml version="1.0" encoding="GB18030"?>`: "模",
		``:                                       "模", // 2011 has no declaration and GB 2312
		`<?xml version="1.0" encoding="UTF-8"?>`: "ģ",
	} {
		m, err := Decode([]byte(declared + "<Notify><CmdType>X</CmdType><Name>\xC4\xA3</Name></Notify>"))
		if err != nil || m.Tree.Value("Name") != want {
			t.Errorf("%q: %q, %v; want %q", declared, m.Tree.Value("Name"), err, want)
		}
	}
}

// Names are cut at 32 or 64 bytes, in the middle of a character.
func TestACharacterCutInHalfCostsItself(t *testing.T) {
	m, err := Decode([]byte("<Notify><CmdType>X</CmdType><SN>5</SN><Name>\xB4\xF3\xC3</Name><After>x</After></Notify>"))
	if err != nil || !strings.HasPrefix(m.Tree.Value("Name"), "大") || m.SN != 5 || m.Tree.Value("After") != "x" {
		t.Errorf("%+v, %v", m.Tree, err)
	}
}
