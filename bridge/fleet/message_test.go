package fleet

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// serverRole names, in the environment, which of servers this test program is to be instead.
const serverRole = "GB2MQTT_TEST_SERVER"

var servers = map[string]func() int{}

func TestMain(m *testing.M) {
	if serve := servers[os.Getenv(serverRole)]; serve != nil {
		os.Exit(serve())
	}
	goleak.VerifyTestMain(m)
}

func TestAddressTellsWhoseAMessageIs(t *testing.T) {
	f, n := newFleet(t, testConfig(time.Minute), nil)
	if code := keepalive(f, cam, home); code != 403 {
		t.Errorf("not registered: %d", code)
	}
	register(f, cam, home, password, nil)
	n.take()
	moved := udp("192.168.1.64:61000")
	if code := keepalive(f, cam, moved); code != 200 {
		t.Errorf("another port: %d", code)
	}
	if d, _ := f.Device(cam); d.Path != moved {
		t.Errorf("not adopted: %v", d.Path)
	}
	if code := keepalive(f, cam, udp("10.9.9.9:5060")); code != 403 {
		t.Errorf("another address: %d", code)
	}
	if d, _ := f.Device(cam); d.Path != moved || d.Presence != Online {
		t.Errorf("changed by a stranger: %+v", d)
	}
	if a := f.Serve(request("MESSAGE", cam, moved)); a.Code != 200 {
		t.Errorf("without a body: %d", a.Code)
	}
	if a := f.Serve(request("PUBLISH", cam, moved)); a.Code != 405 {
		t.Errorf("unknown method: %d", a.Code)
	}
	n.want(t, "")
}

func TestKeepaliveAdoptsWhereThatIsConfigured(t *testing.T) {
	c := testConfig(2 * time.Second)
	c.AdoptOnKeepalive = true
	inTime(t, c, func(t *testing.T, f *Fleet, n *notes) {
		if a := f.Serve(request("MESSAGE", cam, home)); a.Code != 403 {
			t.Errorf("what is no keepalive: %d", a.Code)
		}
		if code := keepalive(f, cam, home); code != 200 {
			t.Errorf("got %d", code)
		}
		n.want(t, "unknown>online keepalive")
		if d, _ := f.Device(cam); d.Registered || !d.HasPath {
			t.Errorf("got %+v", d)
		}
		time.Sleep(6100 * time.Millisecond)
		n.want(t, "online>unknown keepalive_overdue; unknown>offline keepalive_lost")
	})
}

func TestMessagesAreAnsweredAndTold(t *testing.T) {
	inTime(t, testConfig(time.Minute), func(t *testing.T, f *Fleet, n *notes) {
		register(f, cam, home, password, nil)
		n.take()
		a, later := say(f, cam, home, 1, body("Response", "DeviceInfo", 1))
		if got := <-later; a.Code != 0 || got.Code != 200 {
			t.Errorf("got %+v, then %+v", a, got)
		}
		_, later = say(f, cam, home, 2, "<Notify")
		if got := <-later; got.Code != 400 {
			t.Errorf("unreadable: %+v", got)
		}
		synctest.Wait()
		n.want(t, "Response DeviceInfo 1;   0")
		if in := n.inbound[1]; in.Err == nil || in.MustStore() {
			t.Errorf("unreadable: %+v", in)
		}
		text := strings.Replace(body("Response", "DeviceInfo", 3), "</CmdType>", "</CmdType><Name>大门</Name>", 1)
		text = strings.Replace(text, `version="1.0"`, `version="1.0" encoding="UTF-8"`, 1)
		_, later = say(f, cam, home, 3, text)
		<-later
		synctest.Wait()
		if got := f.EncodingOf(cam); got != gb28181.UTF8 {
			t.Errorf("encoding %v", got)
		}
	})
}

