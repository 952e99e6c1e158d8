package gb28181

// PresetQuery is the list of a channel's presets [GB28181-2022 A.2.6.10].
type PresetQuery struct {
	SumNum  int // -1 when absent
	Presets []PresetItem
}

// PresetItem is one stored position.
type PresetItem struct {
	ID   int // 1-255
	Name string
}

func decodePresets(e *Element) *PresetQuery {
	q := &PresetQuery{SumNum: orElse(e.Value("SumNum"), -1)}
	list := e.Child("PresetList")
	if list == nil {
		return q
	}
	for _, item := range list.Children {
		if id, ok := number(item.Value("PresetID")); ok {
			q.Presets = append(q.Presets, PresetItem{id, item.Value("PresetName")})
		}
	}
	return q
}
