package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge"
	"github.com/gb2mqtt/gb2mqtt/configs"
	"github.com/gb2mqtt/gb2mqtt/test/camera"
	"golang.org/x/sync/errgroup"
)

// demoCameras are the cast: a dome that obeys, a recorder with two channels, and a camera
// that will go silent.
func demoCameras(c *configs.Config, a bridge.Addresses) []camera.Config {
	server := func(scheme string) string {
		i := slices.IndexFunc(a.SIP, func(u string) bool { return strings.HasPrefix(u, scheme+"://") })
		return a.SIP[i]
	}
	base := camera.Config{
		Password: c.SIP.Auth.Password, Server: server("udp"), ServerID: c.SIP.ServerID, Domain: c.SIP.Domain,
		Keepalive: demoKeepalive, Retry: 2 * time.Second, Manufacturer: "ACME",
	}
	dome, recorder, bullet := base, base, base
	dome.ID, dome.Name, dome.Model = "34020000001320000001", "dome at the gate", "PTZ-1"
	dome.Channels = []camera.Channel{{ID: "34020000001310000001", Name: "大门", PTZType: 1}}
	recorder.ID, recorder.Name, recorder.Model = "34020000001180000002", "recorder in the hall", "NVR-2"
	recorder.Server, recorder.GBVersion, recorder.Encoding = server("tcp"), "3.0", "gb18030"
	recorder.Channels = []camera.Channel{
		{ID: "34020000001310000021", Name: "走廊"}, {ID: "34020000001310000022", Name: "仓库", Status: "OFF"},
	}
	bullet.ID, bullet.Name, bullet.Model = "34020000001320000003", "bullet at the fence", "IPC-3"
	bullet.Channels = []camera.Channel{{ID: "34020000001310000031", Name: "围墙"}}
	return []camera.Config{dome, recorder, bullet}
}

// play runs the cameras and their story; it returns when ctx has ended.
func play(ctx context.Context, c *configs.Config, a bridge.Addresses, show *stage, log *slog.Logger) error {
	show.say("Bridge: %s", readyLine(a))
	mqtt, err := dial(ctx, address{url: a.MQTT[0], hint: "the demo's own broker should be there"}, c)
	if err != nil {
		return err
	}
	defer mqtt.close()
	arrived := newArrived()
	if err := mqtt.subscribe(ctx, arrived, c.Topics.Prefix+"/#", c.Shadow.Prefix+"/#"); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		for {
			m, err := mqtt.next(ctx, arrived, nil)
			switch {
			case ctx.Err() != nil:
				return nil
			case err != nil:
				return err
			}
			show.message(c, m.Topic, m.Payload)
		}
	})
	var cameras []*camera.Device
	for _, cfg := range demoCameras(c, a) {
		cfg.Log = log
		d, err := camera.New(cfg)
		if err != nil {
			return err
		}
		cameras = append(cameras, d)
		group.Go(func() error { return d.Run(ctx) })
	}
	group.Go(func() error { return story(ctx, c, mqtt, cameras, show, a) })
	return group.Wait()
}

// story is what happens, scene by scene, with a pause to read each.
func story(ctx context.Context, c *configs.Config, mqtt *client, cameras []*camera.Device, show *stage, a bridge.Addresses) error {
	dome, bullet := cameras[0], cameras[2]
	gate := "34020000001310000001"
	scenes := []struct {
		after time.Duration
		title string
		act   func() error
	}{
		{0, "Three cameras register over SIP: two on UDP, one on TCP.", func() error { return nil }},
		{3 * time.Second, "A command: turn the dome at the gate to the right, and stop after a second.", func() error {
			return mqtt.publish(ctx, c.Topics.Prefix+"/"+dome.ID()+"/"+gate+"/cmd/ptz",
				[]byte(`{"pan":100,"duration_ms":1000,"clientToken":"demo-1"}`))
		}},
		{4 * time.Second, "A wish: the dome shall be on guard. It goes into the shadow's desired state.", func() error {
			return mqtt.publish(ctx, c.Shadow.Prefix+"/"+dome.ID()+"/shadow/update", []byte(`{"state":{"desired":{"guard":"on"}}}`))
		}},
		{4 * time.Second, "The dome sees somebody at the gate.", func() error {
			_, err := dome.Alarm(ctx, camera.Alarm{Channel: gate, Priority: 1, Method: 5, Type: 2, Description: "有人"})
			return err
		}},
		{4 * time.Second, fmt.Sprintf("The bullet at the fence dies. After %v of silence nobody knows, after %v it is offline.",
			demoKeepalive*3/2, demoKeepalive*3), func() error { bullet.SetSilent(true); return nil }},
		{demoKeepalive*3 + 3*time.Second, "A command to the dead is refused at once.", func() error {
			return mqtt.publish(ctx, c.Topics.Prefix+"/"+bullet.ID()+"/cmd/device_info", []byte(`{"clientToken":"demo-2"}`))
		}},
		{3 * time.Second, "It comes back to life.", func() error { bullet.SetSilent(false); return nil }},
		{demoKeepalive + 2*time.Second, "That was the tour. The cameras stay; try in another terminal:", func() error {
			show.say("    gb2mqtt devices --url %s", a.MQTT[0])
			show.say("    gb2mqtt shadow get %s --url %s", dome.ID(), a.MQTT[0])
			show.say("    gb2mqtt cmd %s presets '{}' --url %s", dome.ID(), a.MQTT[0])
			return nil
		}},
	}
	for _, s := range scenes {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(s.after):
		}
		show.scene(s.title)
		if err := s.act(); err != nil && ctx.Err() == nil {
			return fmt.Errorf("scene %q: %w", s.title, err)
		}
	}
	<-ctx.Done()
	return nil
}
