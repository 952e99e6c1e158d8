package shadowsync

import (
	"strconv"
	"time"

	"github.com/gb2mqtt/gb2mqtt/shadowsync/store"
)

// Bounds of a list of named shadows: of a page, so that it fits a client's packet, and of what
// ThingsWithNames reads at a time.
const (
	namesPerPage = 2000
	keysPerLook  = 4096
)

// Names returns the named shadows of thing in order, the classic one not among them; none
// when the store can't be read, which Get tells.
func (s *Service) Names(thing string) []string {
	var names []string
	prefix := store.Prefix(store.KindDocument, thing)
	err := s.st.ScanKeys(prefix, func(key []byte) bool {
		if name := string(key[len(prefix):]); name != "" {
			names = append(names, name)
		}
		return true
	})
	if err != nil {
		s.log.Error("shadows not listed", "thing", thing, "err", err)
	}
	return names
}

// ThingsWithNames lists some of the things that have named shadows, those behind after: ""
// is the beginning. next is where to go on, "" at the end.
func (s *Service) ThingsWithNames(after string) (things []string, next string, err error) {
	prefix, from, known := store.Prefix(store.KindDocument), []byte(after), ""
	if after == "" {
		from = prefix
	} else if thing, name, ok := store.CutPart(from[1:]); ok && len(name) > 0 {
		known = thing // it was listed already
	}
	n, last := 0, ""
	err = s.st.ScanKeysFrom(prefix, from, func(key []byte) bool {
		if n == keysPerLook {
			next = last
			return false
		}
		thing, name, ok := store.CutPart(key[1:])
		if last = string(key); last == after {
			return true
		}
		n++
		if ok && len(name) > 0 && thing != known {
			things, known = append(things, thing), thing
		}
		return true
	})
	return things, next, err
}

// NamesTopic is where page n of the named shadows of thing is retained; the first is page 1.
func NamesTopic(prefix, thing string, n int) string {
	op := OpNames
	if n > 1 {
		op += Op("/" + strconv.Itoa(n))
	}
	return topic(prefix, Key{Thing: thing}, op)
}

// NamesPages is how many pages names take.
func NamesPages(names []string) int { return (len(names) + namesPerPage - 1) / namesPerPage }

// NamesPage is page n of names as it is retained, in the words of ListNamedShadowsForThing:
// results, timestamp, and nextToken where another page follows. It is nil behind the last.
func NamesPage(names []string, n int, at time.Time) []byte {
	from := (n - 1) * namesPerPage
	if n < 1 || from >= len(names) {
		return nil
	}
	rest := names[from:]
	b := append([]byte(nil), `{"results":[`...)
	for i, name := range rest[:min(len(rest), namesPerPage)] {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, name)
	}
	b = append(b, ']')
	if len(rest) > namesPerPage {
		b = append(b, `,"nextToken":"`...)
		b = strconv.AppendInt(b, int64(n+1), 10)
		b = append(b, '"')
	}
	b = append(b, `,"timestamp":`...)
	b = strconv.AppendInt(b, at.Unix(), 10)
	return append(b, '}')
}

// ParseNamesTopic reads a topic that NamesTopic made.
func ParseNamesTopic(prefix, topic string) (thing string, n int, ok bool) {
	k, op, ok := ParseTopic(prefix, topic)
	if !ok {
		return "", 0, false
	}
	n, ok = op.page()
	return k.Thing, n, ok
}
