package fleet

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// A Record, and a Channel, is stored as a row of bytes: a million of them must be read within the seconds of a
// start. Numbers are varints, texts and addresses have their length before them.

// rowVersion is the first byte of a row. What begins with a brace is a row of JSON, as they
// were before.
const rowVersion = 1

// The bits of a row's second byte: of a Record, and of a Channel.
const (
	rowRegistered = 1 << iota
	rowAdopted
	rowSamePath // Path is that of the registration, and is not written

	rowOnline = 1
)

var errRow = errors.New("it ends before its time, or is of another version")

// MarshalBinary renders r as a row.
func (r Record) MarshalBinary() ([]byte, error) {
	g := &r.Registration
	flags := byte(0)
	set := func(bit byte, is bool) {
		if is {
			flags |= bit
		}
	}
	set(rowRegistered, r.Registered)
	set(rowAdopted, r.Adopted)
	set(rowSamePath, r.Path == g.Path)
	b := append(make([]byte, 0, 160), rowVersion, flags, byte(r.Presence), byte(r.Encoding))
	b = append(b, r.Device[:]...)
	for _, t := range []time.Time{g.At, g.ExpiresAt, r.Since, r.LastSeen} {
		b = appendTime(b, t)
	}
	b = binary.AppendVarint(b, int64(g.Expires))
	b = binary.AppendVarint(b, int64(r.Heartbeat.Interval))
	b = binary.AppendVarint(b, int64(r.Heartbeat.Misses))
	for _, text := range []string{g.UserAgent, g.GBVersion, r.Reason} {
		b = appendText(b, text)
	}
	b, err := appendPath(b, g.Path)
	if err == nil && r.Path != g.Path {
		b, err = appendPath(b, r.Path)
	}
	return b, err
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(b, 0)
	}
	return binary.AppendVarint(b, t.UnixNano())
}

func appendText[T string | []byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func appendPath(b []byte, p sip.Path) ([]byte, error) {
	b = append(b, byte(p.Network))
	for _, a := range []netip.AddrPort{p.Remote, p.Local} {
		text, err := a.MarshalBinary()
		if err != nil {
			return nil, err
		}
		b = appendText(b, text)
	}
	return binary.AppendUvarint(b, p.Conn), nil
}

// UnmarshalBinary reads what MarshalBinary wrote, or a row of JSON.
func (r *Record) UnmarshalBinary(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		return r.readJSON(b)
	}
	in := row{rest: b}
	if in.byte() != rowVersion {
		return fmt.Errorf("record: %w", errRow)
	}
	flags := in.byte()
	r.Registered, r.Adopted = flags&rowRegistered != 0, flags&rowAdopted != 0
	r.Presence, r.Encoding = Presence(in.byte()), gb28181.Encoding(in.byte())
	id, err := gb28181.ParseID(in.take(gb28181.IDLength))
	if err != nil {
		return fmt.Errorf("record: device: %w", err)
	}
	g := &r.Registration
	r.Device, g.Device = id, id
	g.At, g.ExpiresAt, r.Since, r.LastSeen = in.time(), in.time(), in.time(), in.time()
	g.Expires = int(in.varint())
	r.Heartbeat = Heartbeat{Interval: time.Duration(in.varint()), Misses: int(in.varint())}
	g.UserAgent, g.GBVersion, r.Reason = string(in.text()), string(in.text()), string(in.text())
	g.Path = in.path()
	if r.Path = g.Path; flags&rowSamePath == 0 {
		r.Path = in.path()
	}
	return r.check(in.failed)
}

func (r *Record) check(failed bool) error {
	switch {
	case failed:
		return fmt.Errorf("record of %s: %w", r.Device, errRow)
	case r.Presence > Offline:
		return fmt.Errorf("record of %s: presence %d is not known", r.Device, r.Presence)
	}
	return nil
}

// MarshalBinary renders what the device said of c as a row; Presence and Reason follow from it.
func (c Channel) MarshalBinary() ([]byte, error) {
	flags := byte(0)
	if c.Online {
		flags = rowOnline
	}
	b := append(make([]byte, 0, 48), rowVersion, flags)
	b = append(b, c.ID[:]...)
	return appendText(appendTime(b, c.VanishedAt), c.Status), nil
}

