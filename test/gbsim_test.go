//go:build unix

package test

import (
	"bufio"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// simulator is a running gbsim whose lines are kept.
type simulator struct {
	t     *testing.T
	cmd   *exec.Cmd
	ended sync.WaitGroup

	mu    sync.Mutex // guards what follows
	lines []string
	more  chan struct{} // closed and replaced with each line
}

// simulate runs gbsim against p until the test ends.
func simulate(t *testing.T, p *program, args ...string) *simulator {
	t.Helper()
	s := &simulator{t: t, more: make(chan struct{})}
	s.cmd = exec.Command(gbsimBinary, append([]string{"--server", p.udp, "--server-id", serverID, "--password", sipPassword}, args...)...)
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.ended.Go(func() {
		for l := bufio.NewScanner(out); l.Scan(); {
			s.mu.Lock()
			s.lines = append(s.lines, l.Text())
			close(s.more)
			s.more = make(chan struct{})
			s.mu.Unlock()
		}
	})
	t.Cleanup(func() { s.stop() })
	return s
}

// stop ends it, and returns its exit code.
func (s *simulator) stop() int {
	if s.cmd.ProcessState == nil {
		s.signal(syscall.SIGTERM)
		s.ended.Wait()
		_ = s.cmd.Wait() // the exit code tells
	}
	return s.cmd.ProcessState.ExitCode()
}

func (s *simulator) signal(what syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(what); err != nil {
		s.t.Errorf("gbsim is gone: %v", err)
	}
}

// says waits until a line has all of these.
func (s *simulator) says(parts ...string) {
	s.t.Helper()
	deadline := time.After(10 * time.Second)
	for n := 0; ; {
		s.mu.Lock()
		for ; n < len(s.lines); n++ {
			line := s.lines[n]
			if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
				s.mu.Unlock()
				return
			}
		}
		more := s.more
		s.mu.Unlock()
		select {
		case <-more:
		case <-deadline:
			s.t.Fatalf("gbsim did not print a line with %q", parts)
		}
	}
}

// What the bridge says to a camera gbsim prints in the words of the standard; on request its
// cameras die, and come back.
func TestGbsimPrintsWhatItHearsDiesAndComesBack(t *testing.T) {
	p := start(t, baseConfig().with("sip.transaction_timeout", "1s"))
	id, channel := deviceID(1), "34020000001310000000"
	m := connect(t, p.mqtt, "gb28181/"+id+"/#")
	s := simulate(t, p, "--first-id", id, "--devices", "1", "--edition", "2022", "--quirk", "lower-case-tags,bare-headers", "--print")
	m.wait(0, "channel", on("gb28181/"+id+"/"+channel+"/presence", "online"))
	topic := "gb28181/" + id + "/"
	s.says(id+" 401", "to REGISTER")
	s.says(id+" MESSAGE Query Catalog SN=", "DeviceID="+id)

	if _, code := m.ask(topic+channel+"/", "ptz", `{"pan":100,"tilt":-50,"duration_ms":100}`); code != 0 {
		t.Errorf("ptz: %v", code)
	}
	s.says("MESSAGE Control DeviceControl", "DeviceID="+channel, "PTZCmd=A50F010564320050 (right 100, down 50)")
	s.says("PTZCmd=A50F0100000000B5 (stop)")
	if _, code := m.ask(topic, "config_set", `{"mirror":2}`); code != 0 {
		t.Errorf("config_set: %v", code)
	}
	s.says("MESSAGE Control DeviceConfig", "FrameMirror=2")

	s.signal(syscall.SIGUSR1)
	eventually(t, "the camera is silent", func() bool { _, code := m.ask(topic, "device_info", ""); return code == 408 })
	s.signal(syscall.SIGUSR2)
	eventually(t, "the camera answers again", func() bool { _, code := m.ask(topic, "device_info", ""); return code == 0 })
	if code := s.stop(); code != 0 {
		t.Errorf("gbsim ended with %d", code)
	}
	m.wait(0, "its leave", on(topic+"presence", "offline"))
}
