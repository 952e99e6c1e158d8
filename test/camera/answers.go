package camera

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// queries returns what answers a Query, nil when its CmdType is unknown.
func (d *Device) queries(r *Request) func() {
	answer := map[string]func(*Request){
		"Catalog":              d.answerCatalog,
		"DeviceInfo":           d.answerInfo,
		"DeviceStatus":         d.answerStatus,
		"RecordInfo":           d.answerRecords,
		"Alarm":                d.answerAlarm,
		"ConfigDownload":       d.answerConfig,
		"PresetQuery":          d.answerPresets,
		"MobilePosition":       d.answerPlace,
		"HomePositionQuery":    d.answerHome,
		"CruiseTrackListQuery": d.answerTracks,
		"CruiseTrackQuery":     d.answerTrack,
		"PTZPosition":          d.answerPosition,
		"SDCardStatus":         d.answerCards,
	}[r.CmdType]
	switch {
	case answer == nil || !d.cfg.understands(r.CmdType):
		return nil
	case d.refuses(r.CmdType):
		return func() { d.respond(r, tag("Result", "ERROR")) }
	}
	return func() { answer(r) }
}

// refuses asks Config.Refuse.
func (d *Device) refuses(cmd string) bool { return d.cfg.Refuse != nil && d.cfg.Refuse(cmd) }

// respond sends one Response to r.
func (d *Device) respond(r *Request, rest ...string) {
	packet := frame("Response", r.CmdType, r.SN, r.DeviceID, rest...)
	if r.inside && !r.answered {
		r.answerWith(200, d.encode(packet))
		return
	}
	d.respondAll([]string{packet})
}

// respondAll sends the packets of one answer.
func (d *Device) respondAll(packets []string) { d.respondPaced(packets, 0, func() {}) }

// respondPaced sends the packets of one answer, each some time after the 200 of the one
// before [GB28181-2022 M.1], and calls done. When one stays unanswered the rest is not sent.
func (d *Device) respondPaced(packets []string, pause time.Duration, done func()) {
	var next func(i int)
	next = func(i int) {
		if i == len(packets) {
			done()
			return
		}
		o := outgoing{method: "MESSAGE", kind: KindResponse, body: d.encode(packets[i])}
		d.begin(o, func(r reply) {
			switch {
			case r.err != nil:
				done()
			case pause > 0 && i+1 < len(packets):
				d.clock.after(pause, func() { next(i + 1) })
			default:
				next(i + 1)
			}
		})
	}
	if d.cfg.ResponseDelay > 0 {
		d.clock.after(d.cfg.ResponseDelay, func() { next(0) })
		return
	}
	next(0)
}

func (d *Device) answerCatalog(r *Request) {
	channels := d.channels()
	items := make([]string, len(channels))
	for i, c := range channels {
		items[i] = d.item(c)
	}
	if d.cfg.has(ListsItself) {
		items = append(items, group("Item", tag("DeviceID", d.cfg.ID), tag("Name", d.name()), tag("Manufacturer", d.cfg.Manufacturer),
			tag("Model", d.cfg.Model), tag("Parental", "1"), tag("ParentID", d.cfg.ServerID), tag("Status", "ON")))
	}
	packets := d.pages(r, "DeviceList", items, d.cfg.CatalogPerPacket)
	send := func() {
		d.respondPaced(packets, 0, func() {
			if d.cfg.has(UnaskedCatalog) && len(items) > 0 {
				d.respondAll([]string{frame("Response", "Catalog", "1", r.DeviceID, counted("DeviceList", items[:1])...)})
			}
		})
	}
	if d.cfg.has(LateList) {
		d.clock.after(lateAfter, send)
		return
	}
	send()
}

