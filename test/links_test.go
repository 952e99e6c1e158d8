package test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// mosquitto is a foreign MQTT server that can be killed and started again.
type mosquitto struct {
	t         *testing.T
	path      string
	conf, url string
	cmd       *exec.Cmd
}

// newMosquitto returns nil where none is installed.
func newMosquitto(t *testing.T) *mosquitto {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/mosquitto"); err != nil {
			return nil
		}
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	m := &mosquitto{t: t, path: path, conf: filepath.Join(t.TempDir(), "mosquitto.conf"), url: "tcp://" + address}
	text := fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\nuser root\nmax_queued_messages 0\n", port)
	if err := os.WriteFile(m.conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.kill)
	return m
}

func (m *mosquitto) start() {
	m.t.Helper()
	m.cmd = exec.Command(m.path, "-c", m.conf)
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		c, err := net.Dial("tcp", strings.TrimPrefix(m.url, "tcp://"))
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("mosquitto does not listen: %v", err)
		}
		time.Sleep(5 * time.Millisecond) // between two looks
	}
}

func (m *mosquitto) kill() {
	if m.cmd != nil {
		_ = m.cmd.Process.Kill()
		_ = m.cmd.Wait()
		m.cmd = nil
	}
}

func readyz(t *testing.T, p *program) string {
	t.Helper()
	r, err := http.Get(p.http + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d while a link is down, want 503", r.StatusCode)
	}
	return string(body)
}

// lines reads the output of another program as it comes.
type lines chan string

func newLines(r io.Reader) lines {
	l := make(lines, 1000)
	go func() {
		defer close(l)
		for s := bufio.NewScanner(r); s.Scan(); {
			l <- s.Text()
		}
	}()
	return l
}

// until returns the first line that begins with prefix.
func (l lines) until(t *testing.T, prefix string) string {
	t.Helper()
	for limit := time.After(20 * time.Second); ; {
		select {
		case line, more := <-l:
			if !more {
				t.Fatalf("the program ended without a line %q", prefix)
			}
			if strings.HasPrefix(line, prefix) {
				return line
			}
		case <-limit:
			t.Fatalf("no line %q within 20 s", prefix)
		}
	}
}

func TestOutageOfAForeignServerLosesNoEventOverAKill(t *testing.T) {
	t.Parallel()
	m := newMosquitto(t)
	if m == nil {
		t.Log("no mosquitto here: .ci/run installs one")
		return
	}
	folder := t.TempDir()
	c := baseConfig().with("mqtt.links", []config{{"name": "up", "url": m.url}})
	p := startIn(t, folder, c) // ready although the link is down
	if body := readyz(t, p); !strings.Contains(body, "link up") {
		t.Errorf("/readyz does not name the link that is down: %s", body)
	}
	d := newCamera(t, p.udp, 1, nil)
	cam := d.ID()
	local := connect(t, p.mqtt, "gb28181/#")
	register(t, d)
	local.wait(0, "registered event", on("gb28181/"+cam+"/event/registered"))
	p.kill()
	p = startIn(t, folder, c)
	m.start()
	remote := connect(t, m.url, "gb28181/#")
	late := remote.waitFor(0, 60*time.Second, "registered event of the outage", on("gb28181/"+cam+"/event/registered")).json(t)
	first := local.messages("gb28181/" + cam + "/event/registered")[0].json(t)
	if late["id"] != first["id"] || late["sent_at"] == nil {
		t.Errorf("the event came as %v, want the id of %v and sent_at", late, first)
	}
	remote.wait(0, "birth", on("gb28181/bridge/state", "online"))
	d = newCamera(t, p.udp, 2, nil)
	cam = d.ID()
	register(t, d)
	remote.wait(0, "presence over the link", on("gb28181/"+cam+"/presence", "online"))
	mark := remote.mark()
	remote.publish("gb28181/"+cam+"/cmd/nonsense", map[string]any{"clientToken": "over the link"})
	remote.wait(mark, "answer over the link", token("gb28181/"+cam+"/cmd/nonsense/rejected", "over the link"))
	p.kill()
	remote.waitFor(mark, 120*time.Second, "last will", on("gb28181/bridge/state", "offline"))
}

