package gb28181

import "strings"

// DeviceInfo tells what a device is [GB28181-2022 A.2.6.5].
type DeviceInfo struct {
	Name, Manufacturer, Model, Firmware string
	Channels                            int // -1 when absent
}

func decodeDeviceInfo(e *Element) *DeviceInfo {
	return &DeviceInfo{
		Name: e.Value("DeviceName"), Manufacturer: e.Value("Manufacturer"), Model: e.Value("Model"),
		Firmware: e.Value("Firmware"),                         // FirmWare on devices of 2011
		Channels: orElse(e.Value("Channel", "MaxCamera"), -1), // MaxCamera: 2011
	}
}

// DeviceStatus tells how a device or a channel is [GB28181-2022 A.2.6.6].
type DeviceStatus struct {
	Online, Status, Encode, Record string // the device's words; "" when absent
	Duties                         []Duty
}

// Duty is the state of an alarm input.
type Duty struct {
	DeviceID string
	Status   string // ONDUTY (guarded), OFFDUTY, ALARM
}

func decodeDeviceStatus(e *Element) *DeviceStatus {
	s := &DeviceStatus{
		Online: e.Value("Online"), Status: e.Value("Status"), Encode: e.Value("Encode"), Record: e.Value("Record"),
	}
	if list := e.Child("Alarmstatus"); list != nil { // the standard's spelling; AlarmStatus occurs
		for _, item := range list.Children {
			if word := strings.ToUpper(item.Value("DutyStatus")); word != "" {
				s.Duties = append(s.Duties, Duty{item.Value("DeviceID"), word})
			}
		}
	}
	return s
}

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

// ControlResponse is the answer to DeviceControl and DeviceConfig [GB28181-2022 A.2.6.2];
// Message.Refused reads it.
type ControlResponse struct {
	Result, Reason string
}

func decodeControlResponse(e *Element) *ControlResponse {
	return &ControlResponse{e.Value("Result"), e.Value("Reason")}
}
