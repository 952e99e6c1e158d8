package fleet

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// ChannelStatus is what a catalogue, or a notification about it, says of a channel.
type ChannelStatus struct {
	ID     gb28181.ID
	Status string // the device's own word
	Online bool   // what the word means
	Event  string // ON, OFF, VLOST, DEFECT, ADD, DEL or UPDATE [GB28181-2022 A.2.5.7]; "" in a catalogue
	Hash   uint64 // of what else its item says, so that what was told before is known again; 0: it says nothing
}

// Applied is what came of a catalogue, or of a part of one.
type Applied struct {
	Changes []ChannelChange // by ID
	Known   []bool          // by the places of the statuses: the item says what it said before
	Refused int             // channels beyond Config.MaxChannels
}

// Channel is a snapshot of what is known of a channel. It is kept as JSON.
type Channel struct {
	ID         gb28181.ID
	Status     string   // the device's own word
	Online     bool     // what the word means, whatever the device's presence
	Presence   Presence // of both together
	Reason     string   // of Presence
	VanishedAt time.Time
}

// ChannelChange is what a catalogue, or a notification about it, changed of a channel.
type ChannelChange struct {
	Channel  Channel
	Previous Channel // the zero Channel where it was not known
}

// Kept tells whether what must be known again after a restart has changed.
func (c ChannelChange) Kept() bool {
	is, was := c.Channel, c.Previous
	return is.ID != was.ID || is.Status != was.Status || is.Online != was.Online || !is.VanishedAt.Equal(was.VanishedAt)
}

// Counted tells whether the number of channels that are there has changed.
func (c ChannelChange) Counted() bool {
	there := func(ch Channel) bool { return !ch.ID.IsZero() && ch.VanishedAt.IsZero() }
	return there(c.Channel) != there(c.Previous)
}

// channel is what its device said of it.
type channel struct {
	status     string
	online     bool
	vanishedAt instant // 0: it is there
	item       uint64  // hash of what its item said last; 0: nothing that its shadow surely has
	debt       Debt    // to its shadow
}

// channelLocked is the channel as its device's presence makes it.
func (s *session) channelLocked(id gb28181.ID, ch *channel) Channel {
	c := Channel{ID: id, Status: ch.status, Online: ch.online, VanishedAt: ch.vanishedAt.time()}
	switch {
	case ch.vanishedAt != 0:
		c.Presence, c.Reason = Offline, ReasonVanished
	case s.presence != Online:
		c.Presence, c.Reason = s.presence, s.reason
	case !ch.online:
		c.Presence, c.Reason = Offline, ReasonStatus
	default:
		c.Presence, c.Reason = Online, s.reason
	}
	return c
}

// statusesAtOnce is how many statuses are taken over under one lock: a lower platform's whole
// catalogue must not hold up the other devices of its shard.
const statusesAtOnce = 1000

// ApplyCatalog takes over what device says of its channels and returns what that changes.
// complete tells that statuses are all there are: who is missing has vanished. Beyond
// Config.MaxChannels no channel is added.
func (f *Fleet) ApplyCatalog(device gb28181.ID, statuses []ChannelStatus, complete bool) Applied {
	a := Applied{Known: make([]bool, 0, len(statuses))}
	now := time.Now()
	sh := f.shardOf(device)
	for part := range slices.Chunk(statuses, statusesAtOnce) {
		sh.mu.Lock()
		s := sh.sessions.get(device)
		if s == nil {
			sh.mu.Unlock()
			return Applied{Known: make([]bool, len(statuses))}
		}
		if s.channels == nil {
			s.channels = make(map[gb28181.ID]*channel, len(statuses))
		}
		for _, status := range part {
			status.Status = f.words.one(status.Status)
			a.Changes = s.changeLocked(a.Changes, status.ID, func() {
				if !s.applyLocked(status, now, f.cfg.MaxChannels) {
					a.Refused++
				}
			})
			ch := s.channels[status.ID]
			a.Known = append(a.Known, ch == nil || status.Hash == 0 || ch.item == status.Hash)
			if ch != nil && status.Hash != 0 {
				ch.item = status.Hash
			}
		}
		sh.mu.Unlock()
	}
	if complete {
		a.Changes = f.vanish(a.Changes, sh, device, statuses, now)
	}
	slices.SortStableFunc(a.Changes, func(x, y ChannelChange) int { return bytes.Compare(x.Channel.ID[:], y.Channel.ID[:]) })
	return a
}

// ItemLost notes that a channel's shadow does not have what its item says: the next one counts
// as new.
func (f *Fleet) ItemLost(device, id gb28181.ID) {
	sh := f.shardOf(device)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s := sh.sessions.get(device); s != nil && s.channels[id] != nil {
		s.channels[id].item = 0
	}
}

