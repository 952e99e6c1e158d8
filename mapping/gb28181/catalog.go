package gb28181

import (
	"hash/maphash"
	"slices"
	"strings"
)

// Catalog is a packet of a device's list of channels, as an answer [GB28181-2022 A.2.6.7] or
// as a notification of changes, whose items have an Event [GB28181-2022 N.2].
type Catalog struct {
	SumNum int // of all packets; -1 when absent
	Num    int // of this packet, as it says; -1 when absent
	Items  []CatalogItem
}

// CatalogItem is one node of a device's tree.
type CatalogItem struct {
	DeviceID string
	Name     string
	Status   string // ON, OFF, … as sent; "" when absent
	Event    string // of a notification: ADD, UPDATE, DEL, ON, OFF, VLOST, DEFECT; "" in an answer
	ParentID string
	Element  *Element // all of its fields
}

func decodeCatalog(e *Element) *Catalog {
	list := e.Child("DeviceList")
	c := &Catalog{SumNum: orElse(e.Value("SumNum"), -1), Num: -1}
	if list == nil {
		return c
	}
	c.Num = orElse(list.Attr("Num"), -1)
	c.Items = make([]CatalogItem, 0, len(list.Children))
	notify := strings.EqualFold(e.Name, "Notify") // some notify with the root Response: their Event tells
	for _, item := range list.Children {
		if !strings.EqualFold(item.Name, "Item") {
			continue
		}
		i := CatalogItem{
			DeviceID: item.Value("DeviceID"), Name: item.Value("Name"), Status: item.Value("Status"),
			ParentID: item.Value("ParentID"), Element: item,
		}
		if event := item.Value("Event"); notify || event != "" {
			i.Event = itemEvent(event, i.Status)
		}
		c.Items = append(c.Items, i)
	}
	return c
}

// itemEvent heals the Event of a notified item: some spell it in lower case, some send Status
// in its place; without either it is an update.
func itemEvent(event, status string) string {
	if event == "" {
		event = status
	}
	switch event = strings.ToUpper(event); event {
	case "ADD", "UPDATE", "DEL", "ON", "OFF", "VLOST", "DEFECT":
		return event
	}
	return "UPDATE"
}

// itemSeed makes hashes that mean something within this process alone.
var itemSeed = maphash.MakeSeed()

// Hash tells what an item says, beside its ID, Status and Event, from what it would say
// otherwise; 0 where it says nothing else.
func (i CatalogItem) Hash() uint64 {
	if i.Element == nil {
		return 0
	}
	var h maphash.Hash
	h.SetSeed(itemSeed)
	says := false
	for _, c := range i.Element.Children {
		switch strings.ToLower(c.Name) {
		case "deviceid", "status", "event":
		default:
			says = true
			c.hash(&h)
		}
	}
	if !says {
		return 0
	}
	return max(h.Sum64(), 1)
}

func (e *Element) hash(h *maphash.Hash) {
	h.WriteString(e.Name)
	h.WriteByte(0)
	h.WriteString(e.Text)
	h.WriteByte(1)
	for _, c := range e.Children {
		c.hash(h)
	}
	h.WriteByte(2)
}

// Channels returns the items that are channels of device. Regions (short codes) and nodes
// of the tree (types 200-299: systems, business groups, virtual organisations) are none, unless
// their type is one of types, and the device itself is one only where nothing else is
// [GB28181-2022 Annex J].
func Channels(device string, items []CatalogItem, types ...string) []CatalogItem {
	channels := make([]CatalogItem, 0, len(items))
	var itself *CatalogItem
	for i, item := range items {
		id, err := ParseID(item.DeviceID)
		switch {
		case err != nil, id.Type()[0] == '2' && !slices.Contains(types, id.Type()):
		case item.DeviceID == device:
			itself = &items[i]
		default:
			channels = append(channels, item)
		}
	}
	if len(channels) == 0 && itself != nil {
		channels = append(channels, *itself)
	}
	return channels
}

// StatusOnline reads a channel's Status, or the Event that changes it. Hikvision recorders
// have ONLINE and OK for ON; a missing one counts as ON.
func StatusOnline(status string) bool {
	switch strings.ToUpper(strings.TrimSpace(status)) {
	case "OFF", "OFFLINE", "VLOST", "DEFECT", "ERROR", "DEL", "0", "FALSE":
		return false
	}
	return true
}
