package command

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func count(t *testing.T, r Result, name string) int {
	t.Helper()
	list, ok := r.Fields[name].([]map[string]any)
	if !ok {
		t.Fatalf("%s is %T in %v", name, r.Fields[name], r.Fields)
	}
	return len(list)
}

func TestAListEndsAtItsSumNumInAnyOrderAndWithRepeats(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		sum := "<SumNum>6</SumNum>"
		d.reply = func(d *device, s sent) {
			for _, part := range [][2]int{{4, 6}, {0, 2}, {4, 6}, {0, 2}, {2, 4}} {
				time.Sleep(time.Second)
				d.say(response("Catalog", s.sn, items(sum, part[0], part[1])))
			}
		}
		begun := time.Now()
		r, why := d.do(cam, "catalog", "")
		if why != nil || r.Partial || count(t, r, "channels") != 6 || len(r.Listed) != 6 {
			t.Fatalf("%v %+v", why, r.Fields)
		}
		if took := time.Since(begun); took > 5100*time.Millisecond {
			t.Errorf("took %v: it waited on although all was there", took)
		}
	})
}

func TestAListThatGoesQuietIsPartial(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		d.reply = func(d *device, s sent) {
			time.Sleep(20 * time.Second) // the first packet may take the whole timeout
			d.say(response("Catalog", s.sn, items("<SumNum>9</SumNum>", 0, 2)))
		}
		begun := time.Now()
		r, why := d.do(cam, "catalog", "")
		if why != nil || !r.Partial || r.Fields["partial"] != true || fmt.Sprint(r.Fields["got"], r.Fields["sum_num"]) != "2 9" {
			t.Fatalf("%v %+v", why, r.Fields)
		}
		if took := time.Since(begun).Round(time.Second); took != 25*time.Second {
			t.Errorf("took %v, want 20s and the quiet time", took)
		}
	})
}

func TestAListGoesOnForAsLongAsPacketsCome(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		d.reply = func(d *device, s sent) {
			for i := range 30 {
				time.Sleep(4 * time.Second)
				d.say(response("Catalog", s.sn, items("<SumNum>30</SumNum>", i, i+1)))
			}
		}
		if r, why := d.do(cam, "catalog", `{"timeout_ms":5000}`); why != nil || count(t, r, "channels") != 30 {
			t.Errorf("%v %v", why, r.Fields)
		}
	})
}

func TestAMissingOrSmallSumNumEndsWithSilenceAndKeepsAll(t *testing.T) {
	for _, sum := range []string{"", "<SumNum>0</SumNum>", "<SumNum>2</SumNum>"} {
		story(t, Default(), func(t *testing.T, d *device) {
			d.reply = func(d *device, s sent) {
				d.say(response("Catalog", s.sn, items(sum, 0, 3)))
				time.Sleep(time.Second)
				d.say(response("Catalog", s.sn, items(sum, 3, 5)))
			}
			if r, why := d.do(cam, "catalog", ""); why != nil || r.Partial || count(t, r, "channels") != 5 {
				t.Errorf("%q: %v %v", sum, why, r.Fields)
			}
		})
	}
}

func TestAnEmptyListIsCompleteAtOnce(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		d.reply = func(d *device, s sent) { d.say(response("Catalog", s.sn, "<SumNum>0</SumNum>")) }
		begun := time.Now()
		if r, why := d.do(cam, "catalog", ""); why != nil || r.Partial || time.Since(begun) > time.Second {
			t.Errorf("%v %v after %v", why, r.Fields, time.Since(begun))
		}
	})
}

func TestAListWithoutAnyPacketIs408(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		if _, why := d.do(cam, "catalog", ""); code(why) != 408 {
			t.Errorf("%v, want 408", why)
		}
	})
}

func TestItemsBeyondTheLimitAreRefusedAndSaid(t *testing.T) {
	cfg := Default()
	cfg.CatalogItems = 10
	story(t, cfg, func(t *testing.T, d *device) {
		d.reply = func(d *device, s sent) {
			d.say(response("Catalog", s.sn, items("<SumNum>13</SumNum>", 0, 13)))
		}
		r, why := d.do(cam, "catalog", "")
		if why != nil || !r.Partial || count(t, r, "channels") != 10 || fmt.Sprint(r.Fields["refused"]) != "3" {
			t.Errorf("%v %v", why, r.Fields)
		}
	})
}

