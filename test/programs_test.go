package test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// runProgram runs a program to its end.
func runProgram(t *testing.T, folder, program string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(within(t, 60*time.Second), program, args...)
	cmd.Dir = folder
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, ended := err.(*exec.ExitError); err != nil && !ended {
		t.Fatalf("%s %v: %v", program, args, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestCheckTellsEveryMistakeWithItsLine(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "bad.yaml")
	text := "sip:\n  server_id: \"123\"\n  kepalive: {interval: 60s}\nmqtt:\n  embedded:\n    listen: [\"tcp://0.0.0.0:1883\"]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"check", "run"} {
		_, stderr, code := runProgram(t, folder, gb2mqttBinary, command, "-c", file)
		if code != 2 {
			t.Errorf("%s ended with %d, want 2", command, code)
		}
		for _, want := range []string{`:2: sip\.server_id: `, `:3: sip\.kepalive: .*keepalive`, `:6: mqtt\.embedded\.listen`} {
			if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(file) + want).MatchString(stderr) {
				t.Errorf("%s does not say %q:\n%s", command, want, stderr)
			}
		}
	}
	stdout, _, code := runProgram(t, folder, gb2mqttBinary, "check")
	if code != 0 || !strings.Contains(stdout, "server_id") {
		t.Errorf("check of the defaults ended with %d:\n%s", code, stdout)
	}
}

func TestPersonsWayInOverMQTT(t *testing.T) {
	p := start(t, baseConfig())
	d := newCamera(t, p.udp, 1, nil)
	register(t, d)
	m := connect(t, p.mqtt, "gb28181/#")
	channel := channelID(1, 0)
	m.wait(0, "channel", on("gb28181/"+d.ID()+"/"+channel+"/presence", "online"))
	m.reported(d.ID(), "", "model", func(r map[string]any) bool { return at(r, "info.model") == "X1" })
	for _, c := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"devices"}, d.ID(), 0},
		{[]string{"shadow", "get", d.ID()}, `"model": "X1"`, 0},
		{[]string{"shadow", "set", d.ID(), channel, `{"recording":true}`}, "", 0},
		{[]string{"cmd", d.ID(), "device_info", "{}"}, "X1", 0},
		{[]string{"cmd", d.ID(), channel, "preset", `{"action":"call","id":3}`}, "", 0},
		{[]string{"cmd", d.ID(), channel, "preset", `{"action":"call","id":333}`}, "400", 1},
		{[]string{"cmd", d.ID(), channel, "presett", `{}`}, "preset", 1},
	} {
		stdout, stderr, code := runProgram(t, p.folder, gb2mqttBinary, append(c.args, "--url", p.mqtt)...)
		if code != c.code || !strings.Contains(stdout+stderr, c.want) {
			t.Errorf("gb2mqtt %s ended with %d, want %d and %q:\n%s%s", strings.Join(c.args, " "), code, c.code, c.want, stdout, stderr)
		}
	}
	stdout, _, _ := runProgram(t, p.folder, gb2mqttBinary, "devices", "--json", "--url", p.mqtt)
	if !json.Valid([]byte(strings.SplitN(stdout, "\n", 2)[0])) && !json.Valid([]byte(stdout)) {
		t.Errorf("devices --json is no JSON:\n%s", stdout)
	}
	obeyed(t, d, "Record", control("RecordCmd", "Record"))
}

func TestTwoThousandSimulatedCamerasAreOnlineAtOnceOverUDPAndTCP(t *testing.T) {
	p := start(t, baseConfig())
	m := connect(t, p.mqtt, "gb28181/bridge/info")
	var fleets sync.WaitGroup
	for _, f := range []struct {
		server, network string
		first           int
	}{{p.udp, "udp", 1}, {p.tcp, "tcp", 5001}} {
		fleets.Go(func() {
			stdout, stderr, code := runProgram(t, t.TempDir(), gbsimBinary, "--server", f.server, "--transport", f.network,
				"--server-id", serverID, "--password", sipPassword, "--first-id", deviceID(f.first),
				"--devices", "1000", "--channels", "2", "--keepalive", "5s", "--ramp", "500/s", "--duration", "12s", "--json")
			if code != 0 || !json.Valid([]byte(stdout)) {
				t.Errorf("gbsim over %s ended with %d, its summary is %s\n%s", f.network, code, stdout, stderr)
			}
		})
	}
	m.waitFor(0, time.Minute, "2000 devices online at once", func(msg message) bool { return at(msg.json(t), "devices.online") == 2000.0 })
	fleets.Wait()
}

