package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gb2mqtt/gb2mqtt/test/load/measure"
	"github.com/gb2mqtt/gb2mqtt/test/load/report"
	"github.com/gb2mqtt/gb2mqtt/test/load/scenario"
)

// bridgeBinary is the built bridge, shared by all tests.
var bridgeBinary string

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(suite{m})
}

// suite builds the bridge before the tests.
type suite struct{ *testing.M }

func (s suite) Run() int {
	dir, err := os.MkdirTemp("", "gb2mqtt-load-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if bridgeBinary, err = build(context.Background(), dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return s.M.Run()
}

// execute runs the program's command to its end.
func execute(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	c := command(&out, &errs)
	c.SetArgs(args)
	code = exitCode(c.ExecuteContext(t.Context()), &errs)
	return out.String(), errs.String(), code
}

func TestLoadWithEveryFaultIsReported(t *testing.T) {
	t.Parallel() // it waits most of the time
	page := filepath.Join(t.TempDir(), "page.html")
	stdout, stderr, code := execute(t, "testdata/tiny.yaml", "--bridge", bridgeBinary, "--json", "--html", page)
	var r report.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != 0 {
		t.Fatalf("ended with %d, %v\n%s\n%s", code, err, stdout, stderr)
	}
	if stderr != "" {
		t.Errorf("with --json it says %q", stderr)
	}
	if r.Scenario != "tiny" || !r.Passed || len(r.Objectives) != 6 || len(r.Phases) != 4 || len(r.Samples) < 5 || r.Machine == "" {
		t.Errorf("report %+v", r)
	}
	sum := make(map[string]uint64)
	for _, p := range r.Phases {
		for kind, k := range p.Kinds {
			sum[kind] += k.Answered
		}
	}
	for _, kind := range scenario.Kinds {
		if kind != "presence" && sum[kind] == 0 { // nobody is silent for long enough
			t.Errorf("no %s was answered: %v", kind, sum)
		}
	}
	for _, measure := range []string{"cpu", "rss", "heap", "goroutines", "files", "exchanges.rate", "registered"} {
		if v, ok := r.Value("peak", measure); !ok || v <= 0 {
			t.Errorf("%s of the peak is %v, %v", measure, v, ok)
		}
	}
	if p := r.Phases[1].Kinds["mute_command"]; p.Refused != p.Answered || p.Lost > 0 {
		t.Errorf("commands to devices that answer nothing: %+v, want all refused in time", p)
	}
	html, err := os.ReadFile(page)
	if err != nil || !strings.Contains(string(html), "<h1>tiny: passed</h1>") {
		t.Errorf("the page: %v, %.200s", err, html)
	}
}

func TestObjectiveThatFailsEndsWithOneAndATable(t *testing.T) {
	t.Parallel() // it waits most of the time
	log := filepath.Join(t.TempDir(), "bridge.log")
	stdout, stderr, code := execute(t, "testdata/fails.yaml", "--bridge", bridgeBinary, "--scale", "2", "--log", log)
	if code != 1 || !strings.Contains(stdout, "FAILED") || !strings.Contains(stdout, "1 of 1 objectives failed") || !strings.Contains(stdout, "scale 2") {
		t.Errorf("ended with %d:\n%s\n%s", code, stdout, stderr)
	}
	if !regexp.MustCompile(`(?m)^1/1 only .*devices \d/4`).MatchString(stderr) {
		t.Errorf("progress: %q", stderr)
	}
	if said, err := os.ReadFile(log); err != nil || !strings.Contains(string(said), "ready sip") {
		t.Errorf("the bridge's words: %q, %v", said, err)
	}
}

func TestRunningBridgeIsUsedAsItIs(t *testing.T) {
	t.Parallel() // it waits most of the time
	s, err := scenario.Read("testdata/fails.yaml")
	if err != nil {
		t.Fatal(err)
	}
	b, err := startBridge(bridgeBinary, t.TempDir(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.stop(); err != nil {
			t.Error(err)
		}
	}()
	stdout, stderr, code := execute(t, "testdata/fails.yaml", "--server", "udp://"+b.sip["udp"], "--url", "tcp://"+b.mqtt,
		"--http", strings.TrimSuffix(b.metrics, "/metrics"), "--password", sipPassword, "--json")
	var r report.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != 1 {
		t.Fatalf("ended with %d, %v\n%s\n%s", code, err, stdout, stderr)
	}
	if k := r.Phases[0].Kinds["register"]; k.Answered == 0 || k.Refused > 0 {
		t.Errorf("registrations at the running bridge: %+v", k)
	}
	select {
	case <-b.exited:
		t.Error("the bridge was ended, which ran already")
	default:
	}
}

func TestWrongCommandLineOrScenarioEndsWithTwo(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("name: bad\nphases: [{name: a, fro: 1s}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "name one scenario"},
		{[]string{bad}, "bad.yaml:2: unknown field"},
		{[]string{"testdata/none.yaml"}, "no such file"},
		{[]string{"testdata/tiny.yaml", "--for", "1m"}, "stretch"},
		{[]string{"testdata/tiny.yaml", "--scale", "0"}, "--scale"},
		{[]string{"testdata/fails.yaml", "--server", "udp://127.0.0.1:5060"}, "--url"},
		{[]string{"testdata/tiny.yaml", "--server", "udp://127.0.0.1:1", "--url", "tcp://127.0.0.1:1", "--http", "http://127.0.0.1:1"}, "configures the bridge"},
		{[]string{"--nonsense"}, "--nonsense"},
	} {
		if _, stderr, code := execute(t, c.args...); code != 2 || !strings.Contains(stderr, c.want) {
			t.Errorf("%v ended with %d: %q, want %q", c.args, code, stderr, c.want)
		}
	}
}

func TestBridgeThatEndsIsTold(t *testing.T) {
	t.Parallel() // it waits most of the time
	s, err := scenario.Parse("x.yaml", []byte("name: x\nphases: [{name: long, for: 1h, devices: 1}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := startBridge(bridgeBinary, t.TempDir(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() {
		_, err := load(t.Context(), s, b.target, 1, func(*run, measure.Sample) {})
		over <- err
	}()
	if err := b.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-over:
		if err == nil || !strings.Contains(err.Error(), "the bridge ended") && !strings.Contains(err.Error(), "mqtt") {
			t.Errorf("got %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the load goes on without a bridge")
	}
}

func TestConfigurationOfTheScenarioIsLaidOverOurs(t *testing.T) {
	s, err := scenario.Parse("x.yaml", []byte("name: x\nconfig: {sip: {auth: {lockout: {failures: 3}}}, http: {pprof: false}}\nfleet: {keepalive: 7s}\nphases: [{name: a, for: 1s}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(configuration(s))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"failures":3`, `"password":"` + sipPassword, `"pprof":false`, `"interval":"7s"`, `"udp://127.0.0.1:0"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

func TestShareIsSpreadEvenly(t *testing.T) {
	for share, want := range map[float64]int{0: 0, .1: 10, .5: 50, 1: 100} {
		n, run := 0, 0
		for i := range 100 {
			if chosen(i, share) {
				n, run = n+1, 0
			} else if run++; share > 0 && float64(run) > 1/share {
				t.Fatalf("%v: %d in a row are not chosen", share, run)
			}
		}
		if n != want {
			t.Errorf("%v of 100: %d, want %d", share, n, want)
		}
	}
}
