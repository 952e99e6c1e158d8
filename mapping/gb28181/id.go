// Package gb28181 holds the words of GB/T 28181: identifiers, MANSCDP bodies, PTZ
// commands and the text encodings they travel in. Bytes in, structs out; it does no I/O.
package gb28181

import "fmt"

// IDLength is the number of digits of a device, channel or platform identifier
// [GB28181-2022 E.1].
const IDLength = 20

// ID is the 20-digit identifier of a device, a channel or a platform. It is comparable
// and holds no pointer, so it can be a map key on the hot path without an allocation.
type ID [IDLength]byte

// ParseID reads s as an identifier: exactly 20 decimal digits, nothing else.
func ParseID[T ~string | ~[]byte](s T) (ID, error) {
	var id ID
	if len(s) != IDLength {
		return ID{}, fmt.Errorf("%q has %d characters; a GB/T 28181 ID has 20 digits", clip(string(s)), len(s))
	}
	for i := range IDLength {
		if s[i] < '0' || s[i] > '9' {
			return ID{}, fmt.Errorf("%q is not all digits; a GB/T 28181 ID has 20 digits", string(s))
		}
		id[i] = s[i]
	}
	return id, nil
}

// String returns the 20 digits, or "" for the zero ID.
func (id ID) String() string {
	if id == (ID{}) {
		return ""
	}
	return string(id[:])
}

// IsZero reports whether id was never set.
func (id ID) IsZero() bool { return id == ID{} }

// Type returns digits 11-13, which tell what the identified thing is
// [GB28181-2022 Table E.1].
func (id ID) Type() string { return string(id[10:13]) }

// clip shortens foreign text for an error message.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
