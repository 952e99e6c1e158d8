package configs

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/gb2mqtt/gb2mqtt/bridge/quirk"
	"github.com/gb2mqtt/gb2mqtt/broker"
)

var update = flag.Bool("update", false, "rewrite the expected words of testdata")

// noEnv is an environment without variables.
func noEnv(string) (string, bool) { return "", false }

// write makes a configuration file of text and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Load(write(t, "gb2mqtt.yaml", text), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	c.File = ""
	return c
}

// same compares two configurations; an empty list or section equals none.
func same(t *testing.T, got, want *Config) {
	t.Helper()
	if g, w := flat(t, got), flat(t, want); !slices.Equal(g, w) {
		t.Errorf("got  %s\nwant %s", g, w)
	}
}

func flat(t *testing.T, c *Config) []string {
	t.Helper()
	text, err := Effective(c)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(text), "\n")
}

func TestTheManualEqualsTheDefaults(t *testing.T) {
	text, err := os.ReadFile(DefaultFile)
	if err != nil {
		t.Fatal(err)
	}
	same(t, load(t, string(text)), Default())
}

func TestTheManualNamesEveryKeyAndNoOther(t *testing.T) {
	text, err := os.ReadFile(DefaultFile)
	if err != nil {
		t.Fatal(err)
	}
	d := &decoder{file: DefaultFile, lines: map[string]int{}, anchors: map[string]ast.Node{}}
	d.decode(text, Default())
	if len(d.problems) > 0 {
		t.Fatal(d.problems)
	}
	for _, key := range keyPaths(reflect.TypeFor[Config](), "") {
		list, item, inList := strings.Cut(key, "[].")
		if !inList {
			if d.lines[key] == 0 {
				t.Errorf("%s is not in the manual", key)
			}
			continue
		}
		// A list is empty by default; its items' keys stand in the comment above it.
		above := strings.Join(strings.Split(string(text), "\n")[:d.lines[list]-1], "\n")
		comment := above[strings.LastIndex(above, "\n\n")+1:]
		leaf := item[strings.LastIndex(item, ".")+1:]
		if !regexp.MustCompile(`(?m)^ *# .*\b` + leaf + `:`).MatchString(comment) {
			t.Errorf("%s is not in the manual's comment on %s", key, list)
		}
	}
}

func TestTheManualsExamplesLoad(t *testing.T) {
	text, err := os.ReadFile(DefaultFile)
	if err != nil {
		t.Fatal(err)
	}
	// An example is a comment indented further than text is; its list or section stands empty below it.
	shown := regexp.MustCompile(`(?m)^( *)#((?:   -|     ).*)$`).ReplaceAllString(string(text), "$1$2")
	for list, item := range map[string]string{"users": "name: operator", "links": "name: cloud"} {
		shown = regexp.MustCompile(`(?m)^ *`+list+`: \[\]$`).ReplaceAllString(shown, "")
		first := regexp.MustCompile(`(?m)^( *)   - ` + item)
		shown = first.ReplaceAllString(shown, "${1}"+list+":\n$0")
	}
	shown = regexp.MustCompile(`(?m)^ *quirks: \{\}$`).ReplaceAllString(shown, "")
	shown = regexp.MustCompile(`(?m)^ *"34020000001320000001":`).ReplaceAllString(shown, "  quirks:\n$0")
	c := load(t, shown)
	one, model := c.Devices.Quirks["34020000001320000001"], c.Devices.Quirks["ACME/X1"]
	if one.Clock.Zone != "+00:00" || one.Subscribe.Alarm == nil || model.PTZSpeed.Zoom != 7 || len(model.ChannelTypes) != 1 {
		t.Errorf("quirks of the example: %+v, %+v", one, model)
	}
	comment, _, _ := strings.Cut(string(text), "\n  quirks: {}")
	comment = comment[strings.LastIndex(comment, "vanished:"):]
	for _, key := range keyPaths(reflect.TypeFor[quirk.Quirks](), "") {
		if leaf := key[strings.LastIndex(key, ".")+1:]; !regexp.MustCompile(`(?m)^ *# .*\b` + leaf + `:`).MatchString(comment) {
			t.Errorf("devices.quirks.….%s is not in the manual", key)
		}
	}
	if len(c.MQTT.Embedded.Users) != 1 || c.MQTT.Embedded.Users[0].Name != "operator" {
		t.Errorf("users of the example: %+v", c.MQTT.Embedded.Users)
	}
	if len(c.MQTT.Links) != 1 || c.MQTT.Links[0].Name != "cloud" || c.MQTT.Links[0].TLS.Insecure {
		t.Errorf("links of the example: %+v", c.MQTT.Links)
	}
}

