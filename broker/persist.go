package broker

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// SessionStore keeps what persistent sessions are owed, and what clients retain, over
// restarts and crashes.
type SessionStore interface {
	// Each calls fn for all entries in the order of their keys.
	Each(fn func(key string, value []byte) error) error
	// Put stores value and calls done (nil: nobody asks) once that will survive a crash, or
	// with the error; done must not block. Calls take effect in their order.
	Put(key string, value []byte, done func(error))
	// Remove forgets keys.
	Remove(keys []string, done func(error))
}

// sessionRecord is what is stored of a session beside its messages.
type sessionRecord struct {
	User    string                 `json:"user"`
	Version byte                   `json:"version"` // of MQTT: 3, 4, 5
	Expiry  uint32                 `json:"expiry"`  // seconds; of MQTT 5
	Subs    []packets.Subscription `json:"subs"`
}

// The kinds of entries, the first byte of their keys.
const (
	recordKey  = 'c'
	messageKey = 'm'
	keptKey    = 'r'
)

// persistence writes sessions to the store.
type persistence struct {
	SessionStore
	log *slog.Logger
}

func messageKeyOf(client string, seq uint64) string {
	b := binary.BigEndian.AppendUint16([]byte{messageKey}, uint16(len(client)))
	return string(binary.BigEndian.AppendUint64(append(b, client...), seq))
}

func (p *persistence) told(what, client string) func(error) {
	return func(err error) {
		if err != nil {
			p.log.Error("MQTT session not stored as it is", "what", what, "client", client, "err", err)
		}
	}
}

// put stores a message.
func (p *persistence) put(client string, d *delivery, stored func(error)) {
	raw, err := encodeDelivery(d.pk)
	if stored == nil {
		stored = p.told("message", client)
	}
	if err != nil {
		stored(err)
		return
	}
	p.Put(messageKeyOf(client, d.seq), raw, stored)
}

func (p *persistence) remove(client string, seq uint64) {
	p.Remove([]string{messageKeyOf(client, seq)}, p.told("acknowledgement", client))
}

func (p *persistence) saveRecord(client string, r sessionRecord) {
	raw, err := json.Marshal(r)
	if err != nil {
		p.told("session", client)(err)
		return
	}
	p.Put(string(recordKey)+client, raw, p.told("session", client))
}

// removeAll forgets a session and the messages given.
func (p *persistence) removeAll(client string, messages []*delivery) {
	keys := []string{string(recordKey) + client}
	for _, d := range messages {
		if d.seq != 0 {
			keys = append(keys, messageKeyOf(client, d.seq))
		}
	}
	for part := range slices.Chunk(keys, 128) {
		p.Remove(part, p.told("end", client))
	}
}

// encodeDelivery is a message as it is stored: when it expires (Unix seconds), then a
// PUBLISH of MQTT 5.
func encodeDelivery(pk packets.Packet) ([]byte, error) {
	pk.ProtocolVersion, pk.PacketID, pk.FixedHeader.Dup = 5, 1, false
	pk.Mods.AllowResponseInfo = true
	buf := bytes.NewBuffer(binary.BigEndian.AppendUint64(nil, uint64(pk.Expiry)))
	if err := pk.PublishEncode(buf); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

func decodeDelivery(raw []byte) (packets.Packet, error) {
	var pk packets.Packet
	if len(raw) < 10 {
		return pk, fmt.Errorf("a stored message has %d bytes", len(raw))
	}
	pk.Expiry = int64(binary.BigEndian.Uint64(raw))
	body := bytes.NewBuffer(raw[8:])
	first, err := body.ReadByte()
	if err != nil {
		return pk, err
	}
	if err := pk.FixedHeader.Decode(first); err != nil {
		return pk, err
	}
	if pk.FixedHeader.Remaining, _, err = packets.DecodeLength(body); err != nil {
		return pk, err
	}
	pk.ProtocolVersion = 5
	return pk, pk.PublishDecode(body.Bytes())
}

// keep stores what is retained on a topic, or with an empty payload that nothing is.
func (p *persistence) keep(pk packets.Packet, done func(error)) {
	key := string(keptKey) + pk.TopicName
	if len(pk.Payload) == 0 {
		p.Remove([]string{key}, done)
		return
	}
	raw, err := encodeDelivery(pk)
	if err != nil {
		done(err)
		return
	}
	p.Put(key, raw, done)
}

// load reads all sessions, and what is retained. What can't be read is passed over and told.
func (p *persistence) load() (records map[string]sessionRecord, messages map[string][]*delivery, retained []packets.Packet, err error) {
	records, messages = map[string]sessionRecord{}, map[string][]*delivery{}
	err = p.Each(func(key string, value []byte) error {
		switch {
		case key != "" && key[0] == recordKey:
			var r sessionRecord
			if err := json.Unmarshal(value, &r); err != nil {
				p.told("record", key[1:])(err)
				return nil
			}
			records[key[1:]] = r
		case len(key) >= 11 && key[0] == messageKey:
			client := key[3 : len(key)-8]
			pk, err := decodeDelivery(value)
			if err != nil {
				p.told("message", client)(err)
				return nil
			}
			messages[client] = append(messages[client], &delivery{
				pk: pk, seq: binary.BigEndian.Uint64([]byte(key[len(key)-8:])), size: len(pk.TopicName) + len(pk.Payload) + overhead,
			})
		case key != "" && key[0] == keptKey:
			pk, err := decodeDelivery(value)
			switch {
			case err != nil:
				p.told("retained message", key[1:])(err)
			case pk.Expiry > 0 && pk.Expiry <= time.Now().Unix():
				p.Remove([]string{key}, p.told("retained message", key[1:]))
			default:
				pk.FixedHeader.Retain = true
				retained = append(retained, pk)
			}
		}
		return nil
	})
	return records, messages, retained, err
}
