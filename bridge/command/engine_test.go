package command

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/guard"
	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

func TestEverySIPAnswerBecomesItsCode(t *testing.T) {
	for _, c := range []struct {
		sip  int
		err  error
		want int
		says string
	}{
		{sip: 200, want: 200}, {sip: 202, want: 200},
		{sip: 400, want: 502, says: "400"}, {sip: 403, want: 502, says: "403"}, {sip: 404, want: 404, says: "404"},
		{sip: 405, want: 501}, {sip: 415, want: 501}, {sip: 501, want: 501},
		{sip: 408, want: 408}, {sip: 480, want: 503}, {sip: 486, want: 503}, {sip: 503, want: 503},
		{sip: 481, want: 502}, {sip: 500, want: 502, says: "500"}, {sip: 606, want: 502},
		{err: sip.ErrTimeout, want: 408}, {err: sip.ErrNoPath, want: 503, says: "path"}, {err: sip.ErrClosed, want: 503, says: "stopping"},
		{err: errors.New("socket"), want: 500, says: "socket"},
	} {
		story(t, Default(), func(t *testing.T, d *device) {
			d.code, d.err = c.sip, c.err
			_, why := d.do(channel, "ptz", `{"pan":0}`)
			if code(why) != c.want || why != nil && !strings.Contains(why.Message, c.says) {
				t.Errorf("SIP %d %v: %v, want %d with %q", c.sip, c.err, why, c.want, c.says)
			}
		})
	}
}

func TestADeviceThatIsNotThereIsRefusedAtOnce(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		d.set(func(d *device) { d.peer.Online, d.peer.Presence, d.peer.Reason = false, "unknown", "keepalive_overdue" })
		_, why := d.do(cam, "device_info", "")
		if code(why) != 503 || !strings.Contains(why.Message, "unknown (keepalive_overdue)") {
			t.Errorf("%v, want 503 with presence and reason", why)
		}
		d.set(func(d *device) { d.peer.Online, d.peer.HasPath = true, false })
		if _, why := d.do(cam, "device_info", ""); code(why) != 503 || !strings.Contains(why.Message, "path") {
			t.Errorf("%v, want 503 for want of a path", why)
		}
		if _, why := d.engine.Do(t.Context(), gb28181.ID{}, cam, d.parse(cam, "device_info", "")); code(why) != 404 {
			t.Errorf("%v for a stranger, want 404", why)
		}
		if n := len(d.requests()); n != 0 {
			t.Errorf("%d requests went out", n)
		}
	})
}

func TestAnAnswerIsPairedByItsSN(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		d.reply = func(d *device, s sent) {
			if d.say(response("DeviceInfo", s.sn+100, "<Model>foreign</Model>")) && s.sn < 3 {
				t.Error("an answer with a foreign SN was taken while two wait")
			}
			time.Sleep(time.Duration(3-s.sn) * time.Second) // the second answer comes first
			d.say(response("DeviceInfo", s.sn, "<Result>OK</Result><DeviceName>by "+string(rune('0'+s.sn))+"</DeviceName>"))
		}
		answers := make(chan string, 2)
		for i := range 2 {
			go func() {
				r, why := d.do(cam, "device_info", "")
				if why != nil || len(r.Messages) != 1 {
					t.Errorf("request %d: %v", i, why)
					answers <- ""
					return
				}
				answers <- r.Messages[0].CmdType
			}()
		}
		<-answers
		<-answers
		got := d.requests()
		if len(got) != 2 || got[0].sn+got[1].sn != 3 || got[0].sn == got[1].sn { // in whatever order they went out
			t.Errorf("sent %+v, want SN 1 and 2", got)
		}
	})
}