func TestAKeepaliveIsNewsWhereItSaysThatSomethingIsWrongOrNoLonger(t *testing.T) {
	plain := func(sn int) string {
		return strings.Replace(body("Notify", "Keepalive", sn), "</Notify>", "<Status>OK</Status></Notify>", 1)
	}
	faulty := func(sn int) string {
		return strings.Replace(plain(sn), "</Notify>", "<Info><DeviceID>34020000001310000001</DeviceID></Info></Notify>", 1)
	}
	inTime(t, testConfig(time.Minute), func(t *testing.T, f *Fleet, n *notes) {
		register(f, cam, home, password, nil)
		n.take()
		for sn, text := range []string{plain(0), faulty(1), faulty(2), plain(3), plain(4)} {
			if a, later := say(f, cam, home, sn, text); a.Code == 0 {
				<-later
			}
			synctest.Wait()
		}
		n.want(t, "Notify Keepalive 1; Notify Keepalive 2; Notify Keepalive 3")
	})
	cfg := testConfig(time.Minute)
	cfg.TellKeepalives = true
	inTime(t, cfg, func(t *testing.T, f *Fleet, n *notes) {
		register(f, cam, home, password, nil)
		n.take()
		_, later := say(f, cam, home, 5, plain(5))
		<-later
		synctest.Wait()
		n.want(t, "Notify Keepalive 5")
	})
}

func TestWhatCannotBeAskedForAgainIsAnsweredByTheSink(t *testing.T) {
	inTime(t, testConfig(time.Minute), func(t *testing.T, f *Fleet, n *notes) {
		register(f, cam, home, password, nil)
		for i, cmd := range []string{"Alarm", "MediaStatus", "UploadSnapShotFinished", "DeviceUpgradeResult", "VideoUploadNotify"} {
			sn := 10 * i
			_, later := say(f, cam, home, sn, body("Notify", cmd, sn))
			synctest.Wait()
			in := n.inbound[len(n.inbound)-1]
			if !in.MustStore() || len(later) != 0 {
				t.Fatalf("%s is answered before it is stored", cmd)
			}
			if a, again := say(f, cam, home, sn, body("Notify", cmd, sn)); a.Code != 0 || len(again) != 0 {
				t.Errorf("repetition while pending: %+v", a)
			}
			in.Answer(500)
			in.Answer(200)
			if got := <-later; got.Code != 500 || len(later) != 0 {
				t.Errorf("got %+v", got)
			}
			_, later = say(f, cam, home, sn, body("Notify", cmd, sn))
			synctest.Wait()
			n.inbound[len(n.inbound)-1].Answer(200)
			if got := <-later; got.Code != 200 {
				t.Errorf("after a 500: %+v", got)
			}
			if a, _ := say(f, cam, home, sn, body("Notify", cmd, sn)); a.Code != 200 {
				t.Errorf("repetition once done: %+v", a)
			}
			if want := 2 * (i + 1); len(n.inbound) != want {
				t.Errorf("told %d times, want %d", len(n.inbound), want)
			}
		}
	})
}

func TestMessagesOfADeviceStayInOrder(t *testing.T) {
	inTime(t, testConfig(time.Minute), func(t *testing.T, f *Fleet, n *notes) {
		ids := []gb28181.ID{cam, mustID("34020000001320000002"), mustID("34020000001320000003")}
		for _, id := range ids {
			register(f, id, home, password, nil)
		}
		for sn := range 50 {
			for _, id := range ids {
				say(f, id, home, sn+1, body("Response", "Catalog", sn+1))
			}
			if sn%10 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		last := map[gb28181.ID]int64{}
		for _, in := range n.inbound {
			if in.Message.SN != last[in.Device]+1 {
				t.Fatalf("%v: %d after %d", in.Device, in.Message.SN, last[in.Device])
			}
			last[in.Device]++
		}
		if last[cam] != 50 {
			t.Errorf("%d of 50 told", last[cam])
		}
	})
}

func TestFloodHurtsItsDeviceAloneAndIsWorkedOffAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, n := newFleet(t, testConfig(time.Minute), nil)
		other := mustID("34020000001320000017") // of the same lane
		register(f, cam, home, password, nil)
		register(f, other, home, password, nil)
		n.take()
		refused := 0
		for sn := range 3 * deviceMax {
			if a, _ := say(f, cam, home, sn, body("Response", "Catalog", sn)); a.Code == 503 && a.RetryAfter > 0 {
				refused++
			}
		}
		if refused != 2*deviceMax {
			t.Errorf("%d refused, want %d", refused, 2*deviceMax)
		}
		if a, _ := say(f, other, home, 1, body("Response", "Catalog", 1)); a.Code != 0 {
			t.Errorf("the other device: %+v", a)
		}
		stop := start(f)
		stop()
		if len(n.inbound) != deviceMax+1 {
			t.Errorf("%d told, want %d", len(n.inbound), deviceMax+1)
		}
		if a, _ := say(f, cam, home, 1000, body("Response", "Catalog", 1)); a.Code != 503 {
			t.Errorf("after the end: %+v", a)
		}
	})
}

