package test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// deviceID and channelID number the simulated devices of the stories.
func deviceID(n int) string          { return fmt.Sprintf("3402000000132%07d", n) }
func channelID(device, n int) string { return fmt.Sprintf("3402000000131%04d%03d", device, n) }

// newCamera returns a started, not yet registered camera with three channels. edit may
// change its configuration.
func newCamera(t testing.TB, server string, n int, edit func(*camera.Config)) *camera.Device {
	t.Helper()
	c := camera.Config{
		ID: deviceID(n), Password: sipPassword, Server: server, ServerID: serverID, Domain: domain,
		Manufacturer: "ACME", Model: "X1", Firmware: "V5.7.3", CatalogPerPacket: 2,
	}
	for i := range 3 {
		c.Channels = append(c.Channels, camera.Channel{ID: channelID(n, i), Name: fmt.Sprintf("相机%d", i), PTZType: 1})
	}
	if edit != nil {
		edit(&c)
	}
	d, err := camera.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// within bounds one step of a story.
func within(t testing.TB, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// register registers d, or fails the test.
func register(t testing.TB, d *camera.Device) {
	t.Helper()
	if err := d.Register(within(t, 10*time.Second)); err != nil {
		t.Fatalf("REGISTER of %s: %v", d.ID(), err)
	}
}

// keepalive sends one, and returns its code.
func keepalive(t testing.TB, d *camera.Device) int {
	t.Helper()
	code, _, err := d.Keepalive(within(t, 10*time.Second))
	if err != nil {
		t.Fatalf("keepalive of %s: %v", d.ID(), err)
	}
	return code
}

// obeyed waits until d gets a request that matches.
func obeyed(t testing.TB, d *camera.Device, what string, match func(*camera.Request) bool) camera.Request {
	t.Helper()
	r, err := d.Wait(within(t, 10*time.Second), match)
	if err != nil {
		t.Fatalf("%s did not get %s: %v", d.ID(), what, err)
	}
	return r
}

// count tells how many of the requests that d got match.
func count(d *camera.Device, match func(*camera.Request) bool) int {
	n := 0
	for _, r := range d.Received() {
		if match(&r) {
			n++
		}
	}
	return n
}

// control matches a Control with an element of that text.
func control(element, text string) func(*camera.Request) bool {
	return func(r *camera.Request) bool { return r.Root == "Control" && r.Element(element) == text }
}