// vanish marks the channels that are not among listed as gone.
func (f *Fleet) vanish(changes []ChannelChange, sh *shard, device gb28181.ID, listed []ChannelStatus, now time.Time) []ChannelChange {
	there := make(map[gb28181.ID]bool, len(listed))
	for _, status := range listed {
		there[status.ID] = true
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := sh.sessions.get(device)
	if s == nil {
		return changes
	}
	f.driveLocked(s, lifeCatalog)
	for id, ch := range s.channels {
		if !there[id] && ch.vanishedAt == 0 {
			changes = s.changeLocked(changes, id, func() { s.vanishLocked(ch, now) })
		}
	}
	return changes
}

// changeLocked adds to changes what change does to a channel.
func (s *session) changeLocked(changes []ChannelChange, id gb28181.ID, change func()) []ChannelChange {
	var c ChannelChange
	if ch := s.channels[id]; ch != nil {
		c.Previous = s.channelLocked(id, ch)
	}
	change()
	if ch := s.channels[id]; ch != nil {
		if c.Channel = s.channelLocked(id, ch); c.Channel != c.Previous {
			changes = append(changes, c)
		}
	}
	return changes
}

// applyLocked takes over one channel's status; false: it would be one more than most.
func (s *session) applyLocked(status ChannelStatus, now time.Time, most int) bool {
	ch := s.channels[status.ID]
	event := strings.ToUpper(strings.TrimSpace(status.Event))
	if event == "DEL" {
		if ch != nil && ch.vanishedAt == 0 {
			s.vanishLocked(ch, now)
		}
		return true
	}
	known := ch != nil
	if !known {
		if most > 0 && len(s.channels) >= most {
			return false
		}
		ch = new(channel)
		s.channels[status.ID] = ch
	}
	if !known || ch.vanishedAt != 0 {
		s.there++
	}
	ch.vanishedAt = 0
	switch {
	case event == "ON":
		ch.status, ch.online = event, true
	case event == "OFF" || event == "VLOST" || event == "DEFECT":
		ch.status, ch.online = event, false
	case event == "UPDATE" && status.Status == "" && known: // it says nothing of the status
	default:
		ch.status, ch.online = status.Status, status.Online
	}
	return true
}

// vanishLocked marks a channel that was there as gone from the catalogue.
func (s *session) vanishLocked(ch *channel, now time.Time) {
	ch.vanishedAt = instantOf(now)
	s.there--
}

// Channels returns the channels of device, those that have vanished too, by ID.
func (f *Fleet) Channels(device gb28181.ID) []Channel {
	sh := f.shardOf(device)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	s := sh.sessions.get(device)
	if s == nil || len(s.channels) == 0 {
		return nil
	}
	list := make([]Channel, 0, len(s.channels))
	for id, ch := range s.channels {
		list = append(list, s.channelLocked(id, ch))
	}
	slices.SortFunc(list, func(a, b Channel) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return list
}

// Channel returns one channel of device, and whether it is known.
func (f *Fleet) Channel(device, id gb28181.ID) (Channel, bool) {
	sh := f.shardOf(device)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	if s := sh.sessions.get(device); s != nil {
		if ch := s.channels[id]; ch != nil {
			return s.channelLocked(id, ch), true
		}
	}
	return Channel{}, false
}

// Vanished returns the channels of all devices that have been gone from their catalogue since
// before a time.
func (f *Fleet) Vanished(before time.Time) map[gb28181.ID][]gb28181.ID {
	gone := make(map[gb28181.ID][]gb28181.ID)
	for i := range f.shards {
		sh := &f.shards[i]
		sh.mu.RLock()
		for s := range sh.sessions.all() {
			if int(s.there) == len(s.channels) {
				continue
			}
			for id, ch := range s.channels {
				if ch.vanishedAt != 0 && ch.vanishedAt < instantOf(before) {
					gone[s.id] = append(gone[s.id], id)
				}
			}
		}
		sh.mu.RUnlock()
	}
	return gone
}

// ChannelPresence is what a channel's own status and its device's presence make together;
// Unknown for one that is not known.
func (f *Fleet) ChannelPresence(device, id gb28181.ID) (Presence, string) {
	c, _ := f.Channel(device, id)
	return c.Presence, c.Reason
}

// Forget drops a channel.
func (f *Fleet) Forget(device, id gb28181.ID) {
	sh := f.shardOf(device)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s := sh.sessions.get(device); s != nil {
		s.forgetLocked(id)
	}
}

// forgetLocked drops a channel, if it is known.
func (s *session) forgetLocked(id gb28181.ID) {
	if ch := s.channels[id]; ch != nil && ch.vanishedAt == 0 {
		s.there--
	}
	delete(s.channels, id)
}

// RestoreChannels takes over the channels that an earlier run kept, after Restore.
func (f *Fleet) RestoreChannels(device gb28181.ID, channels []Channel) {
	sh := f.shardOf(device)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := sh.sessions.get(device)
	if s == nil {
		return
	}
	if s.channels == nil {
		s.channels = make(map[gb28181.ID]*channel, len(channels))
	}
	for _, c := range channels {
		s.forgetLocked(c.ID)
		if c.VanishedAt.IsZero() {
			s.there++
		}
		s.channels[c.ID] = &channel{status: f.words.one(c.Status), online: c.Online, vanishedAt: instantOf(c.VanishedAt), debt: Restart}
	}
}
