package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/gb2mqtt/gb2mqtt/bridge"
	"github.com/gb2mqtt/gb2mqtt/configs"
	"github.com/spf13/cobra"
)

func newRunCommand(global *globalFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Run the bridge until it is told to stop",
		Long: "Run the bridge until SIGINT or SIGTERM; a second signal ends it at once. Once it serves it prints one line\n" +
			"that begins `ready`, with the addresses of SIP, MQTT and HTTP. The log goes to standard error.",
		Args: between(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := global.load()
			if err != nil {
				return err
			}
			return run(cmd.Context(), c, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}

// run serves until ctx ends.
func run(ctx context.Context, c *configs.Config, stdout, stderr io.Writer) error {
	log := newLogger(c.Log, stderr)
	if c.File == "" {
		log.Info("no configuration file: the defaults count", "file", configs.DefaultFile)
	}
	return bridge.Run(ctx, bridgeConfig(c), log, func(a bridge.Addresses) {
		if a.GeneratedPassword != "" {
			fmt.Fprintf(stdout, "SIP password %s (made up and kept in %s; set sip.auth.password to choose your own)\n", a.GeneratedPassword, c.Store.Path)
		}
		fmt.Fprintln(stdout, readyLine(a))
	})
}

// readyLine tells scripts and people that everything serves, and where.
func readyLine(a bridge.Addresses) string {
	line := "ready sip " + strings.Join(a.SIP, " ")
	if len(a.MQTT) > 0 {
		line += " mqtt " + strings.Join(a.MQTT, " ")
	}
	if a.HTTP != "" {
		line += " http " + a.HTTP
	}
	return line
}

func newLogger(c configs.Log, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.SlogLevel()}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
