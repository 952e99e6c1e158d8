package gb28181

import "strings"

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