func TestPersistentSessionOutlivesAKillOfTheBridge(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	p := startIn(t, folder, baseConfig())
	options := func(p *program) *mqtt.ClientOptions {
		return mqtt.NewClientOptions().AddBroker(p.mqtt).SetClientID("keeper").SetCleanSession(false).SetAutoReconnect(false).SetOrderMatters(true)
	}
	keeper := mqtt.NewClient(options(p))
	sender := connect(t, p.mqtt)
	sender.done(keeper.Connect(), "connect")
	sender.done(keeper.Subscribe("kept/#", 1, nil), "subscribe")
	keeper.Disconnect(250)
	const n = 500
	var last mqtt.Token
	for i := range n {
		last = sender.conn.Publish("kept/x", 1, false, fmt.Sprint(i))
	}
	sender.done(last, "publish")
	p.kill() // all n are acknowledged
	p = startIn(t, folder, baseConfig())
	got := make(chan string, 2*n)
	keeper = mqtt.NewClient(options(p).SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { got <- string(m.Payload()) }))
	sender.done(keeper.Connect(), "connect again")
	defer keeper.Disconnect(0)
	for i := range n {
		select {
		case payload := <-got:
			if payload != fmt.Sprint(i) {
				t.Fatalf("message %d is %s", i, payload)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("message %d of %d was acknowledged and is lost to the kill", i, n)
		}
	}
}

func TestForeignClientsWorkWithShadowsAsTheSDKsDo(t *testing.T) {
	t.Parallel()
	sub, errSub := exec.LookPath("mosquitto_sub")
	pub, errPub := exec.LookPath("mosquitto_pub")
	if errSub != nil || errPub != nil {
		t.Log("no mosquitto_sub and mosquitto_pub here: .ci/run installs them")
		return
	}
	p := start(t, baseConfig())
	host, port, _ := net.SplitHostPort(strings.TrimPrefix(p.mqtt, "tcp://"))
	for _, version := range []string{"mqttv311", "mqttv5"} {
		base := "$aws/things/foreign-" + version + "/shadow"
		common := []string{"-h", host, "-p", port, "-V", version, "-u", "?SDK=Foreign&Version=1", "-q", "1"}
		for _, step := range []struct{ topic, payload, filter, want string }{
			{base + "/get", "", base + "/get/+", `"code":404`},
			{base + "/update", `{"state":{"desired":{"on":true}},"clientToken":"t1"}`, base + "/update/accepted", `"clientToken":"t1"`},
			{base + "/get", `{"clientToken":"t2"}`, base + "/get/accepted", `"desired":{"on":true}`},
			{base + "/update", `{"state":{"desired":{"on":false}}}`, base + "/update/delta", `"on":false`},
			{base + "/delete", "", base + "/delete/+", `"version":`},
		} {
			cmd := exec.CommandContext(t.Context(), "stdbuf", append(append([]string{"-oL", sub}, common...), "-t", step.filter, "-C", "1", "-W", "20", "-d")...)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			read := newLines(out)
			read.until(t, "Subscribed (mid")
			ask := exec.CommandContext(t.Context(), pub, append(common, "-t", step.topic, "-m", step.payload)...)
			if text, err := ask.CombinedOutput(); err != nil {
				t.Fatalf("mosquitto_pub on %s: %v: %s", step.topic, err, text)
			}
			if line := read.until(t, "{"); !strings.Contains(line, step.want) {
				t.Errorf("%s over %s: %s, want %s", step.topic, version, line, step.want)
			} else if !json.Valid([]byte(line)) {
				t.Errorf("%s over %s: %s is not JSON", step.topic, version, line)
			}
			if err := cmd.Wait(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
