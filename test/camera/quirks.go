package camera

import (
	"fmt"
	"slices"
	"strings"
)

// Quirk is a way in which real devices differ from the standard.
type Quirk string

// The quirks that a device can be given.
const (
	// Encodings and XML.
	UTF8DeclaredGB2312 Quirk = "utf8-declared-gb2312"
	GBKDeclaredUTF8    Quirk = "gbk-declared-utf8"
	NoDeclaration      Quirk = "no-declaration"
	CutNames           Quirk = "cut-names"
	ControlBytes       Quirk = "control-bytes"
	Unescaped          Quirk = "unescaped"
	DoubledItemEnd     Quirk = "doubled-item-end"
	TrailingNUL        Quirk = "trailing-nul"
	LowerCaseTags      Quirk = "lower-case-tags"
	DeviceIDFirst      Quirk = "device-id-first"

	// SIP.
	NoContentType   Quirk = "no-content-type"
	NoContentLength Quirk = "no-content-length"
	BareHeaders     Quirk = "bare-headers"
	CompactHeaders  Quirk = "compact-headers"
	LFLineEnds      Quirk = "lf-line-ends"
	RouteItself     Quirk = "route-itself"
	ContactNowhere  Quirk = "contact-nowhere"
	FromItsAddress  Quirk = "from-its-address"
	NewBranch       Quirk = "new-branch"
	OtherPort       Quirk = "other-port"
	ToTag481        Quirk = "to-tag-481"
	NATNoise        Quirk = "nat-noise"

	// Registration and keepalives.
	NoExpires           Quirk = "no-expires"
	IgnoresQop          Quirk = "ignores-qop"
	NcAlways1           Quirk = "nc-always-1"
	NeedsAlgorithm      Quirk = "needs-algorithm"
	LastChallenge       Quirk = "last-challenge"
	OnlyKeepalives      Quirk = "only-keepalives"
	KeepaliveInfoStatus Quirk = "keepalive-info-status"
	KeepaliveNoBody     Quirk = "keepalive-no-body"
	KeepaliveOfChannel  Quirk = "keepalive-of-channel"

	// Answers.
	WrongSN        Quirk = "wrong-sn"
	NoResult       Quirk = "no-result"
	ResultWords    Quirk = "result-words"
	BodyIn200      Quirk = "body-in-200"
	AnswersAll     Quirk = "answers-all"
	NoSumNum       Quirk = "no-sumnum"
	SumNumMore     Quirk = "sumnum-more"
	SumNumZero     Quirk = "sumnum-zero"
	RepeatsPackets Quirk = "repeats-packets"
	ShufflesList   Quirk = "shuffles-list"
	LateList       Quirk = "late-list"
	SlowList       Quirk = "slow-list"
	StalledList    Quirk = "stalled-list"
	BrokenRecords  Quirk = "broken-records"
	OneRecordInfo  Quirk = "one-record-info"
	WantsType      Quirk = "wants-type"
	UnaskedCatalog Quirk = "unasked-catalog"
	ListsItself    Quirk = "lists-itself"
	StatusWords    Quirk = "status-words"
	Parental65535  Quirk = "parental-65535"
	ParentServer   Quirk = "parent-server"
	Placeholders   Quirk = "placeholders"
	Names2011      Quirk = "names-2011"

	// Notifications.
	NotifyAsMessage    Quirk = "notify-as-message"
	NotifyOutside      Quirk = "notify-outside"
	NotifyBare         Quirk = "notify-bare"
	NotifyResponse     Quirk = "notify-response"
	SubscribeNoExpires Quirk = "subscribe-no-expires"
	OneSubscription    Quirk = "one-subscription"
	SilentSubscription Quirk = "silent-subscription"
	EventLowerCase     Quirk = "event-lower-case"
	StatusNotEvent     Quirk = "status-not-event"
	NoFix              Quirk = "no-fix"
	TargetID           Quirk = "target-id"
	AlarmTypeOutside   Quirk = "alarm-type-outside"
	AlarmWords         Quirk = "alarm-words"
	RepeatsAlarm       Quirk = "repeats-alarm"

	// Functions.
	PTZUnknown          Quirk = "ptz-unknown"
	HomeCmdType         Quirk = "home-cmdtype"
	BasicOfDevice       Quirk = "basic-of-device"
	NonsenseHeartbeat   Quirk = "nonsense-heartbeat"
	RestartsOnConfig    Quirk = "restarts-on-config"
	ConfigOtherwise     Quirk = "config-otherwise"
	ConfigOneEach       Quirk = "config-one-each"
	SnapShotName        Quirk = "snapshot-name"
	AlarmOnlyGuarded    Quirk = "alarm-only-guarded"
	UnknownIsIgnored    Quirk = "unknown-ignored"
	UnknownIsError      Quirk = "unknown-error"
	UnknownIsBadRequest Quirk = "unknown-400"
)