func TestAWrongSNIsTakenWhenOneOfItsCmdTypeWaits(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		d.reply = func(d *device, _ sent) {
			if d.say(response("DeviceStatus", 4711, "<Result>OK</Result>")) {
				t.Error("an answer of another CmdType was taken")
			}
			d.say(response("DeviceInfo", 0, "<Result>OK</Result><Model>X1</Model>"))
		}
		if _, why := d.do(cam, "device_info", ""); why != nil {
			t.Error(why)
		}
		if d.say(response("DeviceInfo", 1, "")) {
			t.Error("a second answer was taken though nobody waits")
		}
	})
}

func TestABodyInThe200CountsAsTheResponse(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		d.inSIP = "<Response><CmdType>DeviceInfo</CmdType><SN>SN?</SN><DeviceID>" + cam + "</DeviceID><Result>OK</Result></Response>"
		if _, why := d.do(cam, "device_info", ""); why != nil {
			t.Error(why)
		}
	})
}

func TestAResponseOvertakesALost200(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		d.err, d.rtt = sip.ErrTimeout, 4*time.Second
		go func() {
			time.Sleep(time.Second)
			d.say(response("DeviceControl", 1, "<Result>OK</Result>"))
		}()
		if _, why := d.do(channel, "record", `{"on":true}`); why != nil {
			t.Error(why)
		}
	})
}

func TestARefusalIs502WithItsText(t *testing.T) {
	for _, c := range []struct{ name, args, result, says string }{
		{"guard", `{"on":true}`, "<Result>ERROR</Result><Reason>no zone</Reason>", "no zone"},
		{"device_status", "", "<Result>Failed</Result>", "Failed"},
		{"presets", "", "<Result>ERROR</Result>", "ERROR"},
	} {
		story(t, Default(), func(t *testing.T, d *device) {
			d.reply = func(d *device, s sent) {
				d.say(response(d.parse(cam, c.name, c.args).CmdType, s.sn, c.result))
			}
			if _, why := d.do(cam, c.name, c.args); code(why) != 502 || !strings.Contains(why.Message, c.says) {
				t.Errorf("%s: %v, want 502 with %q", c.name, why, c.says)
			}
		})
	}
}

// Whether an unasked Response with ERROR comes before the 200, with it or after it must make no
// difference; where the 200 is lost, it is all that is known.
func TestThe200DecidesWhatNeedsNoResponse(t *testing.T) {
	for _, c := range []struct {
		says time.Duration // when the Response comes; the 200 comes after a second
		err  error
		want int
	}{
		{500 * time.Millisecond, nil, 200}, {time.Second, nil, 200}, {1500 * time.Millisecond, nil, 200},
		{500 * time.Millisecond, sip.ErrTimeout, 502},
	} {
		story(t, Default(), func(t *testing.T, d *device) {
			d.rtt, d.err = time.Second, c.err
			said := make(chan struct{})
			go func() {
				defer close(said)
				time.Sleep(c.says)
				d.say(response("DeviceControl", 1, "<Result>ERROR</Result>"))
			}()
			if _, why := d.do(channel, "preset", `{"action":"call","id":3}`); code(why) != c.want {
				t.Errorf("ERROR after %v, 200 %v: %v, want %d", c.says, c.err, why, c.want)
			}
			<-said
		})
	}
}

func TestAnErrorInsideThe200Refuses(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		d.inSIP = "<Response><CmdType>DeviceControl</CmdType><SN>SN?</SN><DeviceID>" + cam + "</DeviceID><Result>ERROR</Result></Response>"
		if _, why := d.do(channel, "preset", `{"action":"call","id":3}`); code(why) != 502 {
			t.Errorf("%v, want 502", why)
		}
	})
}

func TestAStatusThatRefusesIsFinalWhateverCameBefore(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		d.code, d.rtt = 400, time.Second
		go func() {
			time.Sleep(500 * time.Millisecond)
			d.say(response("DeviceControl", 1, "<Result>OK</Result>"))
		}()
		if _, why := d.do(channel, "record", `{"on":true}`); code(why) != 502 || !strings.Contains(why.Message, "400") {
			t.Errorf("%v, want 502 with the 400", why)
		}
	})
}

