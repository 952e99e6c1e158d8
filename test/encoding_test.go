package test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A device is written to in what it speaks itself; one of which nothing but ASCII has been seen, in
// what its edition names; and whatever it speaks, in what its quirks say.
func TestADeviceIsWrittenToInWhatItSpeaks(t *testing.T) {
	const gbk, utf8, gate, gateGBK = "\xb4\xf3\xc3\xc5", "大门", "东门", "\xb6\xab\xc3\xc5"
	p := start(t, baseConfig().with("devices.on_register", []string{}).
		with("devices.subscribe", map[string]string{"catalog": "0s", "alarm": "0s", "position": "0s"}).
		with("devices.quirks", map[string]any{deviceID(7): map[string]any{"encoding": "gb18030"}, deviceID(8): map[string]any{"gb_version": "3.0"}}))
	m := connect(t, p.mqtt, "gb28181/+/event/alarm")
	for i, c := range []struct {
		name, version  string
		declared, said string // of what it says; "" for nothing
		want, bytes    string // of what it is told
	}{
		{"speaks GBK", "", "GB2312", gbk, "GB2312", gateGBK},
		{"speaks GB 18030", "", "GB18030", gbk, "GB18030", gateGBK},
		{"speaks UTF-8", "", "UTF-8", utf8, "UTF-8", gate},
		{"speaks UTF-8 and says GB2312", "", "GB2312", utf8, "UTF-8", gate},
		{"of 2016, has said nothing", "2.0", "", "", "GB2312", gateGBK},
		{"of 2022, has said nothing", "3.0", "", "", "GB18030", gateGBK},
		{"speaks UTF-8, reads GB 18030", "3.0", "UTF-8", utf8, "GB18030", gateGBK},
		{"of 2022, says nothing of it", "", "", "", "GB18030", gateGBK},
	} {
		id, r := deviceID(i+1), dialRaw(t, p.udp, "")
		var headers []string
		if c.version != "" {
			headers = append(headers, "X-GB-Ver: "+c.version)
		}
		if a := r.register(id, sipPassword, headers...); a.code != 200 {
			t.Fatalf("%s: got\n%s", c.name, a.text)
		}
		if c.said != "" {
			mark := m.mark()
			body := fmt.Sprintf(`<?xml version="1.0" encoding="%s"?>`, c.declared) +
				strings.Replace(alarmBody(1, id, "2026-09-23T08:00:00"), "<Info>", "<AlarmDescription>"+c.said+"</AlarmDescription><Info>", 1)
			if a := r.send(request{method: "MESSAGE", from: from(id), body: body}); a.code != 200 {
				t.Errorf("%s: its alarm got\n%s", c.name, a.text)
			}
			if e := m.wait(mark, "its alarm", on("gb28181/"+id+"/event/alarm")).json(t); e["alarm_description"] != utf8 {
				t.Errorf("%s: its alarm says %v", c.name, e["alarm_description"])
			}
		}
		m.publish("gb28181/"+id+"/cmd/preset", map[string]any{"action": "set", "id": 5, "name": gate})
		told := ""
		for deadline := time.Now().Add(10 * time.Second); !strings.Contains(told, "<PTZCmd>"); { // the Response to the alarm comes first
			told = r.read(deadline).text
		}
		if !strings.Contains(told, `encoding="`+c.want+`"`) || !strings.Contains(told, "<PresetName>"+c.bytes+"</PresetName>") {
			t.Errorf("%s: it is told %q, want %s", c.name, told, c.want)
		}
	}
}
