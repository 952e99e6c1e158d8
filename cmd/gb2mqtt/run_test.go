package main

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge"
	"github.com/gb2mqtt/gb2mqtt/configs"
	"github.com/gb2mqtt/gb2mqtt/test/camera"
	"go.uber.org/goleak"
)

func TestAStoppedBridgeLeavesNoGoroutine(t *testing.T) {
	before := goleak.IgnoreCurrent()
	c := configs.Default()
	c.SIP.Listen = []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"}
	c.SIP.Auth.Password = "12345678"
	c.MQTT.Embedded.Listen = []string{"tcp://127.0.0.1:0", "ws://127.0.0.1:0"}
	c.HTTP.Listen = "127.0.0.1:0"
	c.Store.Path = t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	ready, ended := make(chan bridge.Addresses, 1), make(chan error, 1)
	go func() {
		ended <- bridge.Run(ctx, bridgeConfig(c), slog.New(slog.NewTextHandler(io.Discard, nil)), func(a bridge.Addresses) { ready <- a })
	}()
	a := <-ready
	client, err := dial(ctx, address{url: a.MQTT[0]}, c)
	if err != nil {
		t.Fatal(err)
	}
	arrived := newArrived()
	if err := client.subscribe(ctx, arrived, "gb28181/#"); err != nil {
		t.Fatal(err)
	}
	var cameras []*camera.Device
	for _, server := range a.SIP { // one over UDP, one over TCP
		d, err := camera.New(camera.Config{
			ID: "3402000000132000000" + map[bool]string{true: "1", false: "2"}[server == a.SIP[0]], Server: server,
			ServerID: c.SIP.ServerID, Domain: c.SIP.Domain, Password: c.SIP.Auth.Password,
			Channels: []camera.Channel{{ID: "34020000001310000001", Name: "gate"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Start(ctx); err != nil {
			t.Fatal(err)
		}
		cameras = append(cameras, d)
		if err := d.Register(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.publish(ctx, "gb28181/34020000001320000001/cmd/ptz", []byte(`{"pan":9}`)); err != nil {
		t.Fatal(err)
	}
	for { // it moves now, and will be stopped
		m, err := client.next(ctx, arrived, nil)
		if err != nil {
			t.Fatal(err)
		}
		if m.Topic == "gb28181/34020000001320000001/cmd/ptz/accepted" {
			break
		}
	}
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the bridge ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the bridge does not end")
	}
	client.close()
	for _, d := range cameras {
		d.Close()
	}
	// A library of Badger's starts this one for good when the program starts to log.
	goleak.VerifyNone(t, before, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}
