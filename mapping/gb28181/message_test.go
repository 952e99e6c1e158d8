package gb28181

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// samples are the golden files: what real cameras send.
func samples(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/*/*.xml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	bodies := make(map[string][]byte)
	for _, f := range files {
		body, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		bodies[strings.TrimPrefix(f, "testdata/")] = body
	}
	return bodies
}

// again writes a tree as a body of UTF-8; the text of an element stands before its children.
func again(e *Element) []byte {
	var b strings.Builder
	var write func(e *Element)
	write = func(e *Element) {
		b.WriteString("<" + e.Name + ">" + escaper.Replace(dropControls(e.Text)))
		for _, c := range e.Children {
			write(c)
		}
		b.WriteString("</" + e.Name + ">")
	}
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>`)
	write(e)
	return []byte(b.String())
}

// same compares two trees by names and, where there are no children, by texts.
func same(a, b *Element) bool {
	if a.Name != b.Name || len(a.Children) != len(b.Children) || len(a.Children) == 0 && a.Text != b.Text {
		return false
	}
	for i := range a.Children {
		if !same(a.Children[i], b.Children[i]) {
			return false
		}
	}
	return true
}

func TestSamplesAreTheSameWrittenAndReadAgain(t *testing.T) {
	for name, body := range samples(t) {
		m, err := Decode(body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m2, err := Decode(again(m.Tree))
		if err != nil || !same(m.Tree, m2.Tree) || m2.CmdType != m.CmdType || m2.SN != m.SN || m2.DeviceID != m.DeviceID {
			t.Errorf("%s: read again it is %+v, %v", name, m2, err)
		}
	}
}

// A CmdType of the standard without a sample would be one that nobody has read.
func TestEveryCmdTypeHasItsSamples(t *testing.T) {
	seen := make(map[string]bool)
	for name, body := range samples(t) {
		m, err := Decode(body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		folder, _, _ := strings.Cut(name, "/")
		if m.IsStandard() != (folder != "unknown") || m.IsStandard() && strings.ToLower(m.CmdType) != folder {
			t.Errorf("%s is a %s", name, m.CmdType)
		}
		if !strings.HasSuffix(name, ".sent.xml") {
			seen[m.CmdType] = true
		}
	}
	for _, cmdType := range cmdTypes {
		if !seen[cmdType] {
			t.Errorf("%s has no sample in testdata/%s", cmdType, strings.ToLower(cmdType))
		}
	}
}

func TestAQuickLookAtAKeepaliveAgreesWithReadingIt(t *testing.T) {
	quick := 0
	for name, body := range samples(t) {
		m, _ := Decode(body)
		k, is := m.Body.(*Keepalive)
		if LooksLikeKeepalive(body) {
			quick++
			if !is || k.Status != "OK" || k.Faulty != nil {
				t.Errorf("%s passes for a plain keepalive: %+v", name, m.Body)
			}
		}
	}
	if quick == 0 {
		t.Error("no sample passes: the quick look sees nothing")
	}
}

func TestWhatIsRefusedIsNamed(t *testing.T) {
	for body, want := range map[string]error{
		"<!DOCTYPE a [<!ENTITY x 'y'>]><Notify><CmdType>Keepalive</CmdType></Notify>": ErrDoctype,
		"":                            ErrUnreadable,
		"\x00\x01\x02":                ErrUnreadable,
		"<Notify><SN>1</SN></Notify>": ErrUnreadable,
		"<Notify><CmdType>Keepalive</CmdType><SN>": ErrUnreadable,
	} {
		m, err := Decode([]byte(body))
		if err == nil || !strings.Contains(err.Error(), strings.SplitN(want.Error(), ":", 2)[0]) {
			t.Errorf("%q: %v, want %v", body, err, want)
		}
		if m == nil || m.Tree == nil || m.Body == nil {
			t.Errorf("%q: the message is %+v; what could be read must be there", body, m)
		}
	}
}

func TestEncodingsAreReadWhateverIsDeclared(t *testing.T) {
	const text = "大门"
	wrap := func(declared string, name []byte) []byte {
		return bytes.Join([][]byte{[]byte(declared + "<Notify><CmdType>X</CmdType><SN>1</SN><Name>"), name, []byte("</Name></Notify>")}, nil)
	}
	gbk, utf8 := []byte{0xB4, 0xF3, 0xC3, 0xC5}, []byte(text)
	for _, declared := range []string{"", `<?xml version="1.0" encoding="GB2312"?>`, `<?xml version="1.0" encoding="UTF-8"?>`} {
		for kind, name := range map[string][]byte{"GBK": gbk, "UTF-8": utf8} {
			m, err := Decode(wrap(declared, name))
			if err != nil || m.Tree.Value("Name") != text {
				t.Errorf("%s bytes declared %q read as %q, %v", kind, declared, m.Tree.Value("Name"), err)
			}
		}
	}
	// 堃 is in GBK and not in GB 2312; 𠮷 takes four bytes of GB 18030.
	for _, c := range []struct {
		bytes []byte
		want  string
	}{{[]byte{0x88, 0xD2}, "堃"}, {[]byte{0x95, 0x34, 0xB2, 0x35}, "𠮷"}} {
		if m, err := Decode(wrap(`<?xml version="1.0" encoding="GB2312"?>`, c.bytes)); err != nil || m.Tree.Value("Name") != c.want {
			t.Errorf("% X read as %q, %v; want %q", c.bytes, m.Tree.Value("Name"), err, c.want)
		}
	}
}

// FuzzDecode holds that no body panics, that what was read is the same written and read again,
// and that the quick look at keepalives never sees more than Decode.
func FuzzDecode(f *testing.F) {
	for _, body := range samples(f) {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := Decode(body)
		if m == nil || m.Tree == nil || m.Body == nil {
			t.Fatal("nothing was returned")
		}
		k, is := m.Body.(*Keepalive)
		if LooksLikeKeepalive(body) && (err != nil || !is || k.Status != "OK" || k.Faulty != nil) {
			t.Errorf("passes for a plain keepalive: %+v, %v", m.Body, err)
		}
		m.Refused()
		if err != nil {
			return
		}
		text := again(m.Tree)
		m2, err := Decode(text)
		if err != nil {
			t.Fatalf("written again it can't be read: %v\n%s", err, text)
		}
		if text2 := again(m2.Tree); !bytes.Equal(text, text2) {
			t.Errorf("written again it is\n%s\nnot\n%s", text2, text)
		}
	})
}

// Hikvision recorders break a long RecordInfo off: the items before the break are whole.
func TestOfAListThatBreaksOffTheWholeItemsAreRead(t *testing.T) {
	const start = "<Response><CmdType>RecordInfo</CmdType><SN>41</SN><SumNum>3</SumNum><RecordList Num='3'>" +
		"<Item><Name>a</Name></Item><Item><Name>b</Name></Item>"
	for _, rest := range []string{"", "<Item>", "<Item><Name>c", "<Item><Name>c</Name><Start", "<Item><Name>c</Name>"} {
		m, err := Decode([]byte(start + rest))
		if !errors.Is(err, ErrUnreadable) || m.SN != 41 || m.CmdType != "RecordInfo" {
			t.Errorf("%q: %+v, %v", rest, m, err)
		}
		list := m.Tree.Child("RecordList")
		if list == nil || len(list.Children) != 2 || list.Children[1].Value("Name") != "b" {
			t.Errorf("%q: the list is %+v, want two items", rest, list)
		}
	}
}

// Some notify changes of their catalogue under the root Response, in either case of letters.
func TestAnEventIsReadUnderEitherRoot(t *testing.T) {
	for name, want := range map[string][]string{
		"catalog/response-with-events.xml":    {"OFF", "ON"},
		"catalog/notify-status-not-event.xml": {"ON"},
		"catalog/notify-lowercase-event.xml":  {"OFF"},
		"catalog/notify-add-update-del.xml":   {"ADD", "UPDATE", "DEL"},
		"catalog/notify-on-off.xml":           {"ON", "OFF", "VLOST"},
		"catalog/page2.xml":                   {""},
	} {
		m, err := Decode(samples(t)[name])
		c, is := m.Body.(*Catalog)
		if err != nil || !is || len(c.Items) != len(want) {
			t.Errorf("%s: %+v, %v; want %d items", name, m.Body, err, len(want))
			continue
		}
		for i, item := range c.Items {
			if item.Event != want[i] {
				t.Errorf("%s: item %d has event %q, want %q", name, i, item.Event, want[i])
			}
		}
	}
}

func TestWhatCameByNotifyIsANotifyWhateverItsRoot(t *testing.T) {
	m, err := Decode([]byte("<Response><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>34020000001320000001</DeviceID><SumNum>1</SumNum>" +
		"<DeviceList Num='1'><Item><DeviceID>34020000001310000001</DeviceID><Status>OFF</Status></Item></DeviceList></Response>"))
	if err != nil {
		t.Fatal(err)
	}
	if event := m.Body.(*Catalog).Items[0].Event; event != "" {
		t.Errorf("an answer has the event %q", event)
	}
	m.AsNotify()
	if got := m.Body.(*Catalog).Items[0].Event; m.Root != "Notify" || got != "OFF" {
		t.Errorf("root %s, event %q; want Notify and OFF, which Status tells", m.Root, got)
	}
	m, err = Decode([]byte("<Response><CmdType>Alarm</CmdType><SN>1</SN><DeviceID>34020000001320000001</DeviceID><AlarmMethod>5</AlarmMethod></Response>"))
	if err != nil {
		t.Fatal(err)
	}
	m.AsNotify()
	if a, ok := m.Body.(*Alarm); !ok || a.Method != 5 {
		t.Errorf("an alarm became %+v", m.Body)
	}
}
