//go:build unix

package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// watched keeps what is written and lets others wait for it.
type watched struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // closed with each write, and made anew
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.more)
	w.more = make(chan struct{})
	return w.text.Write(b)
}

// until waits until what was written has want n times.
func (w *watched) until(t *testing.T, want string, n int) {
	t.Helper()
	limit := time.After(10 * time.Second)
	for {
		w.mu.Lock()
		got, text, more := strings.Count(w.text.String(), want), w.text.String(), w.more
		w.mu.Unlock()
		if got >= n {
			return
		}
		select {
		case <-more:
		case <-limit:
			t.Fatalf("%d times %q, want %d, in:\n%s", got, want, n, text)
		}
	}
}

func TestSignalsLetDevicesDieAndComeBack(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, told := &watched{more: make(chan struct{})}, &watched{more: make(chan struct{})}
	c := command(out, told)
	c.SetArgs([]string{"--server", agreeable(t), "--devices", "4", "--ramp", "0", "--die", "0.5@1h", "--print"})
	end := make(chan error, 1)
	go func() { end <- c.ExecuteContext(ctx) }()
	out.until(t, "200 OK to REGISTER", 4) // from here on the signals are listened for
	for _, step := range []struct {
		order syscall.Signal
		want  string
	}{{syscall.SIGUSR1, "2 devices fell silent"}, {syscall.SIGUSR2, "2 devices came back"}} {
		if err := syscall.Kill(os.Getpid(), step.order); err != nil {
			t.Fatal(err)
		}
		told.until(t, step.want, 1)
	}
	stop()
	if err := <-end; err != nil {
		t.Error(err)
	}
}
