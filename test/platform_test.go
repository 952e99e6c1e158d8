package test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// lowerPlatform is a platform that registers as one device: a region with districts, systems,
// business groups with their organisations, recorders, and cameras below all of these.
const lowerPlatform = "34020000002000000009"

// treeNode is the tree as the program and the console have it.
type treeNode struct {
	ID, Kind, Name, Presence string
	Also                     bool
	Children                 []*treeNode
}

// places lists the ways from the root to the nodes called id.
func (n *treeNode) places(id, way string) (ways []string) {
	way += "/" + n.ID
	if n.ID == id {
		ways = append(ways, way)
	}
	for _, c := range n.Children {
		ways = append(ways, c.places(id, way)...)
	}
	return ways
}

// count counts the nodes of each kind, once each.
func (n *treeNode) count(kinds map[string]int) map[string]int {
	if !n.Also {
		kinds[n.Kind]++
	}
	for _, c := range n.Children {
		c.count(kinds)
	}
	return kinds
}

const (
	platformRecorders = 20
	platformCameras   = 10_000 - platformRecorders
	treeRegion        = "340200"
	treeGroup         = "34020000002150000001"
)

func recorderID(n int) string { return fmt.Sprintf("3402000000118%07d", n) }
func orgID(n int) string      { return fmt.Sprintf("3402000000216%07d", n) }
func cameraID(n int) string   { return fmt.Sprintf("3402000000131%07d", n) }

// platformCatalog is its catalogue: 10,000 channels below 15 nodes.
func platformCatalog() []camera.Channel {
	items := []camera.Channel{{ID: lowerPlatform, Name: "下级平台"}, {ID: "34", Name: "安徽省"}, {ID: treeRegion, Name: "芜湖市"},
		{ID: treeGroup, Name: "治安", CivilCode: treeRegion, Parent: lowerPlatform}}
	for n := range 10 {
		org := camera.Channel{ID: orgID(n), Name: fmt.Sprintf("组%d", n), BusinessGroup: treeGroup}
		if n >= 5 {
			org.Parent = orgID(n - 5)
		}
		items = append(items, org)
	}
	for n := range platformRecorders {
		items = append(items, camera.Channel{ID: recorderID(n), Name: fmt.Sprintf("NVR %d", n), Parental: true, Parent: lowerPlatform, CivilCode: treeRegion})
	}
	for n := range platformCameras {
		c := camera.Channel{ID: cameraID(n), Name: fmt.Sprintf("相机%d", n), Parent: recorderID(n % platformRecorders), CivilCode: treeRegion}
		if n%2 == 1 {
			c.Parent += "/" + orgID(n%10)
		}
		if n%100 == 0 {
			c.Status = "OFF"
		}
		items = append(items, c)
	}
	return items
}

