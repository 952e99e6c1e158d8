// Package tree keeps the nodes of devices' catalogues that are no channels: the regions,
// systems, business groups and virtual organisations that channels stand below.
//
//	Catalog packet ──▶ Apply  ──┬─▶ Table ──▶ Nodes: console, command tree
//	whole catalogue ─▶ Retain ──┘─▶ Changes: rows for the store
//
// A device without such nodes costs nothing. No node has a presence: they are where cameras
// are, and none.
package tree

import (
	"cmp"
	"slices"
	"sync"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// Node is a node of a device's tree. It is kept as JSON.
type Node struct {
	ID              string `json:"id"`
	Name            string `json:"name,omitempty"`
	ParentID        string `json:"parent_id,omitempty"`
	CivilCode       string `json:"civil_code,omitempty"`
	BusinessGroupID string `json:"business_group_id,omitempty"`
}

// textMost bounds each text of a node.
const textMost = 256

// NodeOf reads an item of a catalogue as a node; false for a channel and for what is nothing.
// channelTypes are types of nodes (200 to 299) that are channels of this device all the same.
func NodeOf(item gb28181.CatalogItem, channelTypes []string) (Node, bool) {
	switch gb28181.KindOf(item.DeviceID) {
	case gb28181.NodeRegion:
	case gb28181.NodeSystem, gb28181.NodeGroup, gb28181.NodeOrganisation:
		if slices.Contains(channelTypes, item.DeviceID[10:13]) {
			return Node{}, false
		}
	default:
		return Node{}, false
	}
	n := Node{ID: item.DeviceID, Name: item.Name, ParentID: item.ParentID}
	if item.Element != nil {
		n.CivilCode, n.BusinessGroupID = item.Element.Value("CivilCode"), item.Element.Value("BusinessGroupID")
		if info := item.Element.Child("Info"); info != nil && n.BusinessGroupID == "" {
			n.BusinessGroupID = info.Value("BusinessGroupID") // where 2016 has it
		}
	}
	for _, text := range []*string{&n.Name, &n.ParentID, &n.CivilCode, &n.BusinessGroupID} {
		*text = clip(*text)
	}
	return n, true
}

// clip shortens foreign text, not within a letter.
func clip(s string) string {
	if len(s) <= textMost {
		return s
	}
	end := textMost
	for end > 0 && s[end]&0xC0 == 0x80 {
		end--
	}
	return s[:end]
}

// Changes are the rows of a device that are to be kept anew, and those that are no more.
type Changes struct {
	Set  []Node
	Gone []string
}

// Table has the nodes of all devices.
type Table struct {
	most int // nodes of one device

	mu      sync.RWMutex // guards devices
	devices map[gb28181.ID]map[string]Node
}

// New returns an empty Table that takes most nodes of a device.
func New(most int) *Table { return &Table{most: most, devices: make(map[gb28181.ID]map[string]Node)} }

// Apply takes over what a part of a catalogue says of a device's nodes.
func (t *Table) Apply(device gb28181.ID, items []gb28181.CatalogItem, channelTypes []string) Changes {
	var c Changes
	t.mu.Lock()
	defer t.mu.Unlock()
	nodes := t.devices[device]
	for _, item := range items {
		n, is := NodeOf(item, channelTypes)
		if !is {
			continue
		}
		was, known := nodes[n.ID]
		switch {
		case item.Event == "DEL":
			if known {
				delete(nodes, n.ID)
				c.Gone = append(c.Gone, n.ID)
			}
			continue
		case item.Event != "" && item.Name == "": // ON, OFF: they have no presence
			continue
		case !known && len(nodes) >= t.most:
			continue
		}
		if n == was {
			continue
		}
		if nodes == nil {
			nodes = make(map[string]Node)
			t.devices[device] = nodes
		}
		nodes[n.ID] = n
		c.Set = append(c.Set, n)
	}
	t.dropEmptyLocked(device)
	return c
}

// Retain forgets the nodes of a device that its whole catalogue does not list.
func (t *Table) Retain(device gb28181.ID, listed func(id string) bool) Changes {
	var c Changes
	t.mu.Lock()
	defer t.mu.Unlock()
	for id := range t.devices[device] {
		if !listed(id) {
			delete(t.devices[device], id)
			c.Gone = append(c.Gone, id)
		}
	}
	t.dropEmptyLocked(device)
	return c
}

func (t *Table) dropEmptyLocked(device gb28181.ID) {
	if len(t.devices[device]) == 0 {
		delete(t.devices, device)
	}
}

// Restore takes over what an earlier run kept.
func (t *Table) Restore(device gb28181.ID, nodes []Node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := make(map[string]Node, len(nodes))
	for _, n := range nodes {
		kept[n.ID] = n
	}
	t.devices[device] = kept
}

// Nodes returns the nodes of a device, by ID.
func (t *Table) Nodes(device gb28181.ID) []Node {
	t.mu.RLock()
	defer t.mu.RUnlock()
	nodes := make([]Node, 0, len(t.devices[device]))
	for _, n := range t.devices[device] {
		nodes = append(nodes, n)
	}
	slices.SortFunc(nodes, func(a, b Node) int { return cmp.Compare(a.ID, b.ID) })
	return nodes
}