// pages cuts a list into the packets of one answer, which all have the same SN and SumNum;
// before stands ahead of SumNum in each [GB28181-2022 Annex M].
func (d *Device) pages(r *Request, list string, items []string, perPacket int, before ...string) []string {
	sum := len(items)
	if d.cfg.LieSumNum > 0 {
		sum = d.cfg.LieSumNum
	}
	head := strings.Join(before, "") + "<SumNum>" + strconv.Itoa(sum) + "</SumNum>\r\n"
	if len(items) == 0 { // nothing found: SumNum 0 and no list
		return []string{frame("Response", r.CmdType, r.SN, r.DeviceID, head)}
	}
	var packets []string
	for page := range slices.Chunk(items, perPacket) {
		packet := frame("Response", r.CmdType, r.SN, r.DeviceID, head, numbered(list, page))
		packets = append(packets, packet)
		if d.cfg.Repeat {
			packets = append(packets, packet)
		}
	}
	if d.cfg.Shuffle {
		rand.Shuffle(len(packets), func(i, j int) { packets[i], packets[j] = packets[j], packets[i] })
	}
	return packets
}

// item is one channel of the Catalog [GB28181-2022 A.2.1.9].
func (d *Device) item(c Channel) string {
	if len(c.ID) <= 8 { // a region has a name and no more [GB28181-2022 J]
		return "<Item>\r\n" + tag("DeviceID", c.ID) + tag("Name", c.Name) + "</Item>\r\n"
	}
	civil, parent, parental := cmp.Or(c.CivilCode, c.ID[:6]), cmp.Or(c.Parent, d.cfg.ID), "0"
	if c.Parental {
		parental = "1"
	}
	switch c.kind() {
	case "215": // a business group: its parent is a system
		return group("Item", tag("DeviceID", c.ID)+tag("Name", c.Name)+tag("CivilCode", civil)+tag("ParentID", parent))
	case "216": // a virtual organisation: it has a parent only where that is another one
		return group("Item", tag("DeviceID", c.ID)+tag("Name", c.Name)+tag("ParentID", c.Parent)+tag("BusinessGroupID", c.BusinessGroup))
	}
	var place, kind string
	if c.Longitude != 0 || c.Latitude != 0 {
		place = tag("Longitude", decimal(c.Longitude)) + tag("Latitude", decimal(c.Latitude))
	}
	if c.PTZType != 0 {
		kind = "<Info>\r\n" + tag("PTZType", strconv.Itoa(c.PTZType)) + "</Info>\r\n"
	}
	return "<Item>\r\n" + tag("DeviceID", c.ID) + tag("Name", c.Name) + tag("Manufacturer", d.cfg.Manufacturer) +
		tag("Model", d.cfg.Model) + tag("Owner", "Owner") + tag("CivilCode", civil) + tag("Address", "Address") +
		tag("Parental", parental) + tag("ParentID", parent) + tag("SafetyWay", "0") + tag("RegisterWay", "1") +
		tag("Secrecy", "0") + tag("Status", c.Status) + tag("BusinessGroupID", c.BusinessGroup) + place + kind + "</Item>\r\n"
}

func (d *Device) answerInfo(r *Request) {
	d.mu.Lock()
	firmware := d.cfg.Firmware // an upgrade may be writing it
	d.mu.Unlock()
	d.respond(r, tag("DeviceName", d.name()), tag("Result", "OK"), tag("Manufacturer", d.cfg.Manufacturer),
		tag("Model", d.cfg.Model), tag("Firmware", firmware), tag("Channel", strconv.Itoa(len(d.channels()))))
}

// answerAlarm agrees: alarms are told as they come, asked for or not [GB28181-2016 A.2.4].
func (d *Device) answerAlarm(r *Request) { d.respond(r, tag("Result", "OK")) }

func (d *Device) answerStatus(r *Request) {
	t := d.Channel(r.DeviceID)
	record, duty := "OFF", "OFFDUTY"
	if t.Recording {
		record = "ON"
	}
	switch {
	case t.Guard && t.Alarm:
		duty = "ALARM"
	case t.Guard:
		duty = "ONDUTY"
	}
	online := "ONLINE"
	for _, c := range d.channels() {
		if c.ID == r.DeviceID && c.Status != "ON" {
			online = "OFFLINE"
		}
	}
	d.respond(r, tag("Result", "OK"), tag("Online", online), tag("Status", "OK"), tag("Encode", "ON"), tag("Record", record),
		tag("DeviceTime", clockTime(time.Now())),
		"<Alarmstatus Num=\"1\">\r\n<Item>\r\n", tag("DeviceID", r.DeviceID), tag("DutyStatus", duty), "</Item>\r\n</Alarmstatus>\r\n")
}

// seconds writes whole seconds.
func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
