package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gb2mqtt/gb2mqtt/broker"
	"github.com/gb2mqtt/gb2mqtt/configs"
)

func expect(t *testing.T, what, got string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(got, p) {
			t.Errorf("%s lacks %q:\n%s", what, p, got)
		}
	}
}

func TestCheckPrintsWhatCounts(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("gb2mqtt.yaml", []byte("sip: {auth: {password: top-secret}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := runLine(t, "check")
	if code != exitOK || errs != "" {
		t.Fatalf("exit %d: %s", code, errs)
	}
	expect(t, "the output", out, `password: "********"`, "prefix: gb28181")
	if strings.Contains(out, "top-secret") {
		t.Error("the secret is printed")
	}
}

func TestABadConfigurationEndsWith2AndEveryProblem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(path, []byte("sip:\n  domian: x\nlog: {level: loud}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"check"}, {"run"}, {}, {"devices"}} {
		code, out, errs := runLine(t, append(args, "-c", path)...)
		if code != exitUsage || out != "" {
			t.Errorf("%v: exit %d, output %q", args, code, out)
		}
		if want := path + ":2: sip.domian: unknown key; the nearest known key is sip.domain\n" +
			path + ":3: log.level: \"loud\" is not a level; use debug, info, warn or error\n"; errs != want {
			t.Errorf("%v: got\n%swant\n%s", args, errs, want)
		}
	}
}

func TestAWrongCommandLineEndsWith2AndAWayOut(t *testing.T) {
	for line, want := range map[string]string{
		"chekc":                             `no command "chekc"; did you mean check; see`,
		"check now":                         "arguments do not fit; use: gb2mqtt check",
		"--nonsense":                        "unknown flag: --nonsense; see gb2mqtt --help",
		"shadow":                            "needs one of get, set, watch",
		"shadow gett":                       `no command "gett"; did you mean get or set; see`,
		"shadow get a/b":                    `"a/b" is not the name of a thing`,
		"shadow get a b#":                   `"b#" is not the name of a shadow`,
		"shadow set a guard=on":             "use a JSON object",
		"cmd camera1 ptz":                   "use its 20-digit ID",
		"cmd " + cameraID + " " + channelID: "no command is named",
		"cmd " + cameraID + " a b {}":       `"a" is not a channel`,
		"cmd " + cameraID + " a/b":          "not the name of a command",
		"cmd " + cameraID + " ptz []":       "use a JSON object",
		"devices camera1":                   "use its 20-digit ID",
		"devices --tree":                    "--tree is of one device",
		"devices --url host":                "is not the address of an MQTT server",
		"devices --url http://host:80":      `has the scheme "http"`,
		"check -c nowhere.yaml":             "nowhere.yaml: there is no such file",
	} {
		code, _, errs := runLine(t, strings.Fields(line)...)
		if code != exitUsage {
			t.Errorf("%s: exit %d, want 2", line, code)
		}
		expect(t, line, errs, want)
	}
}

func TestWhereNobodyListensTheNextStepIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte("mqtt: {embedded: {listen: [\"tcp://"+address+"\"]}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs := runLine(t, "devices", "-c", path)
	if code != exitFailed {
		t.Errorf("exit %d, want 1", code)
	}
	expect(t, "the error", errs, "no MQTT server answers at tcp://"+address, "start it with: gb2mqtt run")
}

func TestAWrongPasswordIsToldAsSuch(t *testing.T) {
	f := newFakeBridge(t)
	code, _, errs := f.run("devices", "--user", "joe", "--password", "wrong")
	if code != exitFailed {
		t.Errorf("exit %d, want 1", code)
	}
	expect(t, "the error", errs, `refused user "joe"`, "--user and --password")
}

func TestDevicesListsWhoIsThere(t *testing.T) {
	f := newFakeBridge(t)
	f.retain("gb28181/bridge/state", "online")
	f.retain("gb28181/"+cameraID+"/presence", "online")
	f.retain("gb28181/"+cameraID+"/state", `{"presence":"online","presence_reason":"keepalive","channels":4,
		"registration":{"at":1700000000000,"transport":"udp","remote":"10.0.0.7:5060"},
		"info":{"name":"大门","manufacturer":"Acme","model":"X1"},"ts":1,"version":3}`)
	f.retain("gb28181/34020000001320000002/presence", "unknown")
	f.retain("gb28181/"+cameraID+"/"+channelID+"/presence", "online") // a channel is no device

	code, out, errs := f.run("devices")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	expect(t, "the table", out, "PRESENCE", cameraID, "大门", "keepalive", "udp", "10.0.0.7:5060", "Acme X1", "34020000001320000002", "unknown")
	if strings.Contains(out, "\x1b[") {
		t.Errorf("colours outside a terminal: %q", out)
	}

	_, out, _ = f.run("devices", "--json")
	var rows []deviceRow
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := deviceRow{ID: cameraID, Name: "大门", Presence: "online", Reason: "keepalive", Transport: "udp",
		Remote: "10.0.0.7:5060", Channels: 4, Maker: "Acme", Model: "X1", Since: 1700000000000}
	if len(rows) != 2 || rows[0] != want {
		t.Errorf("got %+v, want %+v first of 2", rows, want)
	}
}

func TestAnEmptyFleetIsNoError(t *testing.T) {
	f := newFakeBridge(t)
	f.retain("gb28181/bridge/state", "online")
	code, out, _ := f.run("devices")
	if code != exitOK {
		t.Errorf("exit %d", code)
	}
	expect(t, "the output", out, "No device has registered yet")
	if code, out, _ = f.run("devices", "--json"); code != exitOK || out != "[]\n" {
		t.Errorf("exit %d, %q; want an empty list", code, out)
	}
}

func TestCmdPrintsTheResult(t *testing.T) {
	f := newFakeBridge(t)
	f.retain("gb28181/bridge/state", "online")
	topic := "gb28181/" + cameraID + "/" + channelID + "/cmd/ptz"
	f.on(topic, func(body map[string]any, token string) {
		if body["pan"] != float64(80) {
			t.Errorf("pan became %v", body["pan"])
		}
		f.tell(topic+"/accepted", `{"clientToken":"another","result":{"wrong":true}}`, token)
		f.tell(topic+"/accepted", `{"clientToken":"%TOKEN","timestamp":1,"result":{"done":true}}`, token)
	})
	code, out, errs := f.run("cmd", cameraID, channelID, "ptz", `{"pan": 80}`, "--json")
	if code != exitOK || out != `{"done":true}`+"\n" {
		t.Errorf("exit %d, %q %s", code, out, errs)
	}
}

func TestARejectedCommandEndsWith1AndItsCode(t *testing.T) {
	f := newFakeBridge(t)
	f.retain("gb28181/bridge/state", "online")
	topic := "gb28181/" + cameraID + "/cmd/reboot"
	f.on(topic, func(_ map[string]any, token string) {
		f.tell(topic+"/rejected", `{"clientToken":"%TOKEN","timestamp":1,"code":503,"message":"the device is offline"}`, token)
	})
	code, out, errs := f.run("cmd", cameraID, "reboot")
	if code != exitFailed || out != "" || errs != "503 the device is offline\n" {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
}

func TestACommandToABridgeThatIsOfflineIsNotSent(t *testing.T) {
	f := newFakeBridge(t)
	f.retain("gb28181/bridge/state", "offline")
	code, _, errs := f.run("cmd", cameraID, "reboot")
	if code != exitFailed {
		t.Errorf("exit %d, want 1", code)
	}
	expect(t, "the error", errs, "is offline; start it with: gb2mqtt run")
}

func TestTheWayInIsFoundInTheConfiguration(t *testing.T) {
	embedded := func(listen ...string) *configs.Config {
		c := configs.Default()
		c.MQTT.Embedded.Listen = listen
		return c
	}
	links := configs.Default()
	links.MQTT.Embedded.Enabled = false
	links.MQTT.Links = []broker.Link{{Name: "a", URL: "mqtts://cloud:8883", Username: "u", Password: "p"}}
	for name, c := range map[string]struct {
		conf  *configs.Config
		flags clientFlags
		want  address
	}{
		"default":        {configs.Default(), clientFlags{}, address{url: "tcp://127.0.0.1:1883"}},
		"all addresses":  {embedded("tcp://0.0.0.0:1"), clientFlags{}, address{url: "tcp://127.0.0.1:1"}},
		"IPv6 all":       {embedded("tcp://[::]:1"), clientFlags{}, address{url: "tcp://127.0.0.1:1"}},
		"past TLS":       {embedded("mqtts://h:1", "ws://h:2"), clientFlags{}, address{url: "ws://h:2"}},
		"link":           {links, clientFlags{}, address{url: "mqtts://cloud:8883", user: "u", password: "p"}},
		"link, own user": {links, clientFlags{user: "me", password: "x"}, address{url: "mqtts://cloud:8883", user: "me", password: "x"}},
		"url":            {links, clientFlags{url: "mqtt://a:b@h:3"}, address{url: "mqtt://h:3", user: "a", password: "b"}},
	} {
		got, err := c.flags.address(c.conf)
		got.hint = ""
		if err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v; want %+v", name, got, err, c.want)
		}
	}
	if _, err := (&clientFlags{}).address(embedded("mqtts://h:1")); err == nil || exitCode(err) != exitUsage {
		t.Errorf("TLS alone: %v, want a hint at --url", err)
	}
}
