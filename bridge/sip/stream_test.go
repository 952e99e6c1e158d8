package sip

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// split feeds data in pieces of the given sizes (cycled; 0 is all that is left) to a splitter,
// and returns what came of it.
func split(data []byte, sizes []byte) (events []string) {
	s := splitter{maxBody: 4096}
	var m inbound
	var buf []byte
	for i := 0; len(data) > 0; i++ {
		n := len(data)
		if len(sizes) > 0 {
			if k := int(sizes[i%len(sizes)]); k > 0 {
				n = min(n, k)
			}
		}
		buf, data = append(buf, data[:n]...), data[n:]
		for {
			what, done, _, f := s.next(buf, &m)
			switch what {
			case stepMessage:
				events = append(events, fmt.Sprintf("%s %d %s %q %q %q", m.Method, m.status, f, m.CallID, m.cseq, m.Body))
			case stepGarbage:
				events = append(events, "garbage")
			case stepFatal:
				return append(events, "fatal "+string(f))
			}
			buf = buf[done:]
			if what == stepMore {
				break
			}
		}
	}
	return events
}

func TestStreamFindsMessagesHoweverTheyCome(t *testing.T) {
	a := message("MESSAGE", "z9hG4bK1", "a", 1, "<a/>")
	b := message("NOTIFY", "z9hG4bK2", "b", 2, "")
	noLength := strings.Replace(message("MESSAGE", "z9hG4bK3", "c", 3, "<x>\r\n</x>\r\n"), "Content-Length: 11\r\n", "", 1)
	lf := strings.ReplaceAll(message("MESSAGE", "z9hG4bK4", "d", 4, "<lf/>"), "\r\n", "\n")
	compact := strings.NewReplacer("Content-Length", "l ", "Call-ID", "i").Replace(message("MESSAGE", "z9hG4bK5", "e", 5, "<l/>"))
	folded := strings.Replace(message("MESSAGE", "z9hG4bK6", "f", 6, "<f/>"), "Content-Length: ", "Content-Length:\r\n  ", 1)
	stream := "\r\n\r\n" + a + "\r\n\r\n" + b + noLength + lf + "\x00" + compact + folded + "jaK" + a
	want := []string{
		`MESSAGE 0  "a" "1 MESSAGE" "<a/>"`, `NOTIFY 0  "b" "2 NOTIFY" ""`,
		`MESSAGE 0  "c" "3 MESSAGE" ""`, "garbage", "garbage",
		`MESSAGE 0  "d" "4 MESSAGE" "<lf/>"`, `MESSAGE 0  "e" "5 MESSAGE" "<l/>"`,
		`MESSAGE 0  "f" "6 MESSAGE" "<f/>"`, `MESSAGE 0  "a" "1 MESSAGE" "<a/>"`,
	}
	for _, sizes := range [][]byte{{0}, {1}, {2}, {7, 1, 100}, {255}} {
		if got := split([]byte(stream), sizes); !slices.Equal(got, want) {
			t.Errorf("pieces of %v:\ngot  %q\nwant %q", sizes, got, want)
		}
	}
}

func TestStreamEndsWhereItCannotBeFollowed(t *testing.T) {
	for _, c := range []struct{ name, data, want string }{
		{"length no number", strings.Replace(message("MESSAGE", "b", "a", 1, ""), "Length: 0", "Length: -1", 1), "fatal broken"},
		{"body beyond what is passed over", strings.Replace(message("MESSAGE", "b", "a", 1, ""), "Length: 0", "Length: 16777217", 1), "fatal too_large"},
		{"head over the limit", strings.Replace(message("MESSAGE", "b", "a", 1, ""), "70", strings.Repeat("7", maxHead), 1), "fatal too_large"},
		{"line without end", strings.Repeat("x", maxHead+1), "fatal not_sip"},
		{"garbage without end", strings.Repeat("x\n", maxGarbage), "fatal not_sip"},
	} {
		got := split([]byte(c.data), []byte{0})
		if len(got) == 0 || got[len(got)-1] != c.want {
			t.Errorf("%s: got %q, want %q at the end", c.name, got[max(0, len(got)-2):], c.want)
		}
	}
}

func TestStreamGoesOnBehindABodyThatIsTooLarge(t *testing.T) {
	large, next := message("MESSAGE", "b", "a", 1, strings.Repeat("x", 4097)), message("MESSAGE", "c", "b", 2, "<b/>")
	want := []string{`MESSAGE 0 too_large "a" "1 MESSAGE" ""`, `MESSAGE 0  "b" "2 MESSAGE" "<b/>"`}
	for _, sizes := range [][]byte{{0}, {1}, {255}} {
		if got := split([]byte(large+next), sizes); !slices.Equal(got, want) {
			t.Errorf("pieces of %v:\ngot  %q\nwant %q", sizes, got, want)
		}
	}
}

// FuzzStream holds that the messages in a stream do not depend on its pieces.
func FuzzStream(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s+"\r\n\r\n"+s), []byte{3, 0})
	}
	f.Add([]byte(strings.Repeat("x\n", 20)+seeds[2]), []byte{1})
	f.Fuzz(func(t *testing.T, data, sizes []byte) {
		whole := split(bytes.Clone(data), nil)
		if pieces := split(bytes.Clone(data), sizes); !slices.Equal(whole, pieces) {
			t.Errorf("pieces of %v:\nwhole  %q\npieces %q", sizes, whole, pieces)
		}
	})
}