func TestEveryMistakeIsNamedWithItsLine(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".bad.yaml"), func(t *testing.T) {
			_, err := Load(file, noEnv)
			if err == nil {
				t.Fatal("loaded without a complaint")
			}
			got := strings.ReplaceAll(err.Error(), filepath.ToSlash("testdata/"), "") + "\n"
			words := strings.TrimSuffix(file, ".bad.yaml") + ".txt"
			if *update {
				if err := os.WriteFile(words, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(words)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%swant:\n%s", got, want)
			}
		})
	}
}

func TestAFileMayBeJSON(t *testing.T) {
	text, err := json.Marshal(map[string]any{
		"sip":   map[string]any{"listen": []string{"udp://127.0.0.1:5070"}, "auth": map[string]any{"password": "12345678"}},
		"mqtt":  map[string]any{"embedded": map[string]any{"enabled": true, "listen": []string{"tcp://127.0.0.1:2883"}}},
		"store": map[string]any{"path": "/var/lib/gb2mqtt"},
		"media": map[string]any{"ports": "31000-31200"},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := load(t, string(text))
	if c.SIP.Auth.Password != "12345678" || c.SIP.Listen[0] != "udp://127.0.0.1:5070" || c.Store.Path != "/var/lib/gb2mqtt" {
		t.Errorf("read %+v", c)
	}
	if c.SIP.ServerID != Default().SIP.ServerID {
		t.Errorf("server_id %q lost its default", c.SIP.ServerID)
	}
}

func TestDigitsWithoutQuotesStayText(t *testing.T) {
	c := load(t, "sip:\n  server_id: 34020000002000000009\n  domain: 3402000000\n  auth:\n    password: 00123\n    devices: {34020000001320000001: 0777}\n")
	if c.SIP.ServerID != "34020000002000000009" || c.SIP.Domain != "3402000000" || c.SIP.Auth.Password != "00123" {
		t.Errorf("read %q, %q, %q", c.SIP.ServerID, c.SIP.Domain, c.SIP.Auth.Password)
	}
	if got := c.SIP.Auth.Devices["34020000001320000001"]; got != "0777" {
		t.Errorf("the device's password became %q", got)
	}
}

func TestAnEmptyKeyKeepsItsDefault(t *testing.T) {
	same(t, load(t, "sip:\n  listen:\n  keepalive:\nmqtt:\nlog:\n  level:\n"), Default())
	same(t, load(t, ""), Default())
	same(t, load(t, "# nothing but a comment\n"), Default())
}

func TestAnchorsAreFollowed(t *testing.T) {
	c := load(t, "devices:\n  subscribe:\n    catalog: &long 2h\n    alarm: *long\n")
	if c.Devices.Subscribe.Alarm != 2*time.Hour {
		t.Errorf("alarm: %v, want the anchor's 2h", c.Devices.Subscribe.Alarm)
	}
}

func TestTheEnvironmentsPasswordComesBeforeTheFiles(t *testing.T) {
	path := write(t, "c.yaml", "sip: {auth: {password: of-the-file}}\n")
	for env, want := range map[string]string{"of-the-environment": "of-the-environment", "": "of-the-file"} {
		c, err := Load(path, func(name string) (string, bool) { return env, name == PasswordVariable })
		if err != nil {
			t.Fatal(err)
		}
		if c.SIP.Auth.Password != want {
			t.Errorf("with %q in the environment the password is %q, want %q", env, c.SIP.Auth.Password, want)
		}
	}
}

func TestWithoutAFileTheDefaultsCount(t *testing.T) {
	t.Chdir(t.TempDir())
	c, err := Load("", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	same(t, c, Default())
	if err := os.WriteFile(DefaultFile, []byte("topics: {prefix: here}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err = Load("", noEnv); err != nil || c.Topics.Prefix != "here" || c.File != DefaultFile {
		t.Errorf("the current folder's file was not read: %+v, %v", c, err)
	}
}

func TestAMissingFileIsSaidSo(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "no.yaml"), noEnv)
	if err == nil || !strings.Contains(err.Error(), "no.yaml: there is no such file; name one with -c") {
		t.Errorf("got %v", err)
	}
	if _, err = Load(t.TempDir(), noEnv); err == nil || !strings.Contains(err.Error(), "cannot be read: is a directory") {
		t.Errorf("a folder as configuration: %v", err)
	}
}

func TestTheEffectiveConfigurationHidesSecrets(t *testing.T) {
	c := Default()
	c.SIP.Auth.Password = "secret-1"
	c.SIP.Auth.Devices = map[string]string{"34020000001320000001": "secret-2"}
	c.MQTT.Embedded.Users = []broker.User{{Name: "joe", Password: "secret-3"}}
	c.MQTT.Links = []broker.Link{{Name: "a", URL: "mqtt://joe:secret-4@host:1883", Username: "joe", Password: "secret-5"}, {URL: "mqtt://joe:secret-6@ho st"}}
	c.Redis.URL = "redis://:secret-7@host"
	text, err := Effective(c)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte("secret")) {
		t.Errorf("a secret shows:\n%s", text)
	}
	for _, seen := range []string{"joe", "host:1883", masked, `"34020000001320000001"`} {
		if !bytes.Contains(text, []byte(seen)) {
			t.Errorf("%s does not show:\n%s", seen, text)
		}
	}
}

func TestTheEffectiveConfigurationLoadsAgain(t *testing.T) {
	c := Default()
	c.Devices.Subscribe.Position = 90 * time.Minute
	c.MQTT.Embedded.AllowAnonymous = true
	c.SIP.Auth.Allow = []string{"10.0.0.0/8"}
	none := time.Duration(0)
	c.Devices.Quirks = quirk.Config{"ACME/X1.5": {OnRegister: []string{}, Subscribe: quirk.Subscribe{Alarm: &none}}, "34020000001320000001": {Inflight: 1}}
	text, err := Effective(c)
	if err != nil {
		t.Fatal(err)
	}
	same(t, load(t, string(text)), c)
}

func TestDurationsReadAsAPersonWritesThem(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Minute: "1m", time.Hour: "1h", 72 * time.Hour: "72h", 0: "0s", 90 * time.Second: "1m30s",
		4 * time.Second: "4s", 10 * time.Minute: "10m", time.Hour + time.Second: "1h0m1s", 500 * time.Millisecond: "500ms",
	} {
		if got := short(d); got != want {
			t.Errorf("%v is written %s, want %s", d, got, want)
		}
	}
}

// FuzzLoad: whatever a file holds, there is a configuration or there are problems, each on
// a line of its own; never a panic.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, DefaultFile) {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d := &decoder{file: "f", lines: map[string]int{}, anchors: map[string]ast.Node{}}
		c := Default()
		d.decode(text, c)
		for _, p := range d.problems {
			if strings.Contains(p.String(), "\n") || p.Line < 1 {
				t.Errorf("a problem of more than one line, or of none: %q", p.String())
			}
		}
		if len(d.problems) == 0 {
			if _, err := Effective(c); err != nil {
				t.Error(err)
			}
		}
	})
}
