package test

import (
	"fmt"
	"testing"
)

// What is notified is told by its body and by who sends it; all else about it devices get wrong.
func TestNotificationsAreTakenAsDevicesSendThem(t *testing.T) {
	p := start(t, baseConfig())
	m := connect(t, p.mqtt, "gb28181/#")
	r := dialRaw(t, p.udp, "")
	id, channel := deviceID(1), channelID(1, 0)
	if a := r.register(id, sipPassword, "X-Acme-Site: north"); a.code != 200 {
		t.Fatalf("got\n%s", a.text)
	}
	if e := m.wait(0, "registered", on("gb28181/"+id+"/event/registered")).json(t); at(e, "headers.X-Acme-Site") != "north" {
		t.Errorf("the vendor's header is not in %v", e)
	}
	position := func(root string, n int) string {
		return fmt.Sprintf("<%s><CmdType>MobilePosition</CmdType><SN>1</SN><DeviceID>%s</DeviceID><Longitude>%d</Longitude><Latitude>2</Latitude></%s>", root, id, n, root)
	}
	active := []string{"Event: presence;id=5936", "Subscription-State: active;expires=600"}
	for i, c := range []struct {
		name    string
		method  string
		to      string
		cseq    string
		headers []string
		root    string
	}{
		{name: "as it should be", method: "NOTIFY", to: "<sip:" + serverID + "@" + domain + ">;tag=p", headers: active},
		{name: "outside any dialog", method: "NOTIFY", headers: active},
		{name: "without Event and Subscription-State", method: "NOTIFY"},
		{name: "with the Event of a catalogue", method: "NOTIFY", headers: []string{"Event: Catalog;id=1", "Subscription-State: active"}},
		{name: "with a CSeq that begins anew", method: "NOTIFY", cseq: "1", headers: active},
		{name: "as a MESSAGE", method: "MESSAGE"},
		{name: "with the root Response", method: "NOTIFY", headers: active, root: "Response"},
	} {
		mark, root := m.mark(), "Notify"
		if c.root != "" {
			root = c.root
		}
		q := request{method: c.method, from: from(id), to: c.to, cseq: c.cseq, headers: c.headers, body: position(root, i)}
		if a := r.send(q); a.code != 200 {
			t.Errorf("%s: got\n%s", c.name, a.text)
			continue
		}
		if e := m.wait(mark, c.name, on("gb28181/"+id+"/event/position")).json(t); e["longitude"] != float64(i) {
			t.Errorf("%s: %v", c.name, e)
		}
	}

	// A first NOTIFY may have no body, and one that ends a subscription need have none.
	for _, state := range []string{"active;expires=600", "terminated;reason=timeout", "terminated"} {
		if a := r.send(request{method: "NOTIFY", from: from(id), headers: []string{"Event: Catalog", "Subscription-State: " + state}}); a.code != 200 {
			t.Errorf("%s without a body got\n%s", state, a.text)
		}
	}
	mark := m.mark()
	if a := r.send(request{method: "NOTIFY", from: from(id), headers: append(active, "X-Acme-Zone: 7"), body: alarmBody(7, channel, "2026-09-23T08:00:00")}); a.code != 200 {
		t.Errorf("an alarm by NOTIFY got\n%s", a.text)
	}
	// Its catalogue is not known: it may name any channel.
	if e := m.wait(mark, "the alarm", on("gb28181/"+id+"/"+channel+"/event/alarm")).json(t); at(e, "headers.X-Acme-Zone") != "7" {
		t.Errorf("the vendor's header is not in %v", e)
	}
}
