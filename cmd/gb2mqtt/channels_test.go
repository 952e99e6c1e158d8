package main

import (
	"encoding/json"
	"fmt"
	"testing"
)

func TestDevicesListsTheChannelsOfOneAndDrawsTheirTree(t *testing.T) {
	f := newFakeBridge(t)
	base := "gb28181/" + cameraID
	f.retain("gb28181/bridge/state", "online")
	f.retain(base+"/presence", "online")
	f.retain(base+"/state", `{"presence":"online"}`)
	f.retain(base+"/"+channelID+"/presence", "offline")
	f.retain(base+"/"+channelID+"/state", `{"presence":"offline","presence_reason":"status","status":"VLOST",
		"catalog":{"name":"大门","manufacturer":"Acme","model":"X1","parent_id":"34020000002160000001"},"ts":1,"version":3}`)
	f.retain(base+"/34020000001310000002/presence", "online")
	f.on(base+"/cmd/tree", func(body map[string]any, token string) { // two pages
		node, next := `{"device_id":"34020000002150000001","kind":"business_group","name":"治安"}`, `,"next":"1"`
		if body["next"] != nil {
			node, next = `{"device_id":"34020000002160000001","kind":"virtual_organisation","name":"一组","business_group_id":"34020000002150000001"}`, ""
		}
		f.tell(base+"/cmd/tree/accepted", fmt.Sprintf(`{"clientToken":"%%TOKEN","timestamp":1,"result":{"nodes":[%s]%s}}`, node, next), token)
	})

	code, out, errs := f.run("devices", cameraID)
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	expect(t, "the table", out, "PARENT", channelID, "大门", "offline", "status", "VLOST", "Acme X1", "34020000002160000001", "34020000001310000002")
	_, out, _ = f.run("devices", cameraID, "--json")
	var rows []channelRow
	if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != 2 || rows[0].Status != "VLOST" || rows[1].Presence != "online" {
		t.Errorf("%v: %s", err, out)
	}
	code, out, errs = f.run("devices", cameraID, "--tree")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	if want := cameraID + `
├─ 34020000002150000001 治安 (business group)
│  └─ 34020000002160000001 一组 (virtual organisation)
│     └─ ` + channelID + ` 大门 offline
└─ 34020000001310000002 online
`; out != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
	if code, out, _ = f.run("devices", "34020000001320000009"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	expect(t, "a device without channels", out, "has no channels here")
}
