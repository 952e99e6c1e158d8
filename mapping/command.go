package mapping

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// AnswerKind is what ends a Command well.
type AnswerKind uint8

// The kinds of answers [GB28181-2022 9.3.1].
const (
	AnswerNone     AnswerKind = iota // the SIP 200: the standard lets the device say no more
	AnswerResponse                   // one Response with the SN of the request
	AnswerList                       // Responses until the list is complete
	AnswerParts                      // Responses until each of Command.Parts has come
)

// Peer is what an encoder must know of the device it writes to.
type Peer struct {
	Encoding  gb28181.Encoding
	GBVersion string         // X-GB-Ver; "" counts as 2.0
	Zone      *time.Location // of its clock; nil: UTC+8
	IFrame    string         // how it spells IFrameCmd; "": as its edition does
	Speeds    Speeds         // of its fastest movements
}

// Speeds are what a device takes for its fastest movements; 0: what the standard has, which is
// 255, of zoom 15 [GB28181-2022 A.3].
type Speeds struct {
	Pan, Tilt, Zoom, Focus, Iris int
}

// Command is one thing asked of a device or of one of its channels.
type Command struct {
	Name    string        // on the topic
	CmdType string        // on the wire, and of the answer
	Token   string        // the caller's clientToken
	Timeout time.Duration // until the answer; of a list: until its first packet
	Answer  AnswerKind
	// Encode writes the body that goes to target, a device's or a channel's ID.
	Encode func(sn int, target string, p Peer) []byte

	PTZ       bool          // has a lane of its own
	Alone     bool          // devices answer one of its CmdType at a time
	Motion    Motion        // what it moves or stops, NoMotion for the rest
	Stop      *Command      // of a movement: what ends it; nil for the rest
	StopAfter time.Duration // of a movement: when the bridge ends it; 0: at the backstop

	Slim  bool            // of a catalogue: who is there is wanted and no more, and nobody pages
	Limit int             // of a list: items at a time
	Next  string          // of a list: the rest of an earlier answer is wanted, the device is not asked
	Parts []Configuration // of AnswerParts: what is asked for
	// Unowed is set where the standard owes no answer: who gives none, or refuses, can't do it.
	Unowed bool
	Adds   map[string]any // what the answer to the caller has beside the device's own

	// Local is set for what the bridge answers itself: nothing is sent for it as it stands.
	Local *Local

	// Reported is what the shadow says once the device has obeyed, nil for nothing.
	Reported map[string]any
}

// Local is a command that the bridge carries out by other means.
type Local struct {
	Tree         bool   // the nodes of the device's catalogue, Command.Limit at a time
	Subscription string // the kind to subscribe to; "" for tree and diagnose
	Seconds      int    // of the subscription; 0 ends it
}

// Motion tells movements apart that stop by different words [GB28181-2022 A.3].
type Motion uint8

// The movements of a camera.
const (
	NoMotion   Motion = iota
	HeadMotion        // pan, tilt and zoom; cruise and scan end with it too
	LensMotion        // focus and iris
)

// The bounds of what every command takes.
const (
	maxToken        = 64
	maxTimeout      = 600_000 // ms
	defaultTimeout  = 10 * time.Second
	listTimeout     = 30 * time.Second
	defaultLimit    = 1000
	maxLimit        = 10_000
	argumentToken   = "clientToken"
	argumentTimeout = "timeout_ms"
)

// ParseCommand reads the command called name, sent to a channel's topic or to a device's.
func ParseCommand(name string, onChannel bool, args []byte) (*Command, *Error) {
	row, why := findCommand(name, onChannel)
	if why != nil {
		return nil, why
	}
	a := parseArguments(args)
	c := &Command{Name: name, Timeout: defaultTimeout}
	row.build(a, c, onChannel)
	if c.Answer == AnswerList {
		c.Timeout = listTimeout
	}
	if c.Limit == 0 {
		c.Limit = defaultLimit
	}
	c.Token, _ = a.text(argumentToken, maxToken)
	if ms, there := a.integer(argumentTimeout, 1, maxTimeout); there {
		c.Timeout = time.Duration(ms) * time.Millisecond
	}
	a.nothingElse()
	if a.err != nil {
		return nil, Errorf(a.err.Code, "%s: %s", name, a.err.Message)
	}
	return c, nil
}

// TokenOf returns the clientToken of a command's arguments, so that a rejection can carry it
// whatever else is wrong with them; "" when there is none that is acceptable.
func TokenOf(args []byte) string {
	var v struct {
		Token any `json:"clientToken"`
	}
	if json.Unmarshal(args, &v) != nil {
		return ""
	}
	token, _ := v.Token.(string)
	if len(token) > maxToken {
		return ""
	}
	return token
}

// findCommand looks a name up and says what is wrong with it.
func findCommand(name string, onChannel bool) (commandRow, *Error) {
	row, known := commands[name]
	switch {
	case !known && slices.Contains(laterCommands, name):
		return row, Errorf(CodeNotSupported, "the command %s is not available in this version", name)
	case !known:
		return row, Errorf(CodeNotFound, "there is no command %q; did you mean %s?", clip(name), nearestCommand(name))
	case row.deviceOnly && onChannel:
		return row, Errorf(CodeNotFound, "a channel has no command %s; send it to the device's topic, without the channel's ID", name)
	}
	return row, nil
}

// nearestCommand returns the known name that is spelt most like the unknown one.
func nearestCommand(unknown string) string {
	unknown = strings.ToLower(clip(unknown))
	var best string
	least := 0
	for _, name := range commandNames {
		if d := editDistance(unknown, name); best == "" || d < least {
			best, least = name, d
		}
	}
	return best
}

// editDistance counts the letters to insert, delete or replace to turn a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d++
			}
			diagonal = row[j+1]
			row[j+1] = min(d, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