func TestTheRestOfAListCanBeAskedForWithinAMinute(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		d.reply = func(d *device, s sent) {
			d.say(response("Catalog", s.sn, items("<SumNum>25</SumNum>", 0, 25)))
		}
		r, why := d.do(cam, "catalog", `{"limit":10}`)
		if why != nil {
			t.Fatal(why)
		}
		if len(r.Listed) != 25 {
			t.Error("the whole answer is not with the first page")
		}
		total := count(t, r, "channels")
		var next string
		for r.Fields["next"] != nil {
			time.Sleep(20 * time.Second)
			next = r.Fields["next"].(string)
			if r, why = d.do(cam, "catalog", `{"limit":10,"next":"`+next+`"}`); why != nil {
				t.Fatal(why)
			}
			total += count(t, r, "channels")
		}
		if total != 25 || len(d.requests()) != 1 {
			t.Errorf("%d items with %d requests, want 25 with 1", total, len(d.requests()))
		}
		time.Sleep(time.Minute)
		if _, why := d.do(cam, "catalog", `{"next":"`+next+`"}`); code(why) != 404 {
			t.Errorf("%v after a minute, want 404", why)
		}
		if d.engine.pages.kept != 0 {
			t.Errorf("%d items are kept on", d.engine.pages.kept)
		}
	})
}

// A list in packets of one item costs by its length, not by the square of it: 10,000 are
// done in well under a second.
func TestALongListInSmallPacketsIsTaken(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		d.reply = func(d *device, s sent) {
			for i := range 10_000 {
				d.say(response("Catalog", s.sn, items("<SumNum>10000</SumNum>", i, i+1)))
			}
		}
		if r, why := d.do(cam, "catalog", `{"limit":10000}`); why != nil || count(t, r, "channels") != 10_000 {
			t.Error(why)
		}
	})
}

// Packets come again when their 200 was late, and with other packets between them; what tells
// recordings apart is their time and their file [GB28181-2022 Annex M].
func TestRecordingsOfManyPacketsAreJoinedOnce(t *testing.T) {
	const all, each = 10_000, 40
	page := func(from int) string {
		var b strings.Builder
		fmt.Fprintf(&b, `<Name>n</Name><SumNum>%d</SumNum><RecordList Num="%d">`, all, each)
		for i := from; i < from+each; i++ {
			start := time.Date(2026, 9, 23, 0, 0, i, 0, time.UTC).Format("2006-01-02T15:04:05")
			fmt.Fprintf(&b, "<Item><DeviceID>%s</DeviceID><Name>n</Name><FilePath>f%d</FilePath><StartTime>%s</StartTime><EndTime>%s</EndTime><Secrecy>0</Secrecy><Type>time</Type><FileSize>5</FileSize></Item>",
				channel, i%2, start, start)
		}
		b.WriteString("</RecordList>")
		return b.String()
	}
	story(t, Default(), func(t *testing.T, d *device) {
		d.reply = func(d *device, s sent) {
			for from := 0; from < all; from += each {
				d.say(response("RecordInfo", s.sn, page(from)))
				if from%(each*10) == 0 {
					d.say(response("RecordInfo", s.sn, page(from/2/each*each)))
				}
			}
		}
		r, why := d.do(channel, "records", `{"start":"2026-09-23","end":"2026-09-24","limit":6000}`)
		if why != nil || r.Partial || count(t, r, "records") != 6000 {
			t.Fatalf("%v %v", why, r.Partial)
		}
		first := r.Fields["records"].([]map[string]any)[0]
		if first["start_time"] != int64(1790092800000) || first["file_size"] != int64(5) || first["type"] != "time" || r.Fields["sum_num"] != int64(all) {
			t.Errorf("%v of %v", first, r.Fields["sum_num"])
		}
		r, why = d.do(channel, "records", `{"limit":6000,"next":"`+r.Fields["next"].(string)+`"}`)
		if why != nil || count(t, r, "records") != all-6000 || r.Fields["next"] != nil || len(d.requests()) != 1 {
			t.Errorf("the rest: %v", why)
		}
	})
}
