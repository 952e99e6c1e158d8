package camera

import "slices"

// The editions of GB/T 28181 that a device may be of. A device of none knows the words of
// both, and shows no version.
const (
	Edition2016 = "2016"
	Edition2022 = "2022"
)

// since2022 are the CmdTypes, Control elements and ConfigTypes that the 2022 edition added.
var since2022 = []string{
	"HomePositionQuery", "CruiseTrackListQuery", "CruiseTrackQuery", "PTZPosition", "SDCardStatus",
	"IFrameCmd", "PTZPreciseCtrl", "DeviceUpgrade", "FormatSDCard", "TargetTrack",
	"VideoParamAttribute", "VideoRecordPlan", "VideoAlarmRecord", "PictureMask", "FrameMirror", "AlarmReport",
	"OSDConfig", "SnapShotConfig",
}

// until2016 are those that it took away: the misspelt key frame, the Alarm query that is no
// subscription.
var until2016 = []string{"IFameCmd", "Alarm"}

// understands reports whether a CmdType, Control element or ConfigType is one of the device's
// edition.
func (c *Config) understands(word string) bool {
	switch c.Edition {
	case Edition2016:
		return !slices.Contains(since2022, word)
	case Edition2022:
		return !slices.Contains(until2016, word)
	}
	return true
}

// ofEdition fills what was left out with what devices of the edition do: 2016 has no
// X-GB-Ver and GB 2312, and answers what it does not know with 400; 2022 shows 3.0 and
// writes GB 18030 [GB28181-2022 6.10, Annex I].
func (c *Config) ofEdition() {
	switch c.Edition {
	case Edition2016:
		orDefault(&c.Encoding, "gb2312")
		orDefault(&c.Unknown, Unknown400)
	case Edition2022:
		orDefault(&c.Encoding, "gb18030")
		orDefault(&c.GBVersion, "3.0")
	}
	orDefault(&c.Encoding, "gb2312")
	orDefault(&c.Unknown, UnknownError)
}