// Some recorders answer one of two that are asked at the same time (Dahua).
func TestRecordingsAreAskedForOneAtATime(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		asked := make(chan sent, 10)
		d.reply = func(_ *device, s sent) { asked <- s }
		done := make(chan *mapping.Error, 3)
		for _, target := range []string{channel, cam, channel} {
			d.engine.Start(d.id, target, d.parse(target, "records", `{"start":"2026-09-23","end":"2026-09-24"}`), func(_ Result, why *mapping.Error) { done <- why })
		}
		d.engine.Start(d.id, cam, d.parse(cam, "presets", ""), func(Result, *mapping.Error) {})
		for i := range 3 {
			time.Sleep(time.Second)
			synctest.Wait()
			if n := len(d.requests()); n != i+2 { // the presets go beside them
				t.Fatalf("%d requests with %d answers, want %d", n, i, i+2)
			}
			s := <-asked
			if !strings.Contains(s.body, "RecordInfo") {
				s = <-asked
			}
			d.say(response("RecordInfo", s.sn, "<SumNum>0</SumNum>"))
			if why := <-done; why != nil {
				t.Error(why)
			}
		}
	})
}

func TestSilenceAfterThe200Is408(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		begun := time.Now()
		_, why := d.do(cam, "guard", `{"on":false,"timeout_ms":2500}`)
		if code(why) != 408 || !strings.Contains(why.Message, "SIP 200") {
			t.Errorf("%v, want 408 that tells of the 200", why)
		}
		if took := time.Since(begun); took != 2500*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

func TestBeyondTheLimitsIs429(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		codes := make(chan int, 100)
		for range 50 {
			d.engine.Start(d.id, cam, d.parse(cam, "device_info", ""), func(_ Result, why *mapping.Error) { codes <- code(why) })
		}
		synctest.Wait()
		if n := len(codes); n != 50-4-32 {
			t.Errorf("%d were refused at once, want 14", n)
		}
		for range 50 - 4 - 32 {
			if c := <-codes; c != 429 {
				t.Errorf("%d, want 429", c)
			}
		}
		if n := len(d.requests()); n != 4 {
			t.Errorf("%d are under way, want 4", n)
		}
		d.set(func(d *device) {
			d.reply = func(d *device, s sent) { d.say(response("DeviceInfo", s.sn, "<Result>OK</Result>")) }
		})
		for _, s := range d.requests() {
			d.say(response("DeviceInfo", s.sn, "<Result>OK</Result>"))
		}
		for range 36 {
			if c := <-codes; c != 200 {
				t.Errorf("%d, want 200", c)
			}
		}
		if d.most > 4 {
			t.Errorf("%d at once", d.most)
		}
	})
}

func TestNoQueryHoldsPTZUp(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		for range 40 { // as much as the common lane takes, and more
			d.engine.Start(d.id, cam, d.parse(cam, "device_info", ""), func(Result, *mapping.Error) {})
		}
		begun := time.Now()
		if _, why := d.do(channel, "ptz", `{"pan":10,"duration_ms":100}`); why != nil || time.Since(begun) > d.rtt {
			t.Errorf("%v after %v", why, time.Since(begun))
		}
	})
}

func TestPTZOfOneCameraKeepsItsOrder(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		d.rtt = time.Second
		done := make(chan int, 3)
		for i, args := range []string{`{"pan":1}`, `{"pan":2}`, `{"pan":0}`} {
			d.engine.Start(d.id, channel, d.parse(channel, "ptz", args), func(Result, *mapping.Error) { done <- i })
		}
		for want := range 3 {
			if i := <-done; i != want {
				t.Errorf("command %d ended as number %d", i, want)
			}
		}
		if d.most != 1 {
			t.Errorf("%d at once to one camera", d.most)
		}
	})
}

