package test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// alarmBody is an alarm about subject.
func alarmBody(sn int, subject, at string) string {
	return fmt.Sprintf("<Notify><CmdType>Alarm</CmdType><SN>%d</SN><DeviceID>%s</DeviceID><AlarmPriority>1</AlarmPriority>"+
		"<AlarmMethod>5</AlarmMethod><AlarmTime>%s</AlarmTime><Info><AlarmType>2</AlarmType></Info></Notify>", sn, subject, at)
}

func TestAnAlarmThatComesByMessageAndByNotifyIsOneEvent(t *testing.T) {
	p := start(t, baseConfig())
	d := newCamera(t, p.udp, 1, nil)
	topic := "gb28181/" + d.ID()
	m := connect(t, p.mqtt, topic+"/#")
	register(t, d)
	m.wait(0, "channel", on(topic+"/"+channelID(1, 0)+"/presence", "online"))
	mark := m.mark()
	send := func(sn int, at string) {
		t.Helper()
		if code, err := d.SendXML(within(t, 5*time.Second), alarmBody(sn, channelID(1, 0), at)); err != nil || code != 200 {
			t.Fatalf("alarm got %d, %v", code, err)
		}
	}
	send(101, "2026-09-23T08:00:00")
	notify := alarmBody(102, channelID(1, 0), "2026-09-23T08:00:00")
	if err := d.Write(fmt.Appendf(nil, "NOTIFY sip:%s@%s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bKtwin\r\n"+
		"From: <sip:%s@%s>;tag=n\r\nTo: <sip:%s@%s>;tag=s\r\nCall-ID: twin\r\nCSeq: 2 NOTIFY\r\nEvent: presence\r\n"+
		"Subscription-State: active;expires=600\r\nContent-Type: Application/MANSCDP+xml\r\nContent-Length: %d\r\n\r\n%s",
		serverID, domain, d.ID(), domain, serverID, domain, len(notify), notify)); err != nil {
		t.Fatal(err)
	}
	for _, sn := range []string{"101", "102"} { // both are confirmed, or the device repeats them
		obeyed(t, d, "the Response to alarm "+sn, func(r *camera.Request) bool {
			return r.Root == "Response" && r.CmdType == "Alarm" && r.SN == sn && r.DeviceID == channelID(1, 0)
		})
	}
	send(103, "2026-09-23T08:00:00") // another one by the same method is another alarm
	send(104, "2026-09-23T08:00:07")
	last := m.wait(mark, "the last alarm", func(x message) bool {
		return x.topic == topic+"/"+channelID(1, 0)+"/event/alarm" && x.json(t)["alarm_time"] == 1790121607000.0
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, x := range m.inbox[mark:] {
		if x.topic == last.topic {
			n++
		}
	}
	if n != 3 {
		t.Errorf("%d events of 3 alarms, the first of which came by both methods", n)
	}
}

// A device speaks for itself and its channels: whatever else it names is a field, not a topic.
func TestAnAlarmAboutWhatIsNotTheDevicesIsItsOwn(t *testing.T) {
	p := start(t, baseConfig())
	d, other := newCamera(t, p.udp, 1, nil), newCamera(t, p.udp, 2, nil)
	topic := "gb28181/" + d.ID()
	m := connect(t, p.mqtt, "gb28181/#")
	register(t, d)
	register(t, other)
	for n := 1; n <= 2; n++ {
		m.wait(0, "channel", on("gb28181/"+deviceID(n)+"/"+channelID(n, 0)+"/presence", "online"))
	}
	for i, subject := range []string{other.ID(), channelID(2, 0), "34020000001340000001", "gate 7"} {
		mark := m.mark()
		if code, err := d.SendXML(within(t, 5*time.Second), alarmBody(i+1, subject, "2026-09-23T08:00:00")); err != nil || code != 200 {
			t.Fatalf("alarm got %d, %v", code, err)
		}
		e := m.wait(mark, "alarm", func(x message) bool { return x.topic == topic+"/event/alarm" }).json(t)
		if e["device_id"] != subject || e["channel"] != nil {
			t.Errorf("about %s: %v", subject, e)
		}
	}
}
