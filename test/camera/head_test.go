package camera

import (
	"strings"
	"testing"
)

// controlled sends a DeviceControl and waits until the device is done with it.
func controlled(p *platform, target, element string) {
	p.t.Helper()
	p.ask("MESSAGE", target, mansRequest("Control", "DeviceControl", target, element))
	p.query("Query", "DeviceStatus", target, "") // what it is asked next it answers after the control
}

func TestCruiseTracksAreKeptAndTold(t *testing.T) {
	p := newPlatform(t)
	d := registered(t, p, nil)
	if e := p.query("Query", "CruiseTrackListQuery", channel1, ""); e.child("SumNum") != "2" || e.find("CruiseTrackList").children[0].child("Name") != "夜间" {
		t.Errorf("a fresh camera lists %+v", e)
	}
	for _, hex := range []string{"A50F01840105003F", "A50F018401020" + "03C", // group 1: presets 5 and 2
		"A50F0186012C1078", "A50F0187011E005B", "A50F01880100003E"} { // speed 300, 30 s, start
		controlled(p, channel1, tag("PTZCmd", hex)+"<PTZCmdParams><CruiseTrackName>rounds</CruiseTrackName></PTZCmdParams>")
	}
	e := p.query("Query", "CruiseTrackQuery", channel1, tag("Number", "1"))
	points := e.find("CruisePointList").children
	if e.child("Name") != "rounds" || e.child("SumNum") != "4" || len(points) != 4 {
		t.Fatalf("track 1: %+v", e)
	}
	if last := points[3]; last.child("PresetIndex") != "2" || last.child("StayTime") != "30" || last.child("Speed") != "300" {
		t.Errorf("its last point: %+v", last)
	}
	if s := d.Channel(channel1); s.Cruise != 1 {
		t.Errorf("group %d runs, want 1", s.Cruise)
	}
	controlled(p, channel1, tag("PTZCmd", "A50F0100000000B5"))
	if s := d.Channel(channel1); s.Cruise != -1 {
		t.Error("a stop does not end the cruise")
	}
	for range pointsMost { // of which two are there already
		p.ask("MESSAGE", channel1, mansRequest("Control", "DeviceControl", channel1, tag("PTZCmd", "A50F01840105003F")))
	}
	controlled(p, channel1, tag("PTZCmd", "A50F0100000000B5"))
	if n := len(d.Channel(channel1).Cruises[1].Presets); n != pointsMost {
		t.Errorf("%d points, want %d at most", n, pointsMost)
	}
	controlled(p, channel1, tag("PTZCmd", "A50F01850100003B")) // delete the group
	if e := p.query("Query", "CruiseTrackQuery", channel1, tag("Number", "1")); e.child("Result") != "ERROR" {
		t.Errorf("a track that is gone: %+v", e)
	}
}

func TestScanKeepsItsLimits(t *testing.T) {
	p := newPlatform(t)
	d := registered(t, p, nil)
	for _, body := range []string{"<PTZPreciseCtrl><Pan>10</Pan></PTZPreciseCtrl>", tag("PTZCmd", "A50F018901010040"),
		"<PTZPreciseCtrl><Pan>200</Pan></PTZPreciseCtrl>", tag("PTZCmd", "A50F018901020041"),
		tag("PTZCmd", "A50F018A01001050"), tag("PTZCmd", "A50F01890100003F")} {
		controlled(p, channel1, body)
	}
	if s := d.Channel(channel1); s.Scan != 1 || s.Scans[1] != (Scan{Left: 10, Right: 200, Speed: 256}) {
		t.Errorf("scan %d, %+v", s.Scan, s.Scans)
	}
}

func TestDragZoomCentresAndZooms(t *testing.T) {
	const box = "<Length>1000</Length><Width>500</Width><MidPointX>750</MidPointX><MidPointY>250</MidPointY><LengthX>250</LengthX><LengthY>125</LengthY>"
	p := newPlatform(t)
	d := registered(t, p, nil)
	controlled(p, channel1, "<DragZoomIn>"+box+"</DragZoomIn>")
	in := d.Channel(channel1)
	if in.Zoom != 4 || in.Pan < 14.5 || in.Pan > 14.6 || in.Tilt != 0 { // a quarter of 58.2° to the right
		t.Errorf("after DragZoomIn: pan %v, tilt %v, zoom %v", in.Pan, in.Tilt, in.Zoom)
	}
	controlled(p, channel1, "<DragZoomOut>"+box+"</DragZoomOut>")
	if out := d.Channel(channel1); out.Zoom != 1 || out.Pan <= in.Pan {
		t.Errorf("after DragZoomOut: pan %v, zoom %v", out.Pan, out.Zoom)
	}
	controlled(p, channel1, "<DragZoomIn><Length>1000</Length></DragZoomIn>")
	if f := d.State().Failures; len(f) != 1 || !strings.Contains(f[0], "LengthY") {
		t.Errorf("noted %q, want what is missing", f)
	}
}

func TestTargetTrackFollowsOrNot(t *testing.T) {
	p := newPlatform(t)
	d := registered(t, p, nil)
	controlled(p, channel1, tag("TargetTrack", "Manual")+tag("DeviceID2", channel2)+
		"<TargetArea><Length>1920</Length><Width>1080</Width><MidPointX>300</MidPointX><MidPointY>410</MidPointY><LengthX>80</LengthX><LengthY>160</LengthY></TargetArea>")
	if s := d.Channel(channel1).Track; s != (Tracking{"Manual", channel2, Area{1920, 1080, 300, 410, 80, 160}}) {
		t.Errorf("it tracks %+v", s)
	}
	controlled(p, channel1, tag("TargetTrack", "Manual"))
	if len(d.State().Failures) != 1 {
		t.Error("Manual without an area was taken")
	}
	controlled(p, channel1, tag("TargetTrack", "Stop"))
	if s := d.Channel(channel1).Track.Mode; s != "Stop" {
		t.Errorf("after Stop: %s", s)
	}
}

func TestPositionTellsWhatIsSeenAndWhere(t *testing.T) {
	p := newPlatform(t)
	registered(t, p, nil)
	controlled(p, channel2, "<PTZPreciseCtrl><Zoom>2</Zoom></PTZPreciseCtrl>")
	if e := p.query("Query", "PTZPosition", channel2, ""); e.child("HorizontalFieldAngle") != "29.10" || e.child("MaxViewDistance") != "200" {
		t.Errorf("PTZPosition %+v", e)
	}
	from := p.mark()
	p.ask("MESSAGE", channel2, mansRequest("Query", "MobilePosition", channel2, tag("Interval", "5")))
	m, _ := p.await(from, isCmd("MobilePosition"))
	e := bodyOf(m)
	if e.name != "Notify" || e.child("SN") != "17" || !strings.HasPrefix(e.child("Longitude"), "117.") || e.child("Speed") != "37.7" || e.child("Time") == "" {
		t.Errorf("MobilePosition %s", m.body)
	}
}
