package gb28181

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/transform"
)

// Encoding is how the text of a body is, or shall be, written as bytes.
type Encoding uint8

// The encodings that devices speak. Of a body that is all ASCII nothing can be learnt.
const (
	ASCII   Encoding = iota
	UTF8             // declared UTF-8
	GB18030          // declared GB18030 [GB28181-2022 6.10]
	GB2312           // declared GB2312, as 2016 has it; the bytes are GBK, as devices have them
)

// String returns the name that an XML declaration has for e.
func (e Encoding) String() string {
	switch e {
	case UTF8:
		return "UTF-8"
	case GB18030:
		return "GB18030"
	case GB2312:
		return "GB2312"
	}
	return "US-ASCII"
}

// decodeText returns body as clean UTF-8 and what it was written in. It believes the bytes,
// not the declaration, which often lies; it replaces what can't be read and drops control
// bytes, and it never fails.
func decodeText(body []byte) (string, Encoding) {
	body = bytes.TrimPrefix(body, []byte("\xEF\xBB\xBF")) // BOM
	ascii, threeByte := true, false
	for _, c := range body {
		if c >= utf8.RuneSelf {
			ascii = false
			threeByte = threeByte || c >= 0xE0
		}
	}
	if ascii {
		return dropControls(string(body)), ASCII
	}
	declared := declaredEncoding(body)
	if utf8.Valid(body) {
		// GBK text that is valid UTF-8 with three-byte sequences throughout does not occur; with
		// two-byte ones only (C4 A3 is 模 in GBK and ģ in UTF-8) the declaration decides.
		if threeByte || declared == UTF8 {
			return dropControls(string(body)), UTF8
		}
		if text, clean := fromGB18030(body); clean {
			return dropControls(text), declared
		}
		return dropControls(string(body)), UTF8
	}
	text, _ := fromGB18030(body)
	if declared == UTF8 || declared == ASCII {
		declared = GB18030
	}
	return dropControls(text), declared
}

// declaredEncoding reads the XML declaration; GB2312 where there is none [2011 practice].
func declaredEncoding(body []byte) Encoding {
	head := strings.ToLower(string(body[:min(len(body), 100)]))
	end := strings.Index(head, "?>")
	if !strings.HasPrefix(strings.TrimSpace(head), "<?xml") || end < 0 || !strings.Contains(head[:end], "encoding") {
		return GB2312
	}
	switch head = head[:end]; {
	case strings.Contains(head, "gb18030"):
		return GB18030
	case strings.Contains(head, "utf"):
		return UTF8
	}
	return GB2312
}

// fromGB18030 decodes; clean tells that nothing had to be replaced.
func fromGB18030(body []byte) (text string, clean bool) {
	out, _, err := transform.Bytes(simplifiedchinese.GB18030.NewDecoder(), body)
	if err != nil {
		return strings.ToValidUTF8(string(body), "\uFFFD"), false
	}
	return string(out), !bytes.ContainsRune(out, utf8.RuneError)
}

// dropControls removes the control bytes that XML 1.0 forbids: cameras leave them in names
// and addresses (Hikvision), and NULs behind the end.
func dropControls(s string) string {
	forbidden := func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' }
	if strings.IndexFunc(s, forbidden) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if forbidden(r) {
			return -1
		}
		return r
	}, s)
}

// EncodeText writes s in e. What GBK does not have is written as GB 18030 has it; what
// nothing has becomes a question mark.
func EncodeText(s string, e Encoding) []byte {
	s = strings.ToValidUTF8(s, "?")
	if e != GB18030 && e != GB2312 {
		return []byte(s)
	}
	out, _, err := transform.Bytes(simplifiedchinese.GB18030.NewEncoder(), []byte(s))
	if err != nil {
		return []byte(strings.Map(func(r rune) rune {
			if r >= utf8.RuneSelf {
				return '?'
			}
			return r
		}, s))
	}
	return out
}