// UnmarshalBinary reads what MarshalBinary wrote, or a row of JSON.
func (c *Channel) UnmarshalBinary(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		return c.readJSON(b)
	}
	in := row{rest: b}
	if in.byte() != rowVersion {
		return fmt.Errorf("channel: %w", errRow)
	}
	flags := in.byte()
	id, err := gb28181.ParseID(in.take(gb28181.IDLength))
	if err != nil {
		return fmt.Errorf("channel: %w", err)
	}
	*c = Channel{ID: id, Online: flags&rowOnline != 0, VanishedAt: in.time(), Status: string(in.text())}
	if in.failed {
		return fmt.Errorf("channel %s: %w", id, errRow)
	}
	return nil
}

// row is what is left of one to be read. After a failure all that is read is zero.
type row struct {
	rest   []byte
	failed bool
}

func (r *row) take(n int) []byte {
	if r.failed || n < 0 || n > len(r.rest) {
		r.failed = true
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *row) byte() byte {
	if b := r.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (r *row) varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.failed = true
		return 0
	}
	r.take(n)
	return v
}

func (r *row) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.failed = true
		return 0
	}
	r.take(n)
	return v
}

func (r *row) time() time.Time {
	if n := r.varint(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

func (r *row) text() []byte { return r.take(int(min(r.uvarint(), 1<<20))) }

func (r *row) path() (p sip.Path) {
	p.Network = sip.Network(r.byte())
	for _, a := range []*netip.AddrPort{&p.Remote, &p.Local} {
		if a.UnmarshalBinary(r.text()) != nil {
			r.failed = true
		}
	}
	p.Conn = r.uvarint()
	return p
}

// readJSON reads a row as they were written before.
func (r *Record) readJSON(b []byte) error {
	var j struct {
		Device     string           `json:"device"`
		Registered bool             `json:"registered"`
		Adopted    bool             `json:"adopted"`
		At         time.Time        `json:"at"`
		Expires    int              `json:"expires"`
		ExpiresAt  time.Time        `json:"expires_at"`
		From       sip.Path         `json:"from"`
		UserAgent  string           `json:"user_agent"`
		GBVersion  string           `json:"gb_version"`
		Presence   Presence         `json:"presence"`
		Reason     string           `json:"reason"`
		Since      time.Time        `json:"since"`
		LastSeen   time.Time        `json:"last_seen"`
		Heartbeat  Heartbeat        `json:"heartbeat"`
		Encoding   gb28181.Encoding `json:"encoding"`
		Path       sip.Path         `json:"path"`
	}
	if err := json.Unmarshal(b, &j); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	id, err := gb28181.ParseID(j.Device)
	if err != nil {
		return fmt.Errorf("record: device: %w", err)
	}
	*r = Record{
		Device: id, Registered: j.Registered, Adopted: j.Adopted, Presence: j.Presence, Reason: j.Reason, Since: j.Since,
		LastSeen: j.LastSeen, Heartbeat: j.Heartbeat, Encoding: j.Encoding, Path: j.Path,
		Registration: Registration{
			Device: id, At: j.At, Expires: j.Expires, ExpiresAt: j.ExpiresAt, Path: j.From,
			UserAgent: j.UserAgent, GBVersion: j.GBVersion,
		},
	}
	return r.check(false)
}

func (c *Channel) readJSON(b []byte) error {
	var j struct {
		ID         string    `json:"id"`
		Status     string    `json:"status"`
		Online     bool      `json:"online"`
		VanishedAt time.Time `json:"vanished_at"`
	}
	if err := json.Unmarshal(b, &j); err != nil {
		return fmt.Errorf("channel: %w", err)
	}
	id, err := gb28181.ParseID(j.ID)
	if err != nil {
		return fmt.Errorf("channel: %w", err)
	}
	*c = Channel{ID: id, Status: j.Status, Online: j.Online, VanishedAt: j.VanishedAt}
	return nil
}