func TestTimeoutsOpenTheBreakerAndAnAnswerClosesIt(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		d.set(func(d *device) { d.err, d.rtt = sip.ErrTimeout, 4*time.Second })
		for range 3 {
			d.do(cam, "reboot", "")
		}
		begun := time.Now()
		_, why := d.do(cam, "reboot", "")
		if code(why) != 503 || !strings.Contains(why.Message, "tried again at") || time.Since(begun) != 0 {
			t.Fatalf("%v after %v, want 503 at once with the time of the next try", why, time.Since(begun))
		}
		d.set(func(d *device) { d.err, d.rtt = nil, 10*time.Millisecond })
		time.Sleep(6 * time.Second)
		if _, why := d.do(cam, "reboot", ""); why != nil {
			t.Error(why)
		}
		if got := d.engine.o.Breakers.State(cam).String(); got != "closed" {
			t.Errorf("breaker %s", got)
		}
	})
}

func TestOutcomesAsTheBreakerCountsThem(t *testing.T) {
	for _, c := range []struct {
		code int
		err  error
		want guard.Outcome
	}{
		{err: sip.ErrTimeout, want: guard.Timeout}, {code: 408, want: guard.Timeout},
		{code: 480, want: guard.Failure}, {code: 500, want: guard.Failure}, {code: 501, want: guard.Failure},
		{code: 503, want: guard.Failure}, {code: 504, want: guard.Failure}, {err: sip.ErrNoPath, want: guard.Failure},
		{code: 200, want: guard.Success}, {code: 302, want: guard.Success}, {code: 400, want: guard.Success},
		{code: 403, want: guard.Success}, {code: 404, want: guard.Success}, {code: 481, want: guard.Success},
		{code: 486, want: guard.Success}, {code: 603, want: guard.Success},
		{err: context.Canceled, want: guard.Withdrawn}, {err: context.DeadlineExceeded, want: guard.Withdrawn},
		{err: sip.ErrClosed, want: guard.Withdrawn},
	} {
		if got := outcome(sip.Response{Code: c.code}, c.err); got != c.want {
			t.Errorf("code %d, %v: outcome %d, want %d", c.code, c.err, got, c.want)
		}
	}
}

func TestRefusalsOfTheDeviceDoNotOpenTheBreaker(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		d.code = 403
		for range 20 {
			if _, why := d.do(cam, "reboot", ""); code(why) != 502 {
				t.Fatalf("%v, want 502 each time", why)
			}
		}
	})
}

func TestStoppingAnswersEveryCommandOnce(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		codes := make(chan *mapping.Error, 100)
		for range 20 {
			d.engine.Start(d.id, cam, d.parse(cam, "device_info", ""), func(_ Result, why *mapping.Error) { codes <- why })
		}
		time.Sleep(time.Second)
		d.stop()
		if err := <-d.ended; err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(codes) != 20 {
			t.Fatalf("%d answers of 20", len(codes))
		}
		for range 20 {
			if why := <-codes; code(why) != 503 || why.Message != "the bridge is stopping" {
				t.Errorf("%v", why)
			}
		}
		if _, why := d.do(cam, "device_info", ""); code(why) != 503 {
			t.Errorf("%v after the end, want 503", why)
		}
	})
}

func TestACallerThatGivesUpFreesItsPlace(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, why := d.engine.Do(ctx, d.id, cam, d.parse(cam, "device_info", "")); code(why) != 408 {
			t.Errorf("%v, want 408", why)
		}
		if len(d.engine.lanes) != 0 || len(d.engine.waiters) != 0 {
			t.Errorf("%d lanes and %d waiters left", len(d.engine.lanes), len(d.engine.waiters))
		}
	})
}

func TestSNStaysSmall(t *testing.T) {
	story(t, Default(), func(t *testing.T, d *device) {
		d.engine.sns[d.id] = maxSN - 1
		for range 2 {
			d.do(cam, "reboot", "")
		}
		if got := d.requests(); got[0].sn != maxSN || got[1].sn != 1 {
			t.Errorf("SN %d, %d, want %d and then 1", got[0].sn, got[1].sn, maxSN)
		}
	})
}
