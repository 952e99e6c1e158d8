package shadowsync

import (
	"errors"
	"slices"
	"unicode/utf8"
)

// Error is a refusal as it is told on rejected. [device-shadow 9]
type Error struct {
	Code    int
	Message string
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// The refusals that have no details.
var (
	errNoState      = &Error{400, "Missing required node: state"}
	errStateNode    = &Error{400, "State node must be an object"}
	errDesiredNode  = &Error{400, "Desired node must be an object"}
	errReportedNode = &Error{400, "Reported node must be an object"}
	errVersion      = &Error{400, "Invalid version"}
	errToken        = &Error{400, "Invalid clientToken"}
	errNesting      = &Error{400, "JSON contains too many levels of nesting; maximum is 6"}
	errForbidden    = &Error{403, "Forbidden"}
	errNoThing      = &Error{404, "Thing not found"}
	errConflict     = &Error{409, "Version conflict"}
	errTooLarge     = &Error{413, "The payload exceeds the maximum size allowed"}
	errEncoding     = &Error{415, "Unsupported documented encoding; supported encoding is UTF-8"}
	errInternal     = &Error{500, "Internal service failure"}
)

// Limits of a request. [device-shadow 8]
const (
	maxToken   = 64        // bytes
	maxLevel   = 6         // containers with something in them, the section itself being the first
	maxPayload = 128 << 10 // bytes
)

// request is what a client asks.
type request struct {
	token             string // empty: none
	desired, reported section
	stateNull         bool // "state": null: both sections are to go
	version           int64
	hasVersion        bool
}

// parseRequest reads the payload of an update and makes the checks that need no document, in
// their order. The token is there with an error too when it is usable.
func parseRequest(payload []byte, mayReport bool) (r request, refused *Error) {
	if len(payload) > maxPayload {
		return r, errTooLarge
	}
	if !utf8.Valid(payload) {
		return r, errEncoding
	}
	v, err := parseJSON(payload)
	if errors.Is(err, errTooDeep) {
		return r, errNesting
	}
	if err != nil {
		return r, &Error{400, "Invalid JSON: " + err.Error()}
	}
	root, is := v.(map[string]any)
	if !is {
		return r, &Error{400, "Invalid JSON: not an object"}
	}
	state, hasState := root["state"]
	sections, _ := state.(map[string]any)
	deep, null := inspect(sections, 0)
	if null {
		refused = &Error{400, "Invalid JSON: an array may not hold null"}
	}
	token, tokenRefused := tokenOf(root)
	r.token = token
	if refused != nil {
		return r, refused
	}
	if tokenRefused != nil {
		return r, tokenRefused
	}
	if refused := r.parseState(state, hasState); refused != nil {
		return r, refused
	}
	if deep {
		return r, errNesting
	}
	if r.reported.given && !r.stateNull && !mayReport {
		return r, errForbidden
	}
	if given, has := root["version"]; has {
		r.hasVersion = true
		if r.version, is = wholeNumber(given); !is {
			return r, errVersion
		}
	}
	return r, nil
}

// parseState reads the sections of a request.
func (r *request) parseState(state any, has bool) *Error {
	if !has {
		return errNoState
	}
	if state == nil {
		r.stateNull = true
		r.desired.given, r.reported.given = true, true
		return nil
	}
	sections, is := state.(map[string]any)
	if !is {
		return errStateNode
	}
	if refused := r.desired.parse(sections, "desired", errDesiredNode); refused != nil {
		return refused
	}
	if refused := r.reported.parse(sections, "reported", errReportedNode); refused != nil {
		return refused
	}
	var invalid []string
	for key := range sections {
		if key != "desired" && key != "reported" {
			invalid = append(invalid, key)
		}
	}
	if len(invalid) > 0 {
		return &Error{400, "State contains an invalid node: '" + slices.Min(invalid) + "'"}
	}
	return nil
}

func (s *section) parse(sections map[string]any, name string, wrong *Error) *Error {
	v, has := sections[name]
	if !has {
		return nil
	}
	object, is := v.(map[string]any)
	if v != nil && !is {
		return wrong
	}
	*s = section{given: true, object: object}
	return nil
}

// inspect walks the container v, which is at level: deep tells that a container with
// something in it lies too deep, null that an array holds null at any depth.
func inspect(v any, level int) (deep, null bool) {
	return inspectIn(v, level, false)
}

func inspectIn(v any, level int, inArray bool) (deep, null bool) {
	switch v := v.(type) {
	case nil:
		return false, inArray
	case map[string]any:
		deep = len(v) > 0 && level > maxLevel
		for _, e := range v {
			d, n := inspectIn(e, level+1, inArray)
			deep, null = deep || d, null || n
		}
	case []any:
		deep = len(v) > 0 && level > maxLevel
		for _, e := range v {
			d, n := inspectIn(e, level+1, true)
			deep, null = deep || d, null || n
		}
	}
	return deep, null
}

// tokenOf returns the token of a request, "" when it has none. [device-shadow 3.8]
func tokenOf(root map[string]any) (string, *Error) {
	v, has := root["clientToken"]
	if !has {
		return "", nil
	}
	token, is := v.(string)
	if !is || len(token) > maxToken {
		return "", errToken
	}
	return token, nil
}

// parseBare reads the payload of get and delete: a token, if there is one. What else is in
// it, and what is no JSON, is ignored. [device-shadow 14.7]
func parseBare(payload []byte) (token string, refused *Error) {
	if len(payload) == 0 {
		return "", nil
	}
	if len(payload) > maxPayload {
		return "", errTooLarge
	}
	if !utf8.Valid(payload) {
		return "", nil
	}
	v, err := parseJSON(payload)
	if err != nil {
		return "", nil
	}
	root, _ := v.(map[string]any)
	return tokenOf(root)
}
