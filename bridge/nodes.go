package bridge

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/gb2mqtt/gb2mqtt/bridge/tree"
	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
	"github.com/gb2mqtt/gb2mqtt/shadowsync/store"
)

// What a catalogue lists beside channels is kept as the tree that they stand in: it has no
// shadow, no presence and no retained topic.

// keepNodes keeps what has changed of a device's tree.
func (b *Bridge) keepNodes(device gb28181.ID, c tree.Changes) {
	for part := range slices.Chunk(c.Set, channelsPerCommit) {
		batch := new(store.Batch)
		for _, n := range part {
			batch.Set(nodeKey(device, n.ID), mustJSON(n))
		}
		b.registrations.commitChannels(device, batch)
	}
	for part := range slices.Chunk(c.Gone, channelsPerCommit) {
		batch := new(store.Batch)
		for _, id := range part {
			batch.Delete(nodeKey(device, id))
		}
		b.registrations.commitChannels(device, batch)
	}
}

func nodeKey(device gb28181.ID, node string) []byte {
	return store.Key(store.KindNode, device.String(), node)
}

// restoreNodes gives the trees back what was kept of them.
func (b *Bridge) restoreNodes() error {
	nodes := make(map[gb28181.ID][]tree.Node)
	err := b.store.Scan(store.Prefix(store.KindNode), func(key, value []byte) bool {
		device, _, _ := store.CutPart(key[1:])
		id, err := gb28181.ParseID(device)
		var n tree.Node
		if err == nil {
			err = json.Unmarshal(value, &n)
		}
		if err != nil {
			b.log.Error("stored node of a tree skipped", "device", device, "err", err)
			return true
		}
		nodes[id] = append(nodes[id], n)
		return true
	})
	if err != nil {
		return fmt.Errorf("read trees: %w", err)
	}
	for device, list := range nodes {
		b.nodes.Restore(device, list)
	}
	return nil
}

// treeAnswer is the answer to the command tree: the nodes of a device, a page at a time.
func (b *Bridge) treeAnswer(device gb28181.ID, limit int, next string) (map[string]any, *mapping.Error) {
	offset := 0
	nodes := b.nodes.Nodes(device)
	if next != "" {
		var err error
		if offset, err = strconv.Atoi(next); err != nil || offset < 0 {
			return nil, mapping.Errorf(mapping.CodeNotFound, "next: %q is not known; ask again without it", next)
		}
		offset = min(offset, len(nodes))
	}
	page := nodes[offset:min(offset+limit, len(nodes))]
	list := make([]map[string]any, len(page))
	for i, n := range page {
		list[i] = withoutNil(map[string]any{
			"device_id": n.ID, "kind": string(gb28181.KindOf(n.ID)), "name": n.Name,
			"parent_id": n.ParentID, "civil_code": n.CivilCode, "business_group_id": n.BusinessGroupID,
		})
	}
	answer := map[string]any{"nodes": list}
	if end := offset + len(page); end < len(nodes) {
		answer["next"] = strconv.Itoa(end)
	}
	return answer, nil
}

// treeOf is the tree of a device with its first most channels.
func (b *Bridge) treeOf(device gb28181.ID, most int) *mapping.TreeNode {
	var items []mapping.TreeItem
	for _, n := range b.nodes.Nodes(device) {
		items = append(items, mapping.TreeItem{ID: n.ID, Name: n.Name, ParentID: n.ParentID, CivilCode: n.CivilCode, BusinessGroupID: n.BusinessGroupID})
	}
	channels := b.fleet.Channels(device)
	for _, ch := range channels[:min(len(channels), most)] {
		item := mapping.TreeItem{ID: ch.ID.String(), Presence: ch.Presence.String()}
		if doc, err := b.shadows.Get(channelThing(device, ch.ID)); err == nil {
			catalog, _ := doc.State.Reported["catalog"].(map[string]any)
			for key, to := range map[string]*string{
				"name": &item.Name, "parent_id": &item.ParentID, "civil_code": &item.CivilCode, "business_group_id": &item.BusinessGroupID,
			} {
				*to, _ = catalog[key].(string)
			}
		}
		items = append(items, item)
	}
	return mapping.Tree(device.String(), items)
}
