package test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The built programs, shared by all stories of a run.
var gb2mqttBinary, gbsimBinary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "gb2mqtt-stories-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		build := exec.Command("go", "build", "-o", dir, "../cmd/gb2mqtt", "../cmd/gbsim")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "the programs do not build:", err)
			return 1
		}
		gb2mqttBinary, gbsimBinary = filepath.Join(dir, "gb2mqtt"), filepath.Join(dir, "gbsim")
		return m.Run()
	}())
}

// The platform that the stories' cameras register to.
const (
	serverID    = "34020000002000000001"
	domain      = "3402000000"
	sipPassword = "12345678"
)

// config is a configuration file in the making; JSON is YAML.
type config map[string]any

// with returns c with the value at a dotted key set.
func (c config) with(key string, value any) config {
	section, rest, nested := strings.Cut(key, ".")
	if !nested {
		c[section] = value
		return c
	}
	inner, _ := c[section].(config)
	if inner == nil {
		inner = config{}
	}
	c[section] = inner.with(rest, value)
	return c
}

// baseConfig listens on loopback, on ports that the system chooses.
func baseConfig() config {
	return config{}.
		with("sip.server_id", serverID).with("sip.domain", domain).
		with("sip.listen", []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"}).
		with("sip.auth.password", sipPassword).
		with("mqtt.embedded.listen", []string{"tcp://127.0.0.1:0", "ws://127.0.0.1:0"}).
		with("http.listen", "127.0.0.1:0")
}

// program is a running gb2mqtt.
type program struct {
	t      testing.TB
	folder string
	cmd    *exec.Cmd
	exited chan struct{} // closed once the process has ended and its output was read
	err    error         // of Wait

	udp, tcp  string // SIP: udp://host:port, tcp://host:port
	mqtt, ws  string // tcp://host:port, ws://host:port
	tls       string // mqtts://host:port
	http      string // http://host:port
	readyLine string

	mu  sync.Mutex // guards log
	log strings.Builder
}

// start runs the built bridge with c in a folder of its own, and returns once it is ready.
func start(t testing.TB, c config) *program {
	t.Helper()
	return startIn(t, t.TempDir(), c)
}

// startIn runs the bridge in folder, where an earlier one may have left its store.
func startIn(t testing.TB, folder string, c config) *program {
	t.Helper()
	return startBy(t, folder, c)
}

// startBy is startIn with the bridge as the last words of a command.
func startBy(t testing.TB, folder string, c config, command ...string) *program {
	t.Helper()
	file := filepath.Join(folder, "gb2mqtt.yaml")
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, folder: folder, exited: make(chan struct{})}
	command = append(command, gb2mqttBinary, "run", "-c", file)
	p.cmd = exec.Command(command[0], command[1:]...)
	p.cmd.Dir = folder
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.cleanup)
	ready := make(chan string, 1)
	var readers sync.WaitGroup
	for _, r := range []io.Reader{stdout, stderr} {
		readers.Go(func() { p.read(r, ready) })
	}
	go func() {
		readers.Wait()
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	select {
	case p.readyLine = <-ready:
		p.parseReady()
	case <-p.exited:
		t.Fatalf("gb2mqtt ended before it was ready: %v\n%s", p.err, p.output())
	case <-time.After(30 * time.Second):
		t.Fatalf("gb2mqtt was not ready within 30 s\n%s", p.output())
	}
	return p
}

func (p *program) read(r io.Reader, ready chan<- string) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		p.mu.Lock()
		fmt.Fprintln(&p.log, lines.Text())
		p.mu.Unlock()
		if strings.HasPrefix(lines.Text(), "ready") {
			select {
			case ready <- lines.Text():
			default:
			}
		}
	}
}

// parseReady takes the addresses out of the ready line.
func (p *program) parseReady() {
	section := ""
	for _, word := range strings.Fields(p.readyLine)[1:] {
		scheme, _, isURL := strings.Cut(word, "://")
		switch {
		case !isURL:
			section = word
		case section == "sip" && scheme == "udp":
			p.udp = word
		case section == "sip" && scheme == "tcp":
			p.tcp = word
		case section == "mqtt" && scheme == "tcp":
			p.mqtt = word
		case section == "mqtt" && scheme == "mqtts":
			p.tls = word
		case section == "mqtt" && scheme == "ws":
			p.ws = word
		case section == "http":
			p.http = word
		}
	}
}

func (p *program) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// stop asks the bridge to end, and returns how long it took and its exit code.
func (p *program) stop() (took time.Duration, code int) {
	p.t.Helper()
	begin := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
	select {
	case <-p.exited:
	case <-time.After(15 * time.Second):
		p.t.Fatalf("gb2mqtt did not end within 15 s of SIGTERM\n%s", p.output())
	}
	return time.Since(begin), p.cmd.ProcessState.ExitCode()
}

// kill ends the bridge as a power cut would.
func (p *program) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
	<-p.exited
}

// maxSaid bounds what a failed story shows of the log.
const maxSaid = 8 << 10

func (p *program) cleanup() {
	p.kill()
	if p.t.Failed() {
		said := p.output()
		p.t.Logf("what gb2mqtt said at the end:\n%s", said[max(0, len(said)-maxSaid):])
	}
}
