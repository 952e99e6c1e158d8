package test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A disk of 96 MiB, in a mount namespace of its own, holds the store.
const smallDisk = `mount -t tmpfs -o size=96m none "$1" && shift && exec "$@"`

func TestAFullDiskStopsUpdatesOnlyAndOnlyWhileItIsFull(t *testing.T) {
	if out, err := exec.Command("unshare", "-rm", "sh", "-c", smallDisk, "sh", t.TempDir(), "true").CombinedOutput(); err != nil {
		t.Skipf("no small disk can be mounted here, which takes a user namespace: %v %s", err, out)
	}
	folder := t.TempDir()
	data := filepath.Join(folder, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	p := startBy(t, folder, baseConfig().with("store.path", data), "unshare", "-rm", "sh", "-c", smallDisk, "sh", data)
	early, late := newCamera(t, p.udp, 1, nil), newCamera(t, p.udp, 2, nil)
	update := shadowTopic("plain", "") + "/update"
	m := connect(t, p.mqtt, update+"/+", "gb28181/+/presence")
	register(t, early)
	ask := func(value int, answer string) map[string]any {
		t.Helper()
		mark, token := m.mark(), fmt.Sprintf("%s-%d-%d", answer, value, time.Now().UnixNano())
		m.publish(update, map[string]any{"state": map[string]any{"desired": map[string]any{"v": value}}, "clientToken": token})
		return m.wait(mark, answer+" of an update", func(msg message) bool {
			return msg.topic == update+"/"+answer && msg.json(t)["clientToken"] == token
		}).json(t)
	}
	ask(1, "accepted")

	// The disk as the bridge sees it, from without.
	filler := filepath.Join(fmt.Sprintf("/proc/%d/root", p.cmd.Process.Pid), data, "filler")
	fill(t, filler)
	if r := ask(2, "rejected"); r["code"] != 500.0 || r["message"] != "Internal service failure" {
		t.Errorf("an update on a full disk got %v, want 500", r)
	}
	if code := keepalive(t, early); code != 200 {
		t.Errorf("a keepalive on a full disk got %d, want 200", code)
	}
	mark := m.mark()
	register(t, late)
	m.wait(mark, "presence of the camera that came while the disk was full", on("gb28181/"+late.ID()+"/presence", "online"))
	if doc := m.shadow("plain", ""); at(doc, "state.desired.v") != 1.0 {
		t.Errorf("get on a full disk gave %v, want what was accepted", doc)
	}
	if doc := m.shadow(late.ID(), ""); doc != nil {
		t.Errorf("the shadow of the camera that came is %v, want none yet", doc)
	}

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	ask(3, "accepted")
	m.reported(late.ID(), "", "all that was learnt meanwhile", func(r map[string]any) bool {
		return r["presence"] == "online" && at(r, "registration.transport") == "udp" && at(r, "info.manufacturer") == "ACME" && r["channels"] == 3.0
	})
	if got := p.output(); strings.Contains(got, "panic") {
		t.Errorf("something panicked:\n%s", got)
	}
}

// fill writes to file until the disk takes no more.
func fill(t *testing.T, file string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(f, zeros{})
	if err := errors.Join(err, f.Close()); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk ended with %v, want no space left", err)
	}
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
