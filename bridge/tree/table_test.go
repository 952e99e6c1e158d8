package tree

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

var platform = func() gb28181.ID {
	id, err := gb28181.ParseID("34020000002000000009")
	if err != nil {
		panic(err)
	}
	return id
}()

// items decodes a catalogue whose items are these.
func items(t *testing.T, root, inner string) []gb28181.CatalogItem {
	t.Helper()
	m, err := gb28181.Decode([]byte("<" + root + "><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>34020000002000000009</DeviceID><SumNum>9</SumNum><DeviceList Num=\"9\">" +
		inner + "</DeviceList></" + root + ">"))
	if err != nil {
		t.Fatal(err)
	}
	return m.Body.(*gb28181.Catalog).Items
}

func TestNodesAreWhatIsNoChannel(t *testing.T) {
	const (
		region  = "<Item><DeviceID>340200</DeviceID><Name>芜湖市</Name></Item>"
		group   = "<Item><DeviceID>34020000002150000001</DeviceID><Name>治安</Name><CivilCode>340200</CivilCode><ParentID>34020000002000000009</ParentID></Item>"
		org     = "<Item><DeviceID>34020000002160000001</DeviceID><Name>一组</Name><BusinessGroupID>34020000002150000001</BusinessGroupID></Item>"
		old     = "<Item><DeviceID>34020000002160000002</DeviceID><Name>二组</Name><Info><BusinessGroupID>34020000002150000001</BusinessGroupID></Info></Item>"
		camera  = "<Item><DeviceID>34020000001310000001</DeviceID><Name>枪机</Name></Item>"
		odd     = "<Item><DeviceID>bkq-ks-124567</DeviceID><Name>odd</Name></Item>"
		special = "<Item><DeviceID>34020000002170000001</DeviceID><Name>a camera all the same</Name></Item>"
	)
	table := New(4)
	steps := []struct {
		root, inner string
		complete    bool
		set, gone   string // IDs from their 11th digit on, regions whole
		left        string
	}{
		{"Response", region + group + camera + odd + special, false, "340200 2150000001", "", "340200 2150000001"},
		{"Response", region + group + org + old + camera, true, "2160000001 2160000002", "", "340200 2150000001 2160000001 2160000002"},
		{"Response", region + group + org + old + camera, true, "", "", "340200 2150000001 2160000001 2160000002"},
		{"Notify", "<Item><DeviceID>34020000002160000001</DeviceID><Event>DEL</Event></Item><Item><DeviceID>34020000002160000009</DeviceID><Event>DEL</Event></Item>",
			false, "", "2160000001", "340200 2150000001 2160000002"},
		{"Notify", "<Item><DeviceID>34020000002150000001</DeviceID><Event>OFF</Event></Item>", false, "", "", "340200 2150000001 2160000002"},
		{"Notify", "<Item><DeviceID>340200</DeviceID><Event>UPDATE</Event><Name>芜湖</Name></Item>", false, "340200", "", "340200 2150000001 2160000002"},
		{"Response", "<Item><DeviceID>34</DeviceID><Name>安徽省</Name></Item><Item><DeviceID>33</DeviceID><Name>beyond the limit</Name></Item>",
			false, "34", "", "34 340200 2150000001 2160000002"},
		{"Response", camera, true, "", "34 340200 2150000001 2160000002", ""},
	}
	short := func(ids []string) string {
		for i, id := range ids {
			if len(id) == 20 {
				ids[i] = id[10:]
			}
		}
		return strings.Join(ids, " ")
	}
	for i, step := range steps {
		listed := items(t, step.root, step.inner)
		c := table.Apply(platform, listed, []string{"217"})
		if step.complete {
			c.Gone = table.Retain(platform, func(id string) bool {
				return slices.ContainsFunc(listed, func(i gb28181.CatalogItem) bool { return i.DeviceID == id })
			}).Gone
		}
		var set, left []string
		for _, n := range c.Set {
			set = append(set, n.ID)
		}
		for _, n := range table.Nodes(platform) {
			left = append(left, n.ID)
		}
		if i == len(steps)-1 { // of many, in any order
			c.Gone = strings.Fields(steps[i].gone)
		}
		if short(set) != step.set || short(c.Gone) != step.gone || short(left) != step.left {
			t.Errorf("step %d: set %q, gone %q, left %q; want %q, %q, %q", i, set, c.Gone, left, step.set, step.gone, step.left)
		}
	}
	if len(table.devices) != 0 {
		t.Error("a device without nodes is remembered")
	}
}

func TestANodeHasItsPlaceWhicheverEditionWroteIt(t *testing.T) {
	for inner, want := range map[string]Node{
		"<Item><DeviceID>34020000002160000001</DeviceID><Name>一组</Name><ParentID>34020000002160000009</ParentID><BusinessGroupID>34020000002150000001</BusinessGroupID></Item>": {
			ID: "34020000002160000001", Name: "一组", ParentID: "34020000002160000009", BusinessGroupID: "34020000002150000001"},
		"<Item><DeviceID>34020000002160000002</DeviceID><Info><BusinessGroupID>34020000002150000001</BusinessGroupID></Info><CivilCode>3402</CivilCode></Item>": {
			ID: "34020000002160000002", CivilCode: "3402", BusinessGroupID: "34020000002150000001"},
		"<Item><DeviceID>3402</DeviceID><Name>" + strings.Repeat("字", 100) + "</Name></Item>": {ID: "3402", Name: strings.Repeat("字", 85)},
	} {
		if got, is := NodeOf(items(t, "Response", inner)[0], nil); !is || got != want {
			t.Errorf("%s: %+v, %v; want %+v", inner, got, is, want)
		}
	}
	table := New(10)
	kept := []Node{{ID: "34", Name: "安徽省"}, {ID: "3402", Name: "芜湖市"}}
	table.Restore(platform, kept)
	if got := table.Nodes(platform); !reflect.DeepEqual(got, kept) {
		t.Errorf("restored %v, want %v", got, kept)
	}
	if c := table.Apply(platform, items(t, "Response", fmt.Sprintf("<Item><DeviceID>34</DeviceID><Name>%s</Name></Item>", kept[0].Name)), nil); len(c.Set) != 0 {
		t.Errorf("what was restored is kept anew: %v", c.Set)
	}
}
