package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/load/scenario"
)

// target is where the bridge under load is to be found.
type target struct {
	sip      map[string]string // host:port by network: udp, tcp
	mqtt     string            // host:port
	metrics  string            // http://host:port/metrics
	serverID string
	password string
	pid      int    // 0: not known
	folder   string // of its store; empty: not known

	ended <-chan struct{} // closed when it has ended by itself; nil: not known
	why   func() error    // it has
}

// The platform of a bridge that is started here.
const (
	serverID    = "34020000002000000001"
	sipPassword = "load-12345678"
)

// started is a bridge that this program has started.
type started struct {
	target
	cmd    *exec.Cmd
	exited chan struct{} // closed once it has ended and its output was read
	err    error         // of Wait

	mu   sync.Mutex // guards said
	said []string   // its last lines
}

// saidMost bounds the lines of the bridge that are kept to explain its end.
const saidMost = 40

// readyWithin is how long a bridge may take to start.
const readyWithin = 30 * time.Second

// build makes the bridge's program in folder.
func build(ctx context.Context, folder string) (string, error) {
	binary := filepath.Join(folder, "gb2mqtt")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/gb2mqtt/gb2mqtt/cmd/gb2mqtt")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the bridge: %w\n%s\nrun this program inside the module, or name a built bridge with --bridge", err, out)
	}
	return binary, nil
}

// startBridge runs binary in folder, configured as s asks, until stop. Its output goes to
// log too, unless that is nil.
func startBridge(binary, folder string, s *scenario.Scenario, log io.Writer) (*started, error) {
	text, err := json.Marshal(configuration(s)) // JSON is YAML
	if err != nil {
		return nil, fmt.Errorf("the bridge's configuration: %w", err)
	}
	file := filepath.Join(folder, "gb2mqtt.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, fmt.Errorf("the bridge's configuration: %w", err)
	}
	b := &started{exited: make(chan struct{})}
	b.cmd = exec.Command(binary, "run", "-c", file)
	b.cmd.Dir = folder
	stdout, err := b.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start the bridge: %w", err)
	}
	b.cmd.Stderr = b.cmd.Stdout
	if err := b.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the bridge: %w", err)
	}
	ready := make(chan string, 1)
	go func() {
		b.read(stdout, log, ready)
		b.err = b.cmd.Wait()
		close(b.exited)
	}()
	select {
	case line := <-ready:
		if b.target, err = parseReady(line); err != nil {
			return nil, errors.Join(err, b.stop())
		}
		b.serverID, b.password, b.pid, b.folder = serverID, sipPassword, b.cmd.Process.Pid, folder
		b.ended, b.why = b.exited, b.death
		return b, nil
	case <-b.exited:
		return nil, b.death()
	case <-time.After(readyWithin):
		return nil, errors.Join(fmt.Errorf("the bridge was not ready within %v\n%s", readyWithin, b.words()), b.stop())
	}
}

// configuration is what the bridge gets: loopback, free ports, and what s says.
func configuration(s *scenario.Scenario) map[string]any {
	c := map[string]any{
		"sip": map[string]any{
			"server_id": serverID, "listen": []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"},
			"auth":      map[string]any{"password": sipPassword},
			"keepalive": map[string]any{"interval": s.Fleet.Keepalive.String()},
		},
		"mqtt": map[string]any{"embedded": map[string]any{"listen": []string{"tcp://127.0.0.1:0"}}},
		"http": map[string]any{"listen": "127.0.0.1:0", "pprof": true},
		"log":  map[string]any{"level": "warn"},
	}
	merge(c, s.Config)
	return c
}

// merge lays over upon c, section by section.
func merge(c, over map[string]any) {
	for key, value := range over {
		section, isSection := value.(map[string]any)
		if below, has := c[key].(map[string]any); has && isSection {
			merge(below, section)
			continue
		}
		c[key] = value
	}
}

// read keeps what the bridge says, and tells its ready line.
func (b *started) read(r io.Reader, log io.Writer, ready chan<- string) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if log != nil {
			fmt.Fprintln(log, lines.Text()) // a log that can't be written is no reason to end the test
		}
		b.mu.Lock()
		b.said = append(b.said, lines.Text())
		b.said = b.said[max(0, len(b.said)-saidMost):]
		b.mu.Unlock()
		if strings.HasPrefix(lines.Text(), "ready ") {
			select {
			case ready <- lines.Text():
			default:
			}
		}
	}
}

// parseReady takes the addresses out of the ready line.
func parseReady(line string) (target, error) {
	t := target{sip: make(map[string]string)}
	section := ""
	for _, word := range strings.Fields(line)[1:] {
		u, err := url.Parse(word)
		switch {
		case err != nil || u.Host == "":
			section = word
		case section == "sip":
			t.sip[u.Scheme] = u.Host
		case section == "mqtt" && u.Scheme == "tcp":
			t.mqtt = u.Host
		case section == "http":
			t.metrics = word + "/metrics"
		}
	}
	if len(t.sip) == 0 || t.mqtt == "" || t.metrics == "" {
		return t, fmt.Errorf("the bridge serves too little for a load test: %q; SIP, MQTT on tcp:// and HTTP are needed", line)
	}
	return t, nil
}

func (b *started) words() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.said, "\n")
}

// death is the error of a bridge that ended by itself.
func (b *started) death() error {
	return fmt.Errorf("the bridge ended: %v; its last words:\n%s", b.err, b.words())
}

// stopWithin is how long a bridge may take to end before it is killed.
const stopWithin = 15 * time.Second

// stop ends the bridge.
func (b *started) stop() error {
	signal := func(s os.Signal) {
		_ = b.cmd.Process.Signal(s) // it may have ended already
	}
	_ = goOn(b.cmd.Process.Pid)
	signal(syscall.SIGTERM)
	select {
	case <-b.exited:
		return nil
	case <-time.After(stopWithin):
		signal(os.Kill)
		<-b.exited
		return fmt.Errorf("the bridge did not end within %v of SIGTERM", stopWithin)
	}
}
