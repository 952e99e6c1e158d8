package store

import "encoding/binary"

// Kind is the first byte of every key: what the entry is. Its value is part of the format
// on the disk and never changes its meaning.
type Kind byte

// The kinds of entries.
const (
	KindMeta         Kind = 'm' // about the store itself: its format, one-off secrets
	KindDocument     Kind = 'd' // shadow documents, by thing and name
	KindTombstone    Kind = 't' // last versions of deleted shadows; expire
	KindHistory      Kind = 'h' // reported documents by millisecond
	KindRegistration Kind = 'r' // live registrations, by device
	KindChannels     Kind = 'c' // channel lists, by device
	KindNode         Kind = 'n' // nodes of devices' trees that are no channels, by device and ID
	KindOutbox       Kind = 'o' // messages that wait for a link, by sequence
	KindOutboxMark   Kind = 'O' // highest sequence given out, by link
	KindSession      Kind = 's' // sessions of MQTT clients and what waits for them, by client
	KindUpstream     Kind = 'u' // the cloud's desired state as last seen, by link, thing and name
)

// Key returns the binary key of kind with the parts behind it. Every part but the last has
// its length in front of it, so that no part can be mistaken for the beginning of another.
func Key(kind Kind, parts ...string) []byte {
	n := 1
	for _, p := range parts {
		n += 2 + len(p)
	}
	k := append(make([]byte, 0, n), byte(kind))
	for i, p := range parts {
		if i < len(parts)-1 {
			k = appendPart(k, p)
		} else {
			k = append(k, p...)
		}
	}
	return k
}

// Prefix returns what all keys of kind with these leading parts begin with.
func Prefix(kind Kind, parts ...string) []byte {
	k := []byte{byte(kind)}
	for _, p := range parts {
		k = appendPart(k, p)
	}
	return k
}

// CutPart takes the first part with its length off key, which begins behind the kind. ok is
// false when key does not begin with a whole part.
func CutPart(key []byte) (part string, rest []byte, ok bool) {
	if len(key) < 2 {
		return "", nil, false
	}
	n := int(binary.BigEndian.Uint16(key))
	if len(key) < 2+n {
		return "", nil, false
	}
	return string(key[2 : 2+n]), key[2+n:], true
}

func appendPart(k []byte, p string) []byte {
	k = binary.BigEndian.AppendUint16(k, uint16(len(p)))
	return append(k, p...)
}
