package test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// lossy is a camera of which datagrams are lost, and the command that it is given.
type lossy struct {
	*camera.Device
	story commandStory
	args  string
	topic string

	mu   sync.Mutex
	done map[string]int // Control elements carried out
}

// carriedOut counts an element.
func (l *lossy) carriedOut(element, _ string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done[element]++
}

// repeated tells whether an element was carried out more often than once; none, whether
// nothing was.
func (l *lossy) repeated() (repeated, none bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.done {
		repeated = repeated || n > 1
	}
	return repeated, len(l.done) == 0
}

// lossyFleet is a camera for every command, all registered before anything is lost.
func lossyFleet(t *testing.T, p *program, share float64) []*lossy {
	t.Helper()
	var fleet []*lossy
	seen := map[string]bool{}
	for _, s := range commandStories {
		if seen[s.name] || s.name == "diagnose" { // which the bridge answers itself
			continue
		}
		seen[s.name] = true
		if s.name == "cruise_track" {
			s.args = `{"id":1}`
		}
		n := len(fleet) + 1
		l := &lossy{story: s, topic: "gb28181/" + deviceID(n) + "/", args: `{"timeout_ms":25000}`, done: map[string]int{}}
		if !s.device {
			l.topic += channelID(n, 0) + "/"
		}
		if s.args != "" {
			l.args = strings.TrimSuffix(l.args, "}") + "," + replaced(s.args[1:], channelID(n, 0))
		}
		l.Device = newCamera(t, p.udp, n, func(c *camera.Config) {
			fullCamera(camera.Edition2022)(c)
			c.Seed, c.Timeout, c.RecordsPerPacket, c.OnCommand = uint64(2000+n), 25*time.Second, 5, l.carriedOut
		})
		register(t, l.Device)
		fleet = append(fleet, l)
	}
	for _, l := range fleet {
		l.SetLoss(share)
	}
	return fleet
}

// asked counts the requests that came for a command, retransmissions aside.
func (l *lossy) asked() int {
	return count(l.Device, func(r *camera.Request) bool { return r.Root == "Query" || r.Root == "Control" })
}

// control tells whether the command asks the camera to do something.
func (l *lossy) control() bool {
	return count(l.Device, func(r *camera.Request) bool { return r.Root == "Control" }) > 0
}

// answer waits for the one answer of l's command, and returns its code; 0: accepted.
func (l *lossy) answer(m *client) float64 {
	accepted, rejected := on(l.topic+"cmd/"+l.story.name+"/accepted"), on(l.topic+"cmd/"+l.story.name+"/rejected")
	answer := m.waitFor(0, 90*time.Second, "answer to "+l.story.name, func(m message) bool { return accepted(m) || rejected(m) })
	code, _ := at(answer.json(m.t), "code").(float64)
	return code
}

// What is lost on UDP is sent again by either side within the transaction's time: no command is
// carried out twice, and each is answered once, with 408 where too much was lost.
func TestLostDatagramsLoseNoAnswerAndRepeatNoAction(t *testing.T) {
	for _, c := range []struct {
		share float64
		time  string // of a transaction
		least int    // commands in 100 that are accepted
	}{{0.1, "16s", 100}, {0.3, "16s", 75}, {1, "1s", 0}} {
		t.Run(fmt.Sprintf("%.0f%%", 100*c.share), func(t *testing.T) {
			t.Parallel()
			p := start(t, baseConfig().with("sip.transaction_timeout", c.time).with("devices.ptz_max", "10m").
				with("devices.on_register", []string{}).with("devices.subscribe", map[string]any{"catalog": "0s", "alarm": "0s"}))
			m := connect(t, p.mqtt, "gb28181/+/cmd/#", "gb28181/+/+/cmd/#")
			fleet := lossyFleet(t, p, c.share)
			for _, l := range fleet {
				m.publish(l.topic+"cmd/"+l.story.name, l.args)
			}
			accepted := 0
			for _, l := range fleet {
				code := l.answer(m)
				if code == 0 {
					accepted++
				} else if code != 408 {
					t.Errorf("%s: rejected with %v, want 408 or none", l.story.name, code)
				}
				if code == 0 && l.control() { // it is acknowledged, and then done
					eventually(t, l.story.name+" is carried out", func() bool { _, none := l.repeated(); return !none })
				}
			}
			for _, l := range fleet {
				if n := l.asked(); n > 1 {
					t.Errorf("%s: the camera was asked %d times", l.story.name, n)
				}
				if repeated, _ := l.repeated(); repeated {
					t.Errorf("%s: carried out %v", l.story.name, l.done)
				}
				if n := len(m.messages(l.topic+"cmd/"+l.story.name+"/accepted")) + len(m.messages(l.topic+"cmd/"+l.story.name+"/rejected")); n != 1 {
					t.Errorf("%s: %d answers", l.story.name, n)
				}
			}
			if 100*accepted < c.least*len(fleet) || c.share == 1 && accepted > 0 {
				t.Errorf("%d of %d commands were accepted, want %d %%", accepted, len(fleet), c.least)
			}
			t.Logf("%d of %d commands were accepted", accepted, len(fleet))
		})
	}
}
