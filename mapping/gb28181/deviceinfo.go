package gb28181

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