func TestHealthReadinessAndMetrics(t *testing.T) {
	p := start(t, baseConfig())
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ready", "/metrics": "gb2mqtt_"} {
		resp, err := http.Get(p.http + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), want) {
			t.Errorf("%s answers %d %v %.200s, want 200 and %q", path, resp.StatusCode, err, body, want)
		}
		if path == "/metrics" {
			for _, name := range []string{"go_goroutines", "process_resident_memory_bytes", "gb2mqtt_sip_", "gb2mqtt_fleet_", "gb2mqtt_mqtt_", "gb2mqtt_store_", "gb2mqtt_command_"} {
				if !strings.Contains(string(body), name) {
					t.Errorf("no metric %s", name)
				}
			}
		}
	}
}

func TestConsoleShowsADeviceAndItsShadow(t *testing.T) {
	p := start(t, baseConfig())
	d := newCamera(t, p.udp, 1, nil)
	m := connect(t, p.mqtt)
	register(t, d)
	m.reported(d.ID(), "", "model", func(r map[string]any) bool { return at(r, "info.model") == "X1" && r["channels"] == 3.0 })
	for path, want := range map[string]string{
		"/":                   "/console/console.js",
		"/console/console.js": "showShadow",
		"/console/devices?begins=34020000001320000001&presence=online": `"id":"34020000001320000001","presence":"online"`,
		"/console/devices?presence=offline":                            `"devices":[]`,
		"/console/devices/" + d.ID():                                   `"model":"X1"`,
		"/console/devices/" + d.ID() + "?channel=" + channelID(1, 0):   `"name":"相机0"`,
		"/console/devices/34020000001320000009":                        "has never registered",
	} {
		resp, err := http.Get(p.http + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s answers %d %v\n%.500s\nwant %q", path, resp.StatusCode, err, body, want)
		}
	}
}

func TestMemoryAtRestWithOneCamera(t *testing.T) {
	p := start(t, baseConfig())
	d := newCamera(t, p.udp, 1, nil)
	register(t, d)
	connect(t, p.mqtt, "gb28181/#").wait(0, "channel", on("gb28181/"+d.ID()+"/"+channelID(1, 2)+"/presence", "online"))
	resident := p.memory("VmRSS")
	t.Logf("resident: %.1f MiB", resident)
	if resident > 64 {
		t.Errorf("%.1f MiB are resident, want below 64", resident)
	}
}

func TestDemoShowsTheStoryAndEndsCleanly(t *testing.T) {
	t.Parallel() // it waits most of the time
	cmd := exec.CommandContext(within(t, 90*time.Second), gb2mqttBinary, "demo")
	cmd.Dir = t.TempDir()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var seen strings.Builder
	buf := make([]byte, 4096)
	interrupted := false
	for {
		n, err := out.Read(buf)
		seen.Write(buf[:n])
		if !interrupted && strings.Contains(seen.String(), "That was the tour") {
			interrupted = true
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
		if err != nil {
			break
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("demo ended with %v", err)
	}
	for _, want := range []string{"presence online", "presence unknown", "presence offline", "cmd/ptz/accepted", "event/alarm", "update/delta", "cmd/device_info/rejected", `code=503`} {
		if !strings.Contains(seen.String(), want) {
			t.Errorf("the demo does not show %q", want)
		}
	}
	if t.Failed() {
		t.Log(seen.String())
	}
}
