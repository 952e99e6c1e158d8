package gb28181

import "strings"

// Keepalive is a device's periodic sign of life [GB28181-2022 A.2.5.2].
type Keepalive struct {
	Status string   // OK or ERROR as sent, "OK" where it is missing
	Faulty []string // IDs of the sub-devices that are out of order
}

// Well tells that the device says that nothing is wrong.
func (k *Keepalive) Well() bool { return strings.EqualFold(k.Status, "OK") && len(k.Faulty) == 0 }

func decodeKeepalive(e *Element) *Keepalive {
	k := &Keepalive{Status: e.Value("Status")}
	for _, info := range e.Children {
		if canonical(info.Name, []string{"Info"}) != "Info" {
			continue
		}
		if k.Status == "" {
			k.Status = info.Value("Status") // Hikvision puts it into Info
		}
		for _, c := range info.Children {
			if canonical(c.Name, []string{"DeviceID"}) == "DeviceID" && c.Text != "" {
				k.Faulty = append(k.Faulty, c.Text)
			}
		}
	}
	if k.Status == "" {
		k.Status = "OK"
	}
	return k
}
