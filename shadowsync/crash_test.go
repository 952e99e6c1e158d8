package shadowsync

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/gb2mqtt/gb2mqtt/shadowsync/store"
)

const crashFolder = "GB2MQTT_CRASH_TEST_FOLDER"

// crashPublisher prints what is accepted: thing and version.
type crashPublisher struct{}

func (crashPublisher) Publish(topic string, payload []byte) {
	k, op, _ := ParseTopic("$aws/things", topic)
	if op != "update/accepted" {
		return
	}
	v, err := parseJSON(payload)
	if err != nil {
		panic(err)
	}
	fmt.Println(k.Thing, v.(map[string]any)["version"])
}

// crashChild is the other process of TestNothingAcceptedIsLostInACrash; it returns false in
// all others.
func crashChild() bool {
	dir := os.Getenv(crashFolder)
	if dir == "" {
		return false
	}
	st, err := store.Open(store.Config{Path: dir, Sync: true}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		fmt.Println("error", err)
		return true
	}
	s, err := New(Default(), st, crashPublisher{}, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println("error", err)
		return true
	}
	go func() {
		for i := 0; ; i++ {
			flushed := make(chan struct{})
			for thing := range 20 {
				s.Report(Key{Thing: "t" + strconv.Itoa(thing)}, map[string]any{"n": i}, nil)
			}
			s.Report(Key{Thing: "t0"}, map[string]any{"end": i}, func(Document, error) { close(flushed) })
			<-flushed
		}
	}()
	if err := s.Run(context.Background()); err != nil {
		fmt.Println("error", err)
	}
	return true
}

func TestNothingAcceptedIsLostInACrash(t *testing.T) {
	dir := t.TempDir()
	highest := map[string]int64{}
	for round := range 4 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), crashFolder+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			thing, version, _ := strings.Cut(lines.Text(), " ")
			v, err := strconv.ParseInt(version, 10, 64)
			if err != nil {
				break // cut off by the kill, or an error that the next lines show
			}
			if v <= highest[thing] {
				t.Errorf("round %d: %s went from version %d to %d", round, thing, highest[thing], v)
			}
			highest[thing] = v
			if n == 300+round*77 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
		b := startService(t, dir, nil)
		for thing, version := range highest {
			d, err := b.Get(Key{Thing: thing})
			if err != nil || d.Version < version {
				t.Errorf("round %d: %s was accepted at version %d; stored: %d, %v", round, thing, version, d.Version, err)
			}
		}
		b.stop()
	}
	if len(highest) != 20 {
		t.Errorf("updates of %d things, want 20", len(highest))
	}
}
