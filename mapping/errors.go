package mapping

import "fmt"

// Error is a refusal as its reader gets it: on `rejected`, in `reported.errors`.
type Error struct {
	Code    int    // of the contract's table of codes
	Message string // names the thing, the value found and what to do
}

// Error returns the code and the message.
func (e *Error) Error() string { return fmt.Sprintf("%d: %s", e.Code, e.Message) }

// Errorf makes an Error of a code and a format.
func Errorf(code int, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// The codes of refusals.
const (
	CodeBadRequest   = 400 // an argument is missing, ill-typed or out of range
	CodeNotFound     = 404 // no such command, device or channel
	CodeTimeout      = 408 // the device did not answer in time
	CodeConflict     = 409 // in the wrong state
	CodeTooLarge     = 413
	CodeOverLimit    = 429 // the message names the limit
	CodeInternal     = 500 // a fault of the bridge
	CodeNotSupported = 501 // the device, or this version, can't
	CodeDeviceError  = 502 // the device answered with an error
	CodeUnavailable  = 503 // not online, no path, breaker open, or the bridge is stopping
)