func TestALowerPlatformOfTenThousandChannelsIsATreeWithPresenceForItsCamerasAlone(t *testing.T) {
	folder := t.TempDir()
	p := startIn(t, folder, baseConfig())
	d := newCamera(t, p.tcp, 1, func(c *camera.Config) {
		c.ID, c.Channels, c.CatalogPerPacket = lowerPlatform, platformCatalog(), 100
	})
	topic := "gb28181/" + lowerPlatform + "/"
	m := connect(t, p.mqtt, topic+"event/catalog", topic+"+/presence", topic+"+/event/alarm")
	register(t, d)
	if e := m.waitFor(0, time.Minute, "catalog event", on(topic+"event/catalog")).json(t); e["channels"] != 10_000.0 {
		t.Errorf("the catalogue has %v channels, want 10000", e["channels"])
	}
	// Alarms come with the channel's ID, in the subscription that the platform has of the device.
	subscribed(t, d, "Alarm")
	for range 100 {
		mark, channel := m.mark(), cameraID(rand.IntN(platformCameras))
		if code, err := d.Alarm(within(t, 10*time.Second), camera.Alarm{Channel: channel, Notify: true, Method: 5, Type: 2}); code != 200 || err != nil {
			t.Fatalf("alarm of %s: %d, %v", channel, code, err)
		}
		if e := m.wait(mark, "alarm", on(topic+channel+"/event/alarm")).json(t); e["channel"] != channel || e["device"] != lowerPlatform {
			t.Errorf("the alarm is %v", e)
		}
	}
	online := map[string]bool{}
	for mark := 0; len(online) < 10_000-100; {
		msg := m.waitFor(mark, time.Minute, "presence of each camera that is on", func(msg message) bool {
			mark++
			return strings.HasSuffix(msg.topic, "/presence") && string(msg.payload) == "online" && !online[msg.topic]
		})
		online[msg.topic] = true
	}
	catalog := m.reported(lowerPlatform, cameraID(13), "its place", func(r map[string]any) bool { return r["catalog"] != nil })["catalog"]
	for key, want := range map[string]any{"parent_id": recorderID(13) + "/" + orgID(3), "civil_code": treeRegion, "name": "相机13"} {
		if at(catalog, key) != want {
			t.Errorf("a channel's catalog.%s is %v, want %v", key, at(catalog, key), want)
		}
	}
	m.reported(lowerPlatform, cameraID(100), "off", func(r map[string]any) bool { return r["presence"] == "offline" && r["presence_reason"] == "status" })
	for _, node := range []string{treeRegion, treeGroup, orgID(0), lowerPlatform} {
		if doc := m.shadow(lowerPlatform, node); doc != nil {
			t.Errorf("%s is a node of the tree and has a shadow: %v", node, doc)
		}
		if got := m.messages(topic + node + "/presence"); len(got) != 0 {
			t.Errorf("%s is a node of the tree and is said to be %s", node, got[0].payload)
		}
	}
	checkTree(t, p)

	// The nodes are known after a restart too, without asking anybody.
	p.stop()
	d.Close()
	p = startIn(t, folder, baseConfig())
	checkTree(t, p)
}

// checkTree looks at the tree as the program draws it and as the console has it.
func checkTree(t *testing.T, p *program) {
	t.Helper()
	out, err := exec.CommandContext(within(t, time.Minute), gb2mqttBinary, "devices", lowerPlatform, "--tree", "--json", "--url", p.mqtt).Output()
	if err != nil {
		t.Fatalf("devices --tree: %v\n%s", err, out)
	}
	var drawn treeNode
	if err := json.Unmarshal(out, &drawn); err != nil {
		t.Fatalf("%v in %.200s", err, out)
	}
	if got, want := fmt.Sprint(drawn.count(map[string]int{})), "map[business_group:1 channel:9980 recorder:20 region:2 system:1 virtual_organisation:10]"; got != want {
		t.Errorf("the tree has %s, want %s", got, want)
	}
	recorder := "/" + lowerPlatform + "/34/" + treeRegion + "/" + recorderID(17)
	for id, want := range map[string][]string{
		cameraID(17): {recorder + "/" + cameraID(17), "/" + lowerPlatform + "/" + treeGroup + "/" + orgID(2) + "/" + orgID(7) + "/" + cameraID(17)},
		orgID(7):     {"/" + lowerPlatform + "/" + treeGroup + "/" + orgID(2) + "/" + orgID(7)},
	} {
		if got := drawn.places(id, ""); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s stands at %v, want %v", id, got, want)
		}
	}
	response, err := http.Get(p.http + "/console/devices/" + lowerPlatform + "/tree")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var page struct {
		Tree            treeNode
		Channels, Shown int
	}
	if err := json.Unmarshal(body, &page); err != nil {
		t.Fatalf("%v in %.200s", err, body)
	}
	if kinds := page.Tree.count(map[string]int{}); page.Channels != 10_000 || page.Shown != 1000 || kinds["region"] != 2 || kinds["virtual_organisation"] != 10 ||
		kinds["recorder"]+kinds["channel"] != 1000 {
		t.Errorf("the console shows %v, %d of %d channels", kinds, page.Shown, page.Channels)
	}
}
