package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gb2mqtt/gb2mqtt/test/load/report"
	"github.com/gb2mqtt/gb2mqtt/test/load/scenario"
)

// What main tells apart by its exit code.
var (
	errUsage  = errors.New("command line")
	errFailed = errors.New("an objective failed")
)

// options are the flags.
type options struct {
	scale              float64
	stretch            time.Duration
	seed               uint64
	json               bool
	html, assets       string
	bridge, log        string
	server, mqtt, http string
	id, password       string
	pid                int
}

// command makes the program's only command; the report goes to out, progress to progress.
func command(out, progress io.Writer) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "load SCENARIO.yaml",
		Short: "Put a load on the bridge, with faults, and hold what comes of it against objectives",
		Example: `  go run ./test/load test/load/scenarios/registration-storm.yaml --scale 0.1
  go run ./test/load test/load/scenarios/soak.yaml --for 1h --html soak.html
  go run ./test/load my.yaml --server udp://10.0.0.5:5060 --url tcp://10.0.0.5:1883 --http http://10.0.0.5:8080 --password 12345678`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%w: name one scenario, as test/load/scenarios/soak.yaml", errUsage)
			}
			return nil
		},
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(c *cobra.Command, args []string) error { return o.run(c.Context(), args[0], out, progress) },
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", errUsage, err) })
	f := c.Flags()
	f.SortFlags = false
	f.Float64Var(&o.scale, "scale", 1, "times as many devices and requests as the scenario says")
	f.DurationVar(&o.stretch, "for", 0, "length of the phases that stretch (what the scenario says)")
	f.Uint64Var(&o.seed, "seed", 1, "of the faults' chance")
	f.BoolVar(&o.json, "json", false, "the report as JSON, and no progress")
	f.StringVar(&o.html, "html", "", "file for the report as a page with plots")
	f.StringVar(&o.assets, "assets", "", "URL of the folder with echarts.min.js, for a page that is read offline (go-echarts' own site)")
	f.StringVar(&o.bridge, "bridge", "", "the built bridge to start (built from the module)")
	f.StringVar(&o.log, "log", "", "file for what the started bridge says")
	f.StringVar(&o.server, "server", "", "SIP of a bridge that runs already: udp://host:port or tcp://host:port")
	f.StringVar(&o.mqtt, "url", "", "its MQTT: tcp://host:port")
	f.StringVar(&o.http, "http", "", "its HTTP: http://host:port")
	f.StringVar(&o.id, "server-id", serverID, "its 20 digits")
	f.StringVar(&o.password, "password", os.Getenv("GB2MQTT_SIP_PASSWORD"), "of every device there (GB2MQTT_SIP_PASSWORD)")
	f.IntVar(&o.pid, "pid", 0, "its process, for phases that stop it")
	return c
}

// run reads the scenario, runs it, and tells what it came to.
func (o *options) run(ctx context.Context, file string, out, progress io.Writer) (err error) {
	s, err := o.scenario(file)
	if err != nil {
		return err
	}
	at, stop, err := o.target(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if o.json {
		progress = io.Discard
	}
	p := newProgress(progress)
	began := time.Now()
	result, err := load(ctx, s, at, o.seed, p.show)
	p.done()
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("interrupted before the plan was over: %w", err)
	}
	if err != nil {
		return err
	}
	r := &report.Report{Scenario: s.Name, About: s.About, Began: began, Seconds: time.Since(began).Seconds(), Scale: o.scale, Machine: report.Machine(), Result: *result}
	r.Objectives, r.Passed = result.Judge(s.Objectives)
	if err := o.tell(r, out); err != nil {
		return err
	}
	if !r.Passed {
		return errFailed
	}
	return nil
}

// scenario reads the file and fits it to the flags.
func (o *options) scenario(file string) (*scenario.Scenario, error) {
	if o.scale <= 0 || o.scale > 1000 || o.stretch < 0 {
		return nil, fmt.Errorf("%w: --scale is more than 0 and at most 1000, --for is not negative", errUsage)
	}
	s, err := scenario.Read(file)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	s.Scale(o.scale)
	if o.stretch > 0 {
		if !s.Stretches() {
			return nil, fmt.Errorf("%w: --for: no phase of %s has stretch: true", errUsage, s.Name)
		}
		s.Stretch(o.stretch)
	}
	return s, nil
}

// target finds the bridge, or builds and starts one, which stop then ends.
func (o *options) target(ctx context.Context, s *scenario.Scenario) (_ target, stop func() error, err error) {
	if o.server+o.mqtt+o.http != "" {
		at, err := o.running(s)
		return at, func() error { return nil }, err
	}
	folder, err := os.MkdirTemp("", "gb2mqtt-load-")
	if err != nil {
		return target{}, nil, fmt.Errorf("a folder for the bridge: %w", err)
	}
	remove := func() error { return os.RemoveAll(folder) }
	binary := o.bridge
	if binary == "" {
		binary, err = build(ctx, folder)
	} else {
		binary, err = filepath.Abs(binary) // it will run in that folder
	}
	if err != nil {
		return target{}, nil, errors.Join(err, remove())
	}
	log, closeLog := io.Writer(nil), func() error { return nil }
	if o.log != "" {
		f, err := os.Create(o.log)
		if err != nil {
			return target{}, nil, errors.Join(fmt.Errorf("--log: %w", err), remove())
		}
		log, closeLog = f, f.Close
	}
	b, err := startBridge(binary, folder, s, log)
	if err != nil {
		return target{}, nil, errors.Join(err, closeLog(), remove())
	}
	return b.target, func() error { return errors.Join(b.stop(), closeLog(), remove()) }, nil
}

// running is the bridge that the flags name.
func (o *options) running(s *scenario.Scenario) (target, error) {
	at := target{sip: make(map[string]string), serverID: o.id, password: o.password, pid: o.pid}
	for _, f := range []struct {
		flag, text, schemes string
		take                func(*url.URL)
	}{
		{"--server", o.server, "udp tcp", func(u *url.URL) { at.sip[u.Scheme] = u.Host }},
		{"--url", o.mqtt, "tcp mqtt", func(u *url.URL) { at.mqtt = u.Host }},
		{"--http", o.http, "http https", func(u *url.URL) { at.metrics = strings.TrimSuffix(u.String(), "/") + "/metrics" }},
	} {
		u, err := url.Parse(f.text)
		if err != nil || u.Host == "" || !strings.Contains(" "+f.schemes+" ", " "+u.Scheme+" ") {
			return at, fmt.Errorf("%w: %s %q: a bridge that runs already needs --server, --url and --http, each as %s://host:port",
				errUsage, f.flag, f.text, strings.ReplaceAll(f.schemes, " ", ":// or "))
		}
		f.take(u)
	}
	if len(s.Config) > 0 {
		return at, fmt.Errorf("%w: %s configures the bridge, which one that runs already has done; take the section config out when it fits", errUsage, s.Name)
	}
	return at, nil
}

// tell writes the report wherever it is wanted.
func (o *options) tell(r *report.Report, out io.Writer) (err error) {
	if o.html != "" {
		f, err := os.Create(o.html)
		if err != nil {
			return fmt.Errorf("--html: %w", err)
		}
		if err := errors.Join(r.HTML(f, o.assets), f.Close()); err != nil {
			return fmt.Errorf("--html: %w", err)
		}
	}
	if o.json {
		return r.JSON(out)
	}
	return r.Table(out)
}