// QuirkInfo tells what a Quirk is and who has been seen with it.
type QuirkInfo struct {
	Name Quirk
	Who  string // vendor, or "any"
	What string
}

// Quirks lists all of them, with who has been seen with each.
func Quirks() []QuirkInfo { return slices.Clone(quirks) }

var quirks = []QuirkInfo{
	{UTF8DeclaredGB2312, "phones, Linux-built devices, test tools", "bodies declare GB2312 and are UTF-8"},
	{GBKDeclaredUTF8, "any", "bodies declare UTF-8 and are GBK"},
	{NoDeclaration, "2011 devices", "bodies have no XML declaration"},
	{CutNames, "any", "names are cut after 32 bytes, within a character too"},
	{ControlBytes, "Hikvision", "control bytes in Address"},
	{Unescaped, "Hikvision", "unescaped < and & in Address"},
	{DoubledItemEnd, "lower platforms", "the last </Item> of a list comes twice"},
	{TrailingNUL, "lower platforms", "a NUL after the body"},
	{LowerCaseTags, "any", "all tags in lower case"},
	{DeviceIDFirst, "any", "DeviceID stands before CmdType"},

	{NoContentType, "any", "bodies without Content-Type"},
	{NoContentLength, "any", "UDP messages without Content-Length"},
	{BareHeaders, "any", "no rport, Max-Forwards, User-Agent, host in Call-ID"},
	{CompactHeaders, "any", "header names in their compact form"},
	{LFLineEnds, "any", "header lines end with LF alone"},
	{RouteItself, "any", "a Route header that names the device itself"},
	{ContactNowhere, "any", "Contact is 0.0.0.0, without the device's ID"},
	{FromItsAddress, "any", "From has the device's own address instead of the domain"},
	{NewBranch, "any", "retransmits with a new branch"},
	{OtherPort, "devices behind NAT", "Responses come from another UDP port"},
	{ToTag481, "Hikvision", "481 to a MESSAGE whose To has a tag"},
	{NATNoise, "any", "blank lines, a NUL or jaK before each keepalive, over UDP"},

	{NoExpires, "any", "REGISTER without Expires"},
	{IgnoresQop, "any", "digests without qop though it is offered"},
	{NcAlways1, "any", "nc=00000001 with each use of a nonce"},
	{NeedsAlgorithm, "Dahua", "does not answer a challenge without algorithm"},
	{LastChallenge, "any", "reads the last of several challenges alone"},
	{OnlyKeepalives, "lower platforms, Huaxia", "after a reboot sends keepalives and does not register"},
	{KeepaliveInfoStatus, "Hikvision", "the Status of a keepalive stands within Info"},
	{KeepaliveNoBody, "Dahua, proxies", "keepalives without a body"},
	{KeepaliveOfChannel, "any", "keepalives have a channel's DeviceID"},

	{WrongSN, "any", "answers have an SN of their own"},
	{NoResult, "any", "answers without Result"},
	{ResultWords, "any", "Result is Ok, or Failed"},
	{BodyIn200, "any", "a Response of one packet comes within the 200"},
	{AnswersAll, "any", "controls that need no Response get one"},
	{NoSumNum, "any", "lists without SumNum"},
	{SumNumMore, "any", "SumNum is one more than what comes"},
	{SumNumZero, "any", "SumNum is 0, with items"},
	{RepeatsPackets, "any", "each packet of a list comes twice, as two requests"},
	{ShufflesList, "any", "the packets of a list come in any order"},
	{LateList, "lower platforms", "the first packet of a Catalog comes after 11 s"},
	{SlowList, "Hikvision", "2 s between the packets of a RecordInfo"},
	{StalledList, "Hikvision", "RecordInfo stops after seven eighths of its packets"},
	{BrokenRecords, "Hikvision", "the XML of RecordInfo breaks off when it is asked for more than 12 h"},
	{OneRecordInfo, "Dahua recorders", "of two RecordInfo at a time one is answered"},
	{WantsType, "Dahua recorders", "RecordInfo without Type is not answered"},
	{UnaskedCatalog, "Tiandy", "a Catalog of one item with an old SN follows each Catalog"},
	{ListsItself, "any", "the Catalog has the device itself too"},
	{StatusWords, "Hikvision", "a channel's Status is ONLINE or OFFLINE"},
	{Parental65535, "Hikvision", "Parental is 65535"},
	{ParentServer, "Hikvision", "ParentID is the platform's"},
	{Placeholders, "Hikvision", "CivilCode, Owner and Address hold their own names"},
	{Names2011, "2011 devices", "DeviceInfo has DeviceType, MaxCamera, MaxAlarm; DeviceStatus has AlarmStatus"},

	{NotifyAsMessage, "any", "notifies by MESSAGE, subscribed or not"},
	{NotifyOutside, "any", "NOTIFY outside its dialog, with a Call-ID of its own and no tag on To"},
	{NotifyBare, "any", "NOTIFY without Event and Subscription-State"},
	{NotifyResponse, "any", "the root of what a NOTIFY carries is Response"},
	{SubscribeNoExpires, "any", "the 200 to a SUBSCRIBE has no Expires"},
	{OneSubscription, "any", "a SUBSCRIBE ends the subscription before, of another kind too"},
	{SilentSubscription, "Hikvision recorders", "grants subscriptions and notifies nothing"},
	{EventLowerCase, "any", "events of the catalogue in lower case"},
	{StatusNotEvent, "any", "a catalogue notification has Status instead of Event"},
	{NoFix, "mobile devices and apps", "positions have no coordinates"},
	{TargetID, "any", "a position's DeviceID is called TargetID"},
	{AlarmTypeOutside, "any", "AlarmType stands beside Info, not within"},
	{AlarmWords, "any", "AlarmPriority and AlarmMethod are words"},
	{RepeatsAlarm, "any", "an alarm is repeated each 2 s until the platform's Response, four times at most"},

	{PTZUnknown, "Hikvision", "PTZPosition and HomePositionQuery get Result ERROR and a Reason; PTZPreciseCtrl gets 200 and is not done"},
	{HomeCmdType, "Dahua", "HomePositionQuery is answered as HomePosition; HomePosition is not answered and not done"},
	{BasicOfDevice, "Dahua", "BasicParam with the device's ID alone"},
	{NonsenseHeartbeat, "any", "HeartBeatInterval is 0 and HeartBeatCount -1"},
	{RestartsOnConfig, "Uniview", "DeviceConfig is done, not answered, and restarts the device"},
	{ConfigOtherwise, "Uniview", "ConfigDownload answers with an element of another name"},
	{ConfigOneEach, "any", "ConfigDownload answers with a Response for each type"},
	{SnapShotName, "any", "ConfigDownload names SnapShotConfig SnapShot, as A.2.6.9 prints it"},
	{AlarmOnlyGuarded, "Hikvision", "alarms come only from what is guarded"},
	{UnknownIsIgnored, "any", "what it does not know gets 200 and no more"},
	{UnknownIsError, "any", "what it does not know gets Result ERROR"},
	{UnknownIsBadRequest, "any", "what it does not know gets 400"},
}

// has reports whether the device has a quirk.
func (c *Config) has(q Quirk) bool { return slices.Contains(c.Quirks, q) }

// quirky checks the quirks, and fills in what some of them stand for.
func (c *Config) quirky() error {
	c.Quirks = slices.Clone(c.Quirks)
	for _, q := range c.Quirks {
		if !slices.ContainsFunc(quirks, func(i QuirkInfo) bool { return i.Name == q }) {
			return fmt.Errorf("quirk %q is unknown; there are %s", q, quirkNames())
		}
	}
	c.Repeat = c.Repeat || c.has(RepeatsPackets)
	c.Shuffle = c.Shuffle || c.has(ShufflesList)
	for q, unknown := range map[Quirk]Unknown{UnknownIsIgnored: UnknownQuiet, UnknownIsError: UnknownError, UnknownIsBadRequest: Unknown400} {
		if c.has(q) {
			c.Unknown = unknown
		}
	}
	return nil
}

func quirkNames() string {
	names := make([]string, len(quirks))
	for i, q := range quirks {
		names[i] = string(q.Name)
	}
	return strings.Join(names, ", ")
}
