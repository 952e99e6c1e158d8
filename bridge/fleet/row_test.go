package fleet

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

func someRecord() Record {
	at := time.Unix(1_795_590_887, 123_456_789)
	tcp := sip.Path{Network: sip.TCP, Remote: netip.MustParseAddrPort("[2001:db8::7]:40001"), Local: netip.MustParseAddrPort("[2001:db8::1]:5060"), Conn: 77}
	return Record{
		Device: cam, Registered: true, Presence: Online, Reason: ReasonKeepalive, Since: at, LastSeen: at.Add(time.Second),
		Heartbeat: Heartbeat{Interval: 30 * time.Second, Misses: 4}, Encoding: gb28181.GB18030, Path: tcp,
		Registration: Registration{
			Device: cam, At: at.Add(-time.Hour), Expires: 3600, ExpiresAt: at.Add(time.Minute), Path: home, UserAgent: "摄像机", GBVersion: "3.0",
		},
	}
}

func TestRecordIsReadAsItWasStored(t *testing.T) {
	whole := someRecord()
	bare := Record{Device: mustID("34020000001320000009"), Registration: Registration{Device: mustID("34020000001320000009")}}
	same := someRecord()
	same.Path, same.Adopted = same.Registration.Path, true
	for _, r := range []Record{whole, bare, same} {
		if got, want := fmt.Sprintf("%+v", stored(t, r)), fmt.Sprintf("%+v", r); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestRowOfAnEarlierVersionIsRead(t *testing.T) {
	row := `{"device":"` + cam.String() + `","registered":true,"at":"2026-11-25T09:00:00Z","expires":3600,"expires_at":"2026-11-25T10:00:00Z",` +
		`"from":{"Network":1,"Remote":"192.0.2.7:5060","Local":"192.0.2.1:5060","Conn":0},"user_agent":"IPC","presence":1,"reason":"registered",` +
		`"since":"2026-11-25T09:00:00Z","heartbeat":{"interval":60000000000,"misses":3},"path":{"Network":1,"Remote":"192.0.2.7:5060","Local":"192.0.2.1:5060","Conn":0}}`
	var r Record
	if err := r.UnmarshalBinary([]byte(row)); err != nil {
		t.Fatal(err)
	}
	if r.Device != cam || !r.Registered || r.Presence != Online || r.Registration.UserAgent != "IPC" || r.Path != r.Registration.Path ||
		r.Path.Remote.String() != "192.0.2.7:5060" || r.Heartbeat.Misses != 3 || r.Registration.ExpiresAt.Sub(r.Since) != time.Hour {
		t.Errorf("read as %+v", r)
	}
}

func TestRowOfAChannelOfAnEarlierVersionIsRead(t *testing.T) {
	var c Channel
	row := `{"id":"` + cam.String() + `","status":"OFF","online":false,"vanished_at":"2026-11-25T09:00:00Z"}`
	if err := c.UnmarshalBinary([]byte(row)); err != nil || c.ID != cam || c.Status != "OFF" || c.VanishedAt.Unix() != 1_795_597_200 {
		t.Errorf("read as %+v, %v", c, err)
	}
	for _, broken := range []string{"", "\x01", "\x02\x00", "\x01\x00" + cam.String() + "\x00\x05OF", "{"} {
		if err := c.UnmarshalBinary([]byte(broken)); err == nil {
			t.Errorf("%q was read as %+v", broken, c)
		}
	}
}

func FuzzRow(f *testing.F) {
	row, err := someRecord().MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	for n := range len(row) + 1 {
		f.Add(row[:n])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Record
		if r.UnmarshalBinary(b) != nil || b[0] == '{' {
			return
		}
		if len(b) < len(row) && string(b) == string(row[:len(b)]) {
			t.Fatal("the beginning of a row was taken for a whole one")
		}
		if got, want := fmt.Sprintf("%+v", stored(t, r)), fmt.Sprintf("%+v", r); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}
