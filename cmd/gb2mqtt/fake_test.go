package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

const (
	cameraID  = "34020000001320000001"
	channelID = "34020000001310000001"
)

// fakeBridge is an MQTT server with a bridge of few words behind it: it answers what its
// script says.
type fakeBridge struct {
	t      *testing.T
	server *mochi.Server
	config string // path of a configuration that leads here
}

// newFakeBridge starts a broker that asks for joe's password.
func newFakeBridge(t *testing.T) *fakeBridge {
	t.Helper()
	server := mochi.New(&mochi.Options{InlineClient: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err := server.AddHook(new(onlyJoe), nil); err != nil {
		t.Fatal(err)
	}
	l := listeners.NewTCP(listeners.Config{ID: "t", Address: "127.0.0.1:0"})
	if err := server.AddListener(l); err != nil {
		t.Fatal(err)
	}
	if err := server.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	f := &fakeBridge{t: t, server: server}
	// The listener is told as 0.0.0.0 would be: a person's way in takes loopback then.
	_, port, _ := strings.Cut(l.Address(), ":")
	f.config = filepath.Join(t.TempDir(), "gb2mqtt.yaml")
	text := fmt.Sprintf("mqtt: {embedded: {listen: [\"tcp://0.0.0.0:%s\"], users: [{name: hashed, password: %q}, {name: joe, password: secret}]}}\n",
		port, "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy")
	if err := os.WriteFile(f.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// onlyJoe lets joe log in, and do everything.
type onlyJoe struct{ mochi.HookBase }

func (*onlyJoe) Provides(b byte) bool {
	return b == mochi.OnConnectAuthenticate || b == mochi.OnACLCheck
}

func (*onlyJoe) OnConnectAuthenticate(_ *mochi.Client, pk packets.Packet) bool {
	return string(pk.Connect.Username) == "joe" && string(pk.Connect.Password) == "secret"
}

func (*onlyJoe) OnACLCheck(*mochi.Client, string, bool) bool { return true }

// retain publishes a retained message, as the bridge does with its state.
func (f *fakeBridge) retain(topic, payload string) {
	f.t.Helper()
	if err := f.server.Publish(topic, []byte(payload), true, 1); err != nil {
		f.t.Fatal(err)
	}
}

// tell publishes a message that is not retained; %TOKEN in it becomes the request's token.
func (f *fakeBridge) tell(topic, payload, token string) {
	if err := f.server.Publish(topic, []byte(strings.ReplaceAll(payload, "%TOKEN", token)), false, 1); err != nil {
		f.t.Error(err)
	}
}

// on calls do with every request to topic and its clientToken.
func (f *fakeBridge) on(topic string, do func(body map[string]any, token string)) {
	f.t.Helper()
	err := f.server.Subscribe(topic, 1, func(_ *mochi.Client, _ packets.Subscription, pk packets.Packet) {
		var body map[string]any
		if err := json.Unmarshal(pk.Payload, &body); err != nil {
			f.t.Errorf("request to %s: %v: %s", pk.TopicName, err, pk.Payload)
			return
		}
		token, _ := body["clientToken"].(string)
		go do(body, token) // the broker's own goroutine must not wait for its publishing
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// run executes a command line against the bridge and returns its exit code and output.
func (f *fakeBridge) run(args ...string) (code int, stdout, stderr string) {
	f.t.Helper()
	return runLine(f.t, append(args, "-c", f.config)...)
}

func runLine(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = execute(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

// lines is a writer that hands over line by line.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		l <- strings.TrimSuffix(line, "\n")
	}
	return len(p), nil
}

// start runs a command line that goes on until stop, and returns its output.
func (f *fakeBridge) start(args ...string) (out, errs lines, stop func() int) {
	f.t.Helper()
	out, errs = make(lines, 100), make(lines, 100)
	ctx, cancel := context.WithCancel(f.t.Context())
	ended := make(chan int, 1)
	go func() { ended <- execute(ctx, append(args, "-c", f.config), out, errs) }()
	return out, errs, func() int { cancel(); return <-ended }
}
