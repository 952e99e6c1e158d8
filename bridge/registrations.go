package bridge

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
	"github.com/gb2mqtt/gb2mqtt/shadowsync/store"
)

// What keeps the rows of a storm, and of a large catalogue, within one transaction of the store.
const (
	recordsPerCommit  = 1000
	channelsPerCommit = 1000
)

// registrations keeps in the store what the fleet must know again after a restart: who is
// registered how, and which channels each device has, a row each.
type registrations struct {
	store *store.Store
	log   *slog.Logger
}

// save keeps records. It does not wait: a registration that a crash takes away costs its
// camera one REGISTER more.
func (r *registrations) save(records []fleet.Record) {
	for part := range slices.Chunk(records, recordsPerCommit) {
		batch := new(store.Batch)
		for _, rec := range part {
			row, err := rec.MarshalBinary()
			if err != nil {
				r.log.Error("registration not stored", "device", rec.Device, "err", err)
				continue
			}
			batch.Set(store.Key(store.KindRegistration, rec.Device.String()), row)
		}
		r.store.Insist(batch, func(err error) {
			r.log.Error("registrations not stored; they live in memory until the store takes them", "devices", len(part), "err", err)
		})
	}
}

// saveChannels keeps the channels of a device that have changed.
func (r *registrations) saveChannels(device gb28181.ID, channels []fleet.Channel) {
	for part := range slices.Chunk(channels, channelsPerCommit) {
		batch := new(store.Batch)
		for _, ch := range part {
			row, err := ch.MarshalBinary()
			if err != nil {
				r.log.Error("channel not stored", "device", device, "channel", ch.ID, "err", err)
				continue
			}
			batch.Set(channelKey(device, ch.ID), row)
		}
		r.commitChannels(device, batch)
	}
}

// forgetChannels removes channels for good.
func (r *registrations) forgetChannels(device gb28181.ID, channels []gb28181.ID) {
	for part := range slices.Chunk(channels, channelsPerCommit) {
		batch := new(store.Batch)
		for _, ch := range part {
			batch.Delete(channelKey(device, ch))
		}
		r.commitChannels(device, batch)
	}
}

func (r *registrations) commitChannels(device gb28181.ID, batch *store.Batch) {
	r.store.Insist(batch, func(err error) {
		r.log.Error("channels not stored; they live in memory until the store takes them", "device", device, "err", err)
	})
}

func channelKey(device, channel gb28181.ID) []byte {
	return store.Key(store.KindChannels, device.String(), channel.String())
}

// load hands over all that was kept, part by part: to records first, and then to channels, one
// device after the other. What can't be read costs its own device only: it registers again.
func (r *registrations) load(records func([]fleet.Record), channels func(gb28181.ID, []fleet.Channel)) error {
	part := make([]fleet.Record, 0, recordsPerCommit)
	err := r.store.Scan(store.Prefix(store.KindRegistration), func(key, value []byte) bool {
		var rec fleet.Record
		if err := rec.UnmarshalBinary(value); err != nil {
			r.log.Error("stored registration skipped", "device", string(key[1:]), "err", err)
			return true
		}
		if part = append(part, rec); len(part) == cap(part) {
			records(part)
			part = part[:0]
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("read registrations: %w", err)
	}
	records(part)
	return r.loadChannels(channels)
}

func (r *registrations) loadChannels(channels func(gb28181.ID, []fleet.Channel)) error {
	var device gb28181.ID
	var list []fleet.Channel
	err := r.store.Scan(store.Prefix(store.KindChannels), func(key, value []byte) bool {
		name, _, _ := store.CutPart(key[1:])
		id, err := gb28181.ParseID(name)
		var ch fleet.Channel
		if err == nil {
			err = ch.UnmarshalBinary(value)
		}
		if err != nil {
			r.log.Error("stored channel skipped", "device", name, "err", err)
			return true
		}
		if id != device && len(list) > 0 {
			channels(device, list)
			list = list[:0]
		}
		device, list = id, append(list, ch)
		return true
	})
	if err != nil {
		return fmt.Errorf("read channels: %w", err)
	}
	if len(list) > 0 {
		channels(device, list)
	}
	return nil
}
