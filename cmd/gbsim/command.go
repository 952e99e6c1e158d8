package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
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
	print bool
}

// command makes the program's only command; the summary goes to out, progress to progress.
func command(out, progress io.Writer) *cobra.Command {
	o := options{ramp: 500}
	c := &cobra.Command{
		Use:   "gbsim --server udp://HOST:PORT --server-id ID --password PASSWORD",
		Short: "Simulate a fleet of GB/T 28181 devices against any platform",
		Example: `  gbsim --server-id 34020000002000000001 --password 12345678 --devices 1000 --channels 4
  gbsim --server tcp://10.0.0.5:5060 --server-id 34020000002000000001 --password 12345678 --loss 0.1 --die 0.1 --json`,
		Long:          "Simulate a fleet of GB/T 28181 devices against any platform.\n\n" + quirkHelp(),
		Args:          usageArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(c *cobra.Command, _ []string) error {
			o.fleet.Ramp = float64(o.ramp)
			if o.print {
				o.fleet.Device.Print = lines(out)
				if o.json { // which is all that stdout has then
					o.fleet.Device.Print = lines(progress)
				}
			}
			fleet, err := camera.NewFleet(o.fleet)
			if err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			return run(c.Context(), fleet, o, out, progress)
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
	f.Float64Var(&o.fleet.Events, "catalog-events", 0, "channels that go off or come on, per minute and device")
	f.DurationVar(&o.fleet.Position, "positions", 0, "between two positions that a device tells unasked; 0: as they are subscribed to")
	f.Var((*refusals)(&d.RefuseSubscribe), "refuse-subscribe", "subscriptions to refuse: catalog, alarm, position, ptz_position, each with =CODE for another than 403")
	f.DurationVar(&d.SubscriptionMost, "subscription-most", 0, "the longest subscription that is granted; 0: as asked for")
	f.Float64Var(&d.Loss, "loss", 0, "share of datagrams dropped, each way, 0 to 1 (UDP)")
	f.Uint64Var(&d.Seed, "seed", 0, "of the dice that decide which datagrams are lost; 0: other ones each time")
	f.Var(&o.fleet.Die, "die", "share of devices that fall silent: 0.1 at some moment of the run, 0.1@30s so long after their start; at SIGUSR1 too (all without --die), and back at SIGUSR2")
	f.IntVar(&d.Records, "records", 24, "recordings of each channel, each of an hour, 0 to 10000")
	f.IntVar(&d.Cards, "cards", 1, "SD cards of each device, 0 to 8")
	f.DurationVar(&d.Reboot, "reboot", 2*time.Second, "how long TeleBoot keeps a device away")
	f.IntVar(&d.CatalogPerPacket, "catalog-per-packet", 4, "channels in one Catalog packet")
	f.Var((*quirks)(&d.Quirks), "quirk", "what devices do otherwise than the standard; the names are above")
	f.StringVar(&d.Edition, "edition", "", "of GB/T 28181, 2016 or 2022: what devices know, refuse and show (all of both, and no X-GB-Ver)")
	f.StringVar(&d.Encoding, "encoding", "", "of bodies: gb2312, gb18030 or utf-8 (gb18030 for edition 2022, else gb2312)")
	f.StringVar(&d.GBVersion, "gb-version", "", "X-GB-Ver to send, as 2.0 or 3.0 (3.0 for edition 2022, else none)")
	f.DurationVar(&d.Timeout, "timeout", 11500*time.Millisecond, "a request without an answer is lost after this")
	f.IntVar(&o.fleet.Sockets, "sockets", 0, "UDP sockets that devices share (0: one each up to 4000 devices, then 500; -1: always one each)")
	f.BoolVar(&o.print, "print", false, "a line for each message that a device gets, in the words of the standard, and no progress")
	f.BoolVar(&o.json, "json", false, "the summary as JSON, and no progress")
	return c
}

// lines writes whole lines, from any number of goroutines.
func lines(out io.Writer) func(string) {
	var mu sync.Mutex
	return func(line string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(out, line)
	}
}

// quirks is a flag of names.
type quirks []camera.Quirk

func (q *quirks) String() string {
	names := make([]string, len(*q))
	for i, name := range *q {
		names[i] = string(name)
	}
	return strings.Join(names, ",")
}

func (q *quirks) Type() string { return "name,…" }

// Set adds NAME[,NAME]; that the names are known is seen with the rest.
func (q *quirks) Set(text string) error {
	for name := range strings.SplitSeq(text, ",") {
		*q = append(*q, camera.Quirk(strings.TrimSpace(name)))
	}
	return nil
}

// quirkHelp lists the quirks, with who has been seen with each.
func quirkHelp() string {
	var b strings.Builder
	b.WriteString("Quirks:\n")
	for _, q := range camera.Quirks() {
		fmt.Fprintf(&b, "  %-22s %s (%s)\n", q.Name, q.What, q.Who)
	}
	return b.String()
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

// refusals is a flag such as catalog,alarm=489: SIP codes by the CmdType of a subscription.
type refusals map[string]int

// subscribable are the CmdTypes that the flag's names stand for.
var subscribable = map[string]string{"catalog": "Catalog", "alarm": "Alarm", "position": "MobilePosition", "ptz_position": "PTZPosition"}

func (r *refusals) String() string {
	var names []string
	for name, cmd := range subscribable {
		if code := (*r)[cmd]; code != 0 {
			names = append(names, name+"="+strconv.Itoa(code))
		}
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

func (r *refusals) Type() string { return "kinds" }

// Set reads names, each with a code of its own or without, separated by commas.
func (r *refusals) Set(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		name, number, own := strings.Cut(part, "=")
		cmd, code := subscribable[name], 403
		if own {
			code, _ = strconv.Atoi(number) // no number is no code, as the check below says
		}
		if cmd == "" || code < 300 || code > 699 {
			return fmt.Errorf("%q: use catalog, alarm, position or ptz_position, with =CODE of 300 to 699 for another answer than 403", part)
		}
		if *r == nil {
			*r = make(refusals)
		}
		(*r)[cmd] = code
	}
	return nil
}
