package mapping

import (
	"cmp"
	"slices"
	"strings"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// TreeItem is one item of a catalogue, as far as its place in the tree needs it.
type TreeItem struct {
	ID              string
	Name            string
	ParentID        string // one or more IDs joined by "/"
	CivilCode       string
	BusinessGroupID string
	Presence        string // of a channel; "" for what has none
}

// TreeNode is one node of the tree that a catalogue's items make.
type TreeNode struct {
	ID       string           `json:"id"`
	Kind     gb28181.NodeKind `json:"kind"`
	Name     string           `json:"name,omitempty"`
	Presence string           `json:"presence,omitempty"`
	Also     bool             `json:"also,omitempty"` // it is here too: its children are at its first place
	Children []*TreeNode      `json:"children,omitempty"`
}

// The bounds of the places of one item, and of the levels: what is told to be deeper stands
// below the device.
const (
	mostParents = 8
	mostDepth   = 32
)

// Tree puts items in their places below device [GB28181-2022 Annex J]. An item stands below
// each parent that its ParentID names and the catalogue has; one whose parents are the device
// or nobody that is known stands below its business group, else its region, else the device;
// groups and organisations stand below no region.
// What would be its own ancestor stands below the device.
func Tree(device string, items []TreeItem) *TreeNode {
	t := &tree{root: &TreeNode{ID: device, Kind: gb28181.KindOf(device)}, nodes: make(map[string]*TreeNode, len(items)+1)}
	t.nodes[device] = t.root
	kept := make([]TreeItem, 0, len(items))
	for _, item := range items {
		if item.ID == device {
			t.root.Name, t.root.Presence = item.Name, item.Presence
			continue
		}
		if _, twice := t.nodes[item.ID]; twice {
			continue
		}
		t.nodes[item.ID] = &TreeNode{ID: item.ID, Kind: gb28181.KindOf(item.ID), Name: item.Name, Presence: item.Presence}
		kept = append(kept, item)
	}
	places := make(map[string][]string, len(kept))
	for _, item := range kept {
		places[item.ID] = t.parents(item)
	}
	t.settle(kept, places)
	for _, item := range kept {
		node := t.nodes[item.ID]
		for i, parent := range places[item.ID] {
			if i > 0 {
				node = &TreeNode{ID: node.ID, Kind: node.Kind, Name: node.Name, Presence: node.Presence, Also: true}
			}
			t.nodes[parent].Children = append(t.nodes[parent].Children, node)
		}
	}
	for _, node := range t.nodes {
		slices.SortFunc(node.Children, compareNodes)
	}
	return t.root
}

type tree struct {
	root  *TreeNode
	nodes map[string]*TreeNode
}

// parents are the places of an item; the first is where its children are shown.
func (t *tree) parents(item TreeItem) []string {
	kind := gb28181.KindOf(item.ID)
	if kind == gb28181.NodeRegion { // regions have no ParentID: their codes nest
		return []string{t.regionAbove(item.ID)}
	}
	var known []string
	for id := range strings.SplitSeq(item.ParentID, "/") {
		id = strings.TrimSpace(id)
		if _, is := t.nodes[id]; is && id != item.ID && id != t.root.ID && !slices.Contains(known, id) && len(known) < mostParents {
			known = append(known, id)
		}
	}
	if len(known) > 0 {
		return known
	}
	if _, is := t.nodes[item.BusinessGroupID]; is && item.BusinessGroupID != item.ID && item.BusinessGroupID != "" {
		return []string{item.BusinessGroupID}
	}
	if kind == gb28181.NodeGroup || kind == gb28181.NodeOrganisation { // their parent is a system
		return []string{t.root.ID}
	}
	if _, is := t.nodes[item.CivilCode]; is && item.CivilCode != t.root.ID {
		return []string{item.CivilCode}
	}
	return []string{t.regionAbove(item.CivilCode)}
}

// regionAbove is the smallest region that holds a code, the root where none is listed.
func (t *tree) regionAbove(code string) string {
	for n := min(len(code)-1, 8); n >= 2; n-- {
		if _, is := t.nodes[code[:n]]; is {
			return code[:n]
		}
	}
	return t.root.ID
}

// settle gives every item a first place from which a way leads up to the root, in mostDepth
// steps at most.
func (t *tree) settle(items []TreeItem, places map[string][]string) {
	depth := map[string]int{t.root.ID: 0} // of those whose way is known
	var path []string
	for _, item := range items {
		path = path[:0]
		here := item.ID
		for ; ; here = places[here][0] {
			if d, known := depth[here]; known && d >= 0 {
				break
			} else if known { // the last one's way leads back to it
				places[path[len(path)-1]][0] = t.root.ID
				here = t.root.ID
				break
			}
			depth[here] = -1 // on the way
			path = append(path, here)
		}
		d := depth[here]
		for _, id := range slices.Backward(path) {
			if d++; d > mostDepth || places[id][0] == t.root.ID {
				places[id][0], d = t.root.ID, 1
			}
			depth[id] = d
		}
	}
}

// kindOrder is how the children of a node follow each other.
var kindOrder = map[gb28181.NodeKind]int{
	gb28181.NodeRegion: 1, gb28181.NodeSystem: 2, gb28181.NodeGroup: 3, gb28181.NodeOrganisation: 4, gb28181.NodeRecorder: 5, gb28181.NodeChannel: 6,
}

func compareNodes(a, b *TreeNode) int {
	return cmp.Or(cmp.Compare(kindOrder[a.Kind], kindOrder[b.Kind]), cmp.Compare(a.ID, b.ID))
}
