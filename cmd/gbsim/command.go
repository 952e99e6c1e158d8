package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// errUsage marks what is wrong with the command line rather than with the world.
var errUsage = errors.New("command line")

// options are the flags.
type options struct {
	fleet camera.FleetConfig
	ramp  rate
	json  bool
}

// command makes the program's only command; the summary goes to out, progress to progress.
func command(out, progress io.Writer) *cobra.Command {
	o := options{ramp: 500}
	c := &cobra.Command{
		Use:   "gbsim --server udp://HOST:PORT --server-id ID --password PASSWORD",
		Short: "Simulate a fleet of GB/T 28181 devices against any platform",
		Example: `  gbsim --server-id 34020000002000000001 --password 12345678 --devices 1000 --channels 4
  gbsim --server tcp://10.0.0.5:5060 --server-id 34020000002000000001 --password 12345678 --loss 0.1 --die 0.1 --json`,
		Args:          usageArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(c *cobra.Command, _ []string) error {
			o.fleet.Ramp = float64(o.ramp)
			fleet, err := camera.NewFleet(o.fleet)
			if err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			return run(c.Context(), fleet, o.json, out, progress)
		},
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", errUsage, err) })
	f, d := c.Flags(), &o.fleet.Device
	f.SortFlags = false
	f.StringVar(&d.Server, "server", "udp://127.0.0.1:5060", "the platform: udp://host:port or tcp://host:port")
	f.StringVar(&d.Transport, "transport", "", "udp or tcp (what --server says)")
	f.StringVar(&d.ServerID, "server-id", "34020000002000000001", "the platform's 20 digits")
	f.StringVar(&d.Domain, "domain", "", "SIP domain (the first 10 digits of --server-id)")
	f.StringVar(&d.Password, "password", os.Getenv("GB2MQTT_SIP_PASSWORD"), "of every device (GB2MQTT_SIP_PASSWORD)")
	f.StringVar(&o.fleet.FirstID, "first-id", "34020000001320000001", "20 digits of the first device; the others count on")
	f.IntVar(&o.fleet.Devices, "devices", 10, "how many devices")
	f.IntVar(&o.fleet.Channels, "channels", 1, "channels of each device")
	f.DurationVar(&d.Keepalive, "keepalive", 60*time.Second, "between two keepalives of a device; 0: none")
	f.DurationVar(&d.Expires, "expires", time.Hour, "life of a registration that is asked for")
	f.Var(&o.ramp, "ramp", "devices that begin in a second, as 500/s; 0: all at once")
	f.DurationVar(&o.fleet.Duration, "duration", 0, "how long to run; 0: until a signal")
	f.Float64Var(&o.fleet.Alarms, "alarms", 0, "alarms per minute and device")
	f.Float64Var(&d.Loss, "loss", 0, "share of datagrams dropped, each way, 0 to 1 (UDP)")
	f.Float64Var(&o.fleet.Die, "die", 0, "share of devices that fall silent at some moment of the run, 0 to 1")
	f.IntVar(&d.CatalogPerPacket, "catalog-per-packet", 4, "channels in one Catalog packet")
	f.StringVar(&d.Encoding, "encoding", "gb2312", "of bodies: gb2312, gb18030 or utf-8")
	f.StringVar(&d.GBVersion, "gb-version", "", "X-GB-Ver to send, as 2.0 or 3.0")
	f.DurationVar(&d.Timeout, "timeout", 11500*time.Millisecond, "a request without an answer is lost after this")
	f.IntVar(&o.fleet.Sockets, "sockets", 0, "UDP sockets that devices share (0: one each up to 4000 devices, then 500; -1: always one each)")
	f.BoolVar(&o.json, "json", false, "the summary as JSON, and no progress")
	return c
}

// usageArgs refuses what is no flag.
func usageArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%w: %q is no flag; gbsim takes flags only", errUsage, args[0])
	}
	return nil
}

// rate is a flag such as 500/s.
type rate float64

func (r *rate) String() string { return strconv.FormatFloat(float64(*r), 'f', -1, 64) + "/s" }
func (r *rate) Type() string   { return "rate" }

// Set reads N, N/s or N/m.
func (r *rate) Set(text string) error {
	number, unit, _ := strings.Cut(text, "/")
	v, err := strconv.ParseFloat(number, 64)
	per := map[string]float64{"": 1, "s": 1, "m": 60}[unit]
	if err != nil || v < 0 || per == 0 {
		return fmt.Errorf("use a number with /s or /m, such as 500/s")
	}
	*r = rate(v / per)
	return nil
}
