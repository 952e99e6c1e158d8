package camera

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// queries returns what answers a Query, nil when its CmdType is unknown.
func (d *Device) queries(r *Request) func() {
	answer := map[string]func(*Request){
		"Catalog":           d.answerCatalog,
		"DeviceInfo":        d.answerInfo,
		"DeviceStatus":      d.answerStatus,
		"PresetQuery":       d.answerPresets,
		"HomePositionQuery": d.answerHome,
		"PTZPosition":       d.answerPosition,
		"ConfigDownload":    d.answerConfig,
	}[r.CmdType]
	switch {
	case answer == nil:
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
	d.respondAll([]string{frame("Response", r.CmdType, r.SN, r.DeviceID, rest...)})
}

// respondAll sends the packets of one answer, each after the 200 of the one before
// [GB28181-2022 M.1]; when one stays unanswered the rest is not sent.
func (d *Device) respondAll(packets []string) {
	var next func(i int)
	next = func(i int) {
		if i == len(packets) {
			return
		}
		o := outgoing{method: "MESSAGE", kind: KindResponse, body: encodeBody(packets[i], d.cfg.Encoding)}
		d.begin(o, func(r reply) {
			if r.err == nil {
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
	channels := d.cfg.Channels
	sum := len(channels)
	if d.cfg.LieSumNum > 0 {
		sum = d.cfg.LieSumNum
	}
	total := "<SumNum>" + strconv.Itoa(sum) + "</SumNum>\r\n"
	if len(channels) == 0 { // nothing found: SumNum 0 and no list
		d.respond(r, total)
		return
	}
	var packets []string
	for page := range slices.Chunk(channels, d.cfg.CatalogPerPacket) {
		var items strings.Builder
		for _, c := range page {
			items.WriteString(d.item(c))
		}
		packet := frame("Response", r.CmdType, r.SN, r.DeviceID, total,
			`<DeviceList Num="`+strconv.Itoa(len(page))+"\">\r\n", items.String(), "</DeviceList>\r\n")
		packets = append(packets, packet)
		if d.cfg.Repeat {
			packets = append(packets, packet)
		}
	}
	if d.cfg.Shuffle {
		rand.Shuffle(len(packets), func(i, j int) { packets[i], packets[j] = packets[j], packets[i] })
	}
	d.respondAll(packets)
}

// item is one channel of the Catalog [GB28181-2022 A.2.1.9].
func (d *Device) item(c Channel) string {
	if len(c.ID) <= 8 { // a region has a name and no more [GB28181-2022 J]
		return "<Item>\r\n" + tag("DeviceID", c.ID) + tag("Name", c.Name) + "</Item>\r\n"
	}
	var place, kind string
	if c.Longitude != 0 || c.Latitude != 0 {
		place = tag("Longitude", decimal(c.Longitude)) + tag("Latitude", decimal(c.Latitude))
	}
	if c.PTZType != 0 {
		kind = "<Info>\r\n" + tag("PTZType", strconv.Itoa(c.PTZType)) + "</Info>\r\n"
	}
	return "<Item>\r\n" + tag("DeviceID", c.ID) + tag("Name", c.Name) + tag("Manufacturer", d.cfg.Manufacturer) +
		tag("Model", d.cfg.Model) + tag("Owner", "Owner") + tag("CivilCode", c.ID[:6]) + tag("Address", "Address") +
		tag("Parental", "0") + tag("ParentID", d.cfg.ID) + tag("SafetyWay", "0") + tag("RegisterWay", "1") +
		tag("Secrecy", "0") + tag("Status", c.Status) + place + kind + "</Item>\r\n"
}

func (d *Device) answerInfo(r *Request) {
	d.mu.Lock()
	name := d.cfg.Name // a DeviceConfig may be writing it
	d.mu.Unlock()
	d.respond(r, tag("DeviceName", name), tag("Result", "OK"), tag("Manufacturer", d.cfg.Manufacturer),
		tag("Model", d.cfg.Model), tag("Firmware", d.cfg.Firmware), tag("Channel", strconv.Itoa(len(d.cfg.Channels))))
}

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
	for _, c := range d.cfg.Channels {
		if c.ID == r.DeviceID && c.Status != "ON" {
			online = "OFFLINE"
		}
	}
	d.respond(r, tag("Result", "OK"), tag("Online", online), tag("Status", "OK"), tag("Encode", "ON"), tag("Record", record),
		tag("DeviceTime", time.Now().In(beijing).Format("2006-01-02T15:04:05")),
		"<Alarmstatus Num=\"1\">\r\n<Item>\r\n", tag("DeviceID", r.DeviceID), tag("DutyStatus", duty), "</Item>\r\n</Alarmstatus>\r\n")
}

func (d *Device) answerPresets(r *Request) {
	presets := d.Channel(r.DeviceID).Presets
	n := strconv.Itoa(len(presets))
	var items strings.Builder
	for _, id := range slices.Sorted(maps.Keys(presets)) {
		items.WriteString("<Item>\r\n" + tag("PresetID", strconv.Itoa(id)) + tag("PresetName", presets[id].Name) + "</Item>\r\n")
	}
	d.respond(r, tag("SumNum", n), `<PresetList Num="`+n+"\">\r\n", items.String(), "</PresetList>\r\n")
}

func (d *Device) answerHome(r *Request) {
	h := d.Channel(r.DeviceID).Home
	enabled := "0"
	if h.Enabled {
		enabled = "1"
	}
	d.respond(r, "<HomePosition>\r\n", tag("Enabled", enabled), tag("ResetTime", strconv.Itoa(h.ResetTime)),
		tag("PresetIndex", strconv.Itoa(h.PresetIndex)), "</HomePosition>\r\n")
}

func (d *Device) answerPosition(r *Request) {
	t := d.Channel(r.DeviceID)
	two := func(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }
	d.respond(r, tag("Pan", two(t.Pan)), tag("Tilt", two(t.Tilt)), tag("Zoom", two(t.Zoom)))
}

// answerConfig tells BasicParam; of other types it has nothing, and says OK with no element,
// as devices do [GB28181-2022 A.2.6.8].
func (d *Device) answerConfig(r *Request) {
	var basic string
	if slices.Contains(strings.Split(r.Element("ConfigType"), "/"), "BasicParam") {
		d.mu.Lock()
		beat, misses, expires, name := d.beatEvery, d.misses, d.cfg.Expires, d.cfg.Name
		d.mu.Unlock()
		basic = "<BasicParam>\r\n" + tag("Name", name) + tag("Expiration", seconds(expires)) +
			tag("HeartBeatInterval", seconds(beat)) + tag("HeartBeatCount", strconv.Itoa(misses)) + "</BasicParam>\r\n"
	}
	d.respond(r, tag("Result", "OK"), basic)
}

// seconds writes whole seconds.
func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
