package shadowsync

import (
	"strconv"
	"strings"
)

// Key names one shadow.
type Key struct {
	Thing string
	Name  string // empty: the classic shadow
}

// Op is what stands behind a shadow in a topic.
type Op string

// The requests, and what the service publishes.
const (
	OpGet    Op = "get"
	OpUpdate Op = "update"
	OpDelete Op = "delete"
	// OpHistory asks for what was reported; it is not AWS'.
	OpHistory Op = "history"
	// OpNames is where the named shadows of a thing are listed, retained: the first page
	// there, the others a level below by their number. It is not AWS'.
	OpNames Op = "names"

	opDelta     Op = "update/delta"
	opDocuments Op = "update/documents"
)

// answers are the topics that only the service publishes on.
var answers = map[Op]bool{
	"get/accepted": true, "get/rejected": true, "delete/accepted": true, "delete/rejected": true,
	"history/accepted": true, "history/rejected": true, "update/accepted": true, "update/rejected": true, opDelta: true, opDocuments: true,
}

// page is the number of a topic of names: "names" is the first, "names/2" the next.
func (o Op) page() (n int, ok bool) {
	if o == OpNames {
		return 1, true
	}
	rest, is := strings.CutPrefix(string(o), string(OpNames)+"/")
	n, err := strconv.Atoi(rest)
	return n, is && err == nil && n > 1 && strconv.Itoa(n) == rest
}

// Request tells whether clients may publish on it; on the others they may only subscribe.
func (o Op) Request() bool { return o == OpGet || o == OpUpdate || o == OpDelete || o == OpHistory }

// ParseTopic splits a topic of the service by place from the left: a shadow may be called
// update or name. Whether the names are allowed is not looked at. ok is false when topic is
// none of the service's. [device-shadow 1]
func ParseTopic(prefix, topic string) (k Key, op Op, ok bool) {
	rest, ok := strings.CutPrefix(topic, prefix+"/")
	if !ok {
		return Key{}, "", false
	}
	thing, rest, ok := strings.Cut(rest, "/")
	if !ok {
		return Key{}, "", false
	}
	if rest, ok = strings.CutPrefix(rest, "shadow/"); !ok {
		return Key{}, "", false
	}
	k.Thing = thing
	if named, is := strings.CutPrefix(rest, "name/"); is {
		if k.Name, rest, ok = strings.Cut(named, "/"); !ok {
			return Key{}, "", false
		}
		if k.Name == "" {
			return Key{Thing: thing, Name: noName}, Op(rest), Op(rest).Request() || answers[Op(rest)]
		}
	}
	op = Op(rest)
	if _, names := op.page(); !op.Request() && !answers[op] && !(names && k.Name == "") {
		return Key{}, "", false
	}
	return k, op, true
}

// noName stands for the empty name of a named shadow, which is not the classic one. It is
// not allowed, as every name with a slash is not.
const noName = "/"

// RequestFilters returns the filters of all request topics, for a link that must subscribe
// to them.
func RequestFilters(prefix string) []string {
	var filters []string
	for _, op := range []Op{OpGet, OpUpdate, OpDelete, OpHistory} {
		filters = append(filters, prefix+"/+/shadow/"+string(op), prefix+"/+/shadow/name/+/"+string(op))
	}
	return filters
}

// topic is the topic of op of the shadow k.
func topic(prefix string, k Key, op Op) string {
	switch k.Name {
	case "":
		return prefix + "/" + k.Thing + "/shadow/" + string(op)
	case noName:
		return prefix + "/" + k.Thing + "/shadow/name//" + string(op)
	}
	return prefix + "/" + k.Thing + "/shadow/name/" + k.Name + "/" + string(op)
}

// Lengths of names. [device-shadow 8]
const (
	maxThing = 128
	maxName  = 64
)

// checkNames refuses names that AWS would not take.
func checkNames(k Key) *Error {
	if !nameAllowed(k.Thing, maxThing) {
		return &Error{400, "Invalid thing name; 1 to 128 of a-z, A-Z, 0-9, ':', '_' and '-' are allowed"}
	}
	if k.Name != "" && !nameAllowed(k.Name, maxName) {
		return &Error{400, "Invalid shadow name; 1 to 64 of a-z, A-Z, 0-9, ':', '_' and '-' are allowed"}
	}
	return nil
}

func nameAllowed(s string, most int) bool {
	if s == "" || len(s) > most {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != ':' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}
