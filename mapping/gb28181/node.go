package gb28181

// NodeKind is what an item of a catalogue is [GB28181-2022 E.1, Annex J].
type NodeKind string

// The kinds of items. All but recorders and channels are nodes of the tree and nothing else:
// they have no picture, and their items have no Status that says anything.
const (
	NodeRegion       NodeKind = "region"               // an administrative division: 2, 4, 6 or 8 digits
	NodeSystem       NodeKind = "system"               // a platform, or a part of one: 200 to 299
	NodeGroup        NodeKind = "business_group"       // 215
	NodeOrganisation NodeKind = "virtual_organisation" // 216
	NodeRecorder     NodeKind = "recorder"             // a device that may have channels: 111 to 130
	NodeChannel      NodeKind = "channel"
)

// KindOf tells what an item is by its ID; "" for what is no ID.
func KindOf(id string) NodeKind {
	switch len(id) {
	case 2, 4, 6, 8:
		if digits([]byte(id)) {
			return NodeRegion
		}
		return ""
	}
	parsed, err := ParseID(id)
	if err != nil {
		return ""
	}
	switch kind := parsed.Type(); {
	case kind == "215":
		return NodeGroup
	case kind == "216":
		return NodeOrganisation
	case kind[0] == '2':
		return NodeSystem
	case kind >= "111" && kind <= "130":
		return NodeRecorder
	}
	return NodeChannel
}