func TestKeepaliveThatChangesNothingAllocatesNothing(t *testing.T) {
	f, _ := newFleet(t, testConfig(time.Minute), nil)
	register(f, cam, home, password, nil)
	r := request("MESSAGE", cam, home)
	r.Body = []byte(aliveBody)
	if got := testing.AllocsPerRun(100, func() { f.Serve(r) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// BenchmarkKeepalive is a keepalive that changes nothing, of fleets that fit the caches of a
// processor and of those that do not, in an order that no cache guesses.
func BenchmarkKeepalive(b *testing.B) {
	for _, devices := range []int{1_000, 50_000, 1_000_000} {
		b.Run(fmt.Sprint(devices), func(b *testing.B) {
			f, _ := newFleet(b, testConfig(time.Minute), nil)
			f.Restore(onlineRecords(devices, home), time.Now())
			r := request("MESSAGE", cam, home)
			r.Body = []byte(aliveBody)
			serve := func(n int) {
				id := crowdID(n)
				copy(r.FromUser, id[:])
				if a := f.Serve(r); a.Code != 200 {
					b.Fatalf("device %d: %d", n, a.Code)
				}
			}
			for n := range devices { // heard for the first time since the restart
				serve(n)
			}
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				serve(n)
				n = (n + 611_953) % devices // a prime
			}
		})
	}
}

// crowdID is the ID of device n of a crowd.
func crowdID(n int) gb28181.ID {
	id := gb28181.ID([]byte("34020000001320000000"))
	for i := gb28181.IDLength - 1; n > 0; i, n = i-1, n/10 {
		id[i] = byte('0' + n%10)
	}
	return id
}

// onlineRecords are devices that registered by path.
func onlineRecords(devices int, path sip.Path) []Record {
	now := time.Now()
	records := make([]Record, devices)
	for n := range records {
		id := crowdID(n)
		records[n] = Record{
			Device: id, Registered: true, Presence: Online, Reason: ReasonRegistered, Since: now, LastSeen: now, Path: path,
			Registration: Registration{Device: id, At: now, Expires: 86400, ExpiresAt: now.Add(24 * time.Hour), Path: path, UserAgent: "IPC"},
		}
	}
	return records
}

func FuzzServe(f *testing.F) {
	f.Add("MESSAGE", []byte(cam.String()), []byte(aliveBody), []byte(nil), 0, "192.168.1.64:5060")
	f.Add("REGISTER", []byte(cam.String()), []byte(nil), []byte("Digest x"), 60, "192.168.1.64:5060")
	f.Add("NOTIFY", []byte("x"), []byte("<a>"), []byte(nil), -1, "[::1]:1")
	f.Fuzz(func(t *testing.T, method string, from, body, authorization []byte, expires int, remote string) {
		fl, n := newFleet(t, testConfig(time.Minute), nil)
		register(fl, cam, home, password, nil)
		n.take()
		p := home
		if err := p.Remote.UnmarshalText([]byte(remote)); err != nil {
			return
		}
		a := fl.Serve(&sip.Request{Method: method, FromUser: from, Body: body, Authorization: authorization, Expires: expires, Path: p})
		if a.Code == 200 && method == "REGISTER" {
			t.Errorf("registered without the password: %q", authorization)
		}
		if d, _ := fl.Device(cam); !d.Registered || d.Presence != Online {
			t.Errorf("got %+v", d)
		}
	})
}
