package mapping

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// A track may pass the same preset twice; the same packet sent twice is one packet.
func TestATrackKeepsThePresetThatItPassesTwice(t *testing.T) {
	var points strings.Builder
	for _, preset := range []int{1, 2, 1} {
		fmt.Fprintf(&points, "<CruisePoint><PresetIndex>%d</PresetIndex><StayTime>10</StayTime><Speed>5</Speed></CruisePoint>", preset)
	}
	m, err := gb28181.Decode([]byte("<Response><CmdType>CruiseTrackQuery</CmdType><SN>1</SN><DeviceID>" + target +
		"</DeviceID><Number>0</Number><SumNum>3</SumNum><CruisePointList Num='3'>" + points.String() + "</CruisePointList></Response>"))
	if err != nil {
		t.Fatal(err)
	}
	l := NewList(100)
	l.Add(m)
	l.Add(m)
	name, items := l.Items()
	if name != "cruise_points" || len(items) != 3 || !l.Complete() || items[2]["preset_index"] != int64(1) {
		t.Errorf("%s: %v, complete %v", name, items, l.Complete())
	}
}

// Who asks for the whole catalogue wants to know who is there, and not what they are called.
func TestAListOfACatalogueTellsWhoIsThere(t *testing.T) {
	m, err := gb28181.Decode([]byte("<Response><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>" + target + "</DeviceID><SumNum>2</SumNum><DeviceList Num='2'>" +
		"<Item><DeviceID>34020000001310000009</DeviceID><Name>n</Name><Status>OFF</Status></Item>" +
		"<Item><DeviceID>" + target + "</DeviceID><Name>itself</Name><Status>ON</Status></Item></DeviceList></Response>"))
	if err != nil {
		t.Fatal(err)
	}
	for _, slim := range []bool{true, false} {
		l := NewList(100)
		if slim {
			l.Slim()
		}
		l.Add(m)
		l.Add(m)
		if got := l.Listed(); !l.Complete() || len(got) != 2 || got[0].ID != "34020000001310000009" || got[0].Status != "OFF" || got[0].Itself != nil ||
			got[1].Itself["name"] != "itself" {
			t.Errorf("slim %v: %v, complete %v", slim, got, l.Complete())
		}
	}
	l := NewList(1)
	l.Slim()
	l.Add(m)
	if f := l.Fields(); !l.Partial() || f["refused"] != 1 || f["got"] != 1 {
		t.Errorf("beyond the limit: %v", f)
	}
}
