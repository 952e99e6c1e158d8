package camera

import (
	"testing"
	"time"
)

func TestRecordingsAreFilteredAndComeInPackets(t *testing.T) {
	p := newPlatform(t)
	d := registered(t, p, func(c *Config) { c.Records, c.RecordLength, c.RecordsPerPacket = 70, time.Minute, 50 })
	span := func(from, to int) string { // in minutes before the device began
		at := func(n int) string {
			return d.born.Truncate(time.Second).Add(-time.Duration(n) * time.Minute).In(beijing).Format(localTime)
		}
		return tag("StartTime", at(from)) + tag("EndTime", at(to))
	}
	for _, c := range []struct {
		ask, sum string
		packets  int
	}{
		{span(1000, 0) + tag("Type", "all"), "70", 2},
		{span(1000, 0), "70", 2},
		{span(10, 0) + tag("Type", "all"), "10", 1},
		{span(70, 60) + tag("Type", "alarm"), "2", 1},
		{span(70, 60) + tag("Type", "manual"), "1", 1},
		{span(-10, -20), "0", 1},
	} {
		from := p.mark()
		first := p.query("Query", "RecordInfo", channel1, c.ask)
		if first.child("SumNum") != c.sum || first.child("Name") != "大门" {
			t.Errorf("%s: %+v, want SumNum %s", c.ask, first, c.sum)
		}
		got := 0
		for range c.packets {
			m, at := p.await(from, isCmd("RecordInfo"))
			from = at + 1
			if list := bodyOf(m).find("RecordList"); list != nil {
				got += len(list.children)
				i := list.children[0]
				if i.child("DeviceID") != channel1 || i.child("FileSize") != "15728640" || i.child("StartTime") >= i.child("EndTime") {
					t.Errorf("an item: %+v", i)
				}
			} else if c.sum != "0" {
				t.Errorf("%s: no list in %s", c.ask, m.body)
			}
		}
		if want := first.child("SumNum"); want != "0" && got == 0 {
			t.Errorf("%s: no items, want %s", c.ask, want)
		}
	}
	if e := p.query("Query", "RecordInfo", channel1, tag("StartTime", "yesterday")); e.child("Result") != "ERROR" {
		t.Errorf("a broken time: %+v", e)
	}
}

func TestFormattingACardIsSeen(t *testing.T) {
	p := newPlatform(t)
	registered(t, p, func(c *Config) { c.Cards, c.FormatTime = 2, time.Hour })
	cards := func() []*element {
		return p.query("Query", "SDCardStatus", deviceID, "").find("SDCardStatusInfo").children
	}
	if c := cards(); len(c) != 2 || c[0].child("Status") != "ok" || c[0].child("FreeSpace") != "40210" {
		t.Errorf("fresh cards %+v", c)
	}
	controlled(p, deviceID, tag("FormatSDCard", "2"))
	if c := cards(); c[0].child("Status") != "ok" || c[1].child("Status") != "formatting" || c[1].child("ID") != "2" {
		t.Errorf("while card 2 is formatted: %+v %+v", c[0], c[1])
	}
	done := newPlatform(t)
	registered(t, done, func(c *Config) { c.Cards, c.FormatTime = 1, time.Nanosecond })
	controlled(done, deviceID, tag("FormatSDCard", "0"))
	if c := done.query("Query", "SDCardStatus", deviceID, "").find("SDCardStatusInfo").children; c[0].child("Status") != "ok" || c[0].child("FreeSpace") != "61035" {
		t.Errorf("formatted: %+v", c[0])
	}
	none := newPlatform(t)
	d := registered(t, none, nil)
	if e := none.query("Query", "SDCardStatus", deviceID, ""); e.child("SumNum") != "0" {
		t.Errorf("without a card: %+v", e)
	}
	controlled(none, deviceID, tag("FormatSDCard", "1"))
	if len(d.State().Failures) != 1 {
		t.Error("a card that is not there was formatted")
	}
}
