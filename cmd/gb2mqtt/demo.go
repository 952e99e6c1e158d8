package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge"
	"github.com/gb2mqtt/gb2mqtt/configs"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

// demoKeepalive is short, so that a silent camera is noticed while somebody watches.
const demoKeepalive = 5 * time.Second

func newDemoCommand(_ *globalFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Run the bridge with three simulated cameras and show what goes over MQTT",
		Long: "Run the bridge with three simulated cameras, in a temporary folder and on free ports where the usual ones\n" +
			"are taken, and print what goes over MQTT: cameras come online, report, obey, and one goes silent.\n" +
			"It needs nothing else. End it with Ctrl-C.",
		Args: between(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}

// demo runs bridge, cameras and the story they play until ctx ends.
func demo(ctx context.Context, stdout, stderr io.Writer) (err error) {
	folder, err := os.MkdirTemp("", "gb2mqtt-demo-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w; is there room in %s?", err, os.TempDir())
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	c, err := demoConfig(folder)
	if err != nil {
		return err
	}
	log := newLogger(configs.Log{Level: "warn", Format: "text"}, stderr)
	show := newStage(stdout)
	show.say("Starting gb2mqtt with three simulated cameras. Ctrl-C ends it.")

	group, ctx := errgroup.WithContext(ctx)
	ready := make(chan bridge.Addresses, 1)
	bridgeCtx, stopBridge := context.WithCancel(context.WithoutCancel(ctx)) // outlives the cameras: they take their leave
	group.Go(func() error {
		return bridge.Run(bridgeCtx, bridgeConfig(c), log, func(a bridge.Addresses) { ready <- a })
	})
	group.Go(func() error {
		defer stopBridge()
		select {
		case a := <-ready:
			return play(ctx, c, a, show, log)
		case <-ctx.Done():
			return nil
		}
	})
	return group.Wait()
}

// demoConfig is the default configuration on loopback, in a folder of its own, on the usual
// ports where they are free.
func demoConfig(folder string) (*configs.Config, error) {
	c := configs.Default()
	sipPort, err := usualOrFree("5060", "udp", "tcp")
	if err != nil {
		return nil, err
	}
	mqttPort, err := usualOrFree("1883", "tcp")
	if err != nil {
		return nil, err
	}
	httpPort, err := usualOrFree("8080", "tcp")
	if err != nil {
		return nil, err
	}
	c.SIP.Listen = []string{"udp://127.0.0.1:" + sipPort, "tcp://127.0.0.1:" + sipPort}
	c.SIP.Auth.Password = "12345678"
	c.SIP.Keepalive.Interval = demoKeepalive
	c.MQTT.Embedded.Listen = []string{"tcp://127.0.0.1:" + mqttPort}
	c.HTTP.Listen = "127.0.0.1:" + httpPort
	c.Store.Path = folder
	return c, nil
}

// usualOrFree returns the usual port when nobody has it on any of networks, else a free one.
func usualOrFree(usual string, networks ...string) (string, error) {
	var last error
	for _, port := range append([]string{usual}, slices.Repeat([]string{"0"}, 20)...) {
		chosen, err := tryPort(port, networks)
		if err == nil {
			return chosen, nil
		}
		last = err
	}
	return "", fmt.Errorf("no free port on 127.0.0.1: %w", last)
}

// tryPort finds out whether port, 0 for any, can be had on all networks.
func tryPort(port string, networks []string) (string, error) {
	for _, network := range networks {
		var bound string
		if network == "udp" {
			l, err := net.ListenPacket(network, net.JoinHostPort("127.0.0.1", port))
			if err != nil {
				return "", err
			}
			bound = l.LocalAddr().String()
			l.Close()
		} else {
			l, err := net.Listen(network, net.JoinHostPort("127.0.0.1", port))
			if err != nil {
				return "", err
			}
			bound = l.Addr().String()
			l.Close()
		}
		_, chosen, err := net.SplitHostPort(bound)
		if err != nil {
			return "", err
		}
		port = chosen // the same one on the next network
	}
	return port, nil
}
