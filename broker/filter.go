package broker

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// checkFilter refuses what is no topic filter [MQTT5 4.7].
func checkFilter(f string) error {
	if f == "" {
		return errors.New("is empty; use a topic filter such as gb28181/#")
	}
	if len(f) > maxTopic || !utf8.ValidString(f) || strings.ContainsRune(f, 0) {
		return fmt.Errorf("%q is no topic filter; use up to 65535 bytes of UTF-8", f)
	}
	levels := strings.Split(f, "/")
	for i, level := range levels {
		if strings.Contains(level, "#") && (level != "#" || i != len(levels)-1) {
			return fmt.Errorf("%q has a # that is not its whole last level; use it as in gb28181/#", f)
		}
		if strings.Contains(level, "+") && level != "+" {
			return fmt.Errorf("%q has a + that is not a whole level; use it as in gb28181/+/state", f)
		}
	}
	return nil
}

// covers tells whether whatever inner matches outer matches too. inner may be a topic or a
// filter. Wildcards at the first level do not reach topics that begin with $ [MQTT5 4.7.2].
func covers(outer, inner string) bool {
	inner = withoutShare(inner)
	if strings.HasPrefix(inner, "$") && (strings.HasPrefix(outer, "#") || strings.HasPrefix(outer, "+")) {
		return false
	}
	for {
		o, outerRest, outerMore := strings.Cut(outer, "/")
		i, innerRest, innerMore := strings.Cut(inner, "/")
		switch {
		case o == "#":
			return true
		case i == "#", o != "+" && o != i:
			return false
		case !outerMore && !innerMore:
			return true
		case !innerMore: // a/# matches a, too [MQTT5 4.7.1.2]
			return outerRest == "#"
		case !outerMore:
			return false
		}
		outer, inner = outerRest, innerRest
	}
}

// withoutShare cuts $share/GROUP/ off a shared subscription's filter [MQTT5 4.8.2].
func withoutShare(f string) string {
	rest, shared := strings.CutPrefix(f, "$share/")
	if !shared {
		return f
	}
	_, filter, ok := strings.Cut(rest, "/")
	if !ok {
		return f
	}
	return filter
}

// rights are what one connection may do.
type rights struct {
	user        string
	all         bool // nobody has to log in, or anonymous clients are welcome
	read, write []string
}

func (r *rights) mayRead(filter string) bool { return r.all || anyCovers(r.read, filter) }
func (r *rights) mayWrite(topic string) bool { return r.all || anyCovers(r.write, topic) }

func anyCovers(filters []string, topic string) bool {
	for _, f := range filters {
		if covers(f, topic) {
			return true
		}
	}
	return false
}
