package camera

import (
	"fmt"
	"strconv"
	"time"
)

// recordsMost bounds the recordings of one channel: as many as one answer may list
// [GB28181-2022 Annex M].
const recordsMost = 10000

// recording is one file of a channel.
type recording struct {
	begin, end time.Time
	kind       string // time, alarm or manual
}

// recordings lists what a channel has recorded that lies at least partly between from and
// to, the oldest first. Every fifth was recorded for an alarm, every seventh by hand.
func (d *Device) recordings(from, to time.Time, kind string) []recording {
	var out []recording
	newest := d.born.Truncate(time.Second)
	for i := range d.cfg.Records {
		begin := newest.Add(-time.Duration(d.cfg.Records-i) * d.cfg.RecordLength)
		r := recording{begin, begin.Add(d.cfg.RecordLength), "time"}
		switch {
		case i%5 == 4:
			r.kind = "alarm"
		case i%7 == 6:
			r.kind = "manual"
		}
		if r.begin.Before(to) && r.end.After(from) && (kind == r.kind || kind == "all") {
			out = append(out, r)
		}
	}
	return out
}

// answerRecords lists the recordings between StartTime and EndTime, of one Type when it is
// asked for [GB28181-2022 A.2.4.5].
func (d *Device) answerRecords(r *Request) {
	kind := r.Element("Type")
	if kind == "" && d.cfg.has(WantsType) || !d.lists() {
		return
	}
	orDefault(&kind, "all")
	from, err := readTime(r.Element("StartTime"))
	to, err2 := readTime(r.Element("EndTime"))
	if err != nil || err2 != nil {
		d.listed()
		d.respond(r, tag("Result", "ERROR"))
		return
	}
	name := d.nameOf(r.DeviceID)
	var items []string
	for _, f := range d.recordings(from, to, kind) {
		items = append(items, group("Item", tag("DeviceID", r.DeviceID), tag("Name", name),
			tag("FilePath", fmt.Sprintf("%d_%d", f.begin.Unix(), f.end.Unix())), tag("Address", "Address"),
			tag("StartTime", clockTime(f.begin)), tag("EndTime", clockTime(f.end)),
			tag("Secrecy", "0"), tag("Type", f.kind), tag("RecorderID", d.cfg.ID),
			tag("FileSize", strconv.Itoa(int(f.end.Sub(f.begin).Seconds())*recordBytes))))
	}
	packets, pause := d.pages(r, "RecordList", items, d.cfg.RecordsPerPacket, tag("Name", name)), time.Duration(0)
	if d.cfg.has(BrokenRecords) && to.Sub(from) > 12*time.Hour {
		last := &packets[len(packets)-1]
		*last = (*last)[:len(*last)*3/4]
	}
	if d.cfg.has(StalledList) {
		packets = packets[:(len(packets)*7+7)/8]
	}
	if d.cfg.has(SlowList) {
		pause = slowBy
	}
	d.respondPaced(packets, pause, d.listed)
}

// recordBytes is what a second of recording takes: 2 Mbit/s.
const recordBytes = 1 << 18

// readTime reads a time of a body.
func readTime(text string) (time.Time, error) {
	return time.ParseInLocation(localTime, text, beijing)
}

// nameOf is the name of a channel, or the device's.
func (d *Device) nameOf(id string) string {
	for _, c := range d.channels() {
		if c.ID == id {
			return c.Name
		}
	}
	return d.name()
}
