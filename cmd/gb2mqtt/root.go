package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gb2mqtt/gb2mqtt/configs"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2 // the command line or the configuration is wrong: nothing was tried
)

// globalFlags are the flags that every sub-command knows.
type globalFlags struct {
	config string // path; "": gb2mqtt.yaml in the current folder, else the defaults
}

// load reads the configuration that the flags name.
func (g *globalFlags) load() (*configs.Config, error) {
	return configs.Load(g.config, os.LookupEnv)
}

func newRootCommand() *cobra.Command {
	global := &globalFlags{}
	run := newRunCommand(global)
	root := &cobra.Command{
		Use:   "gb2mqtt",
		Short: "Bridge GB/T 28181 cameras to MQTT and AWS IoT device shadows",
		Long: "gb2mqtt registers GB/T 28181 cameras over SIP and shows them over MQTT: presence, events, commands and\n" +
			"AWS IoT device shadows. Without a sub-command it runs the bridge.",
		Version:           version(),
		Args:              unknownCommand,
		RunE:              func(cmd *cobra.Command, args []string) error { return run.RunE(cmd, args) },
		SilenceErrors:     true, // execute prints them
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.PersistentFlags().StringVarP(&global.config, "config", "c", "", "configuration `FILE` (default gb2mqtt.yaml in the current folder, if it is there)")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%v; see %s --help", err, cmd.CommandPath())
	})
	root.AddCommand(run, newDemoCommand(global), newCheckCommand(global),
		newShadowCommand(global), newDevicesCommand(global), newCmdCommand(global))
	return root
}

// unknownCommand refuses words that are no sub-command, and names the nearest.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	cmd.SuggestionsMinimumDistance = 2 // cobra's own default, set only where it suggests by itself
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "; did you mean " + strings.Join(near, " or ")
	}
	return usagef("%s has no command %q%s; see %[1]s --help", cmd.CommandPath(), args[0], hint)
}

// between accepts least to most arguments, and else shows what they are.
func between(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usagef("%d arguments do not fit; use: %s", len(args), cmd.UseLine())
		}
		return nil
	}
}

// usageError is a command line that can't be meant.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func usagef(format string, args ...any) error {
	return usageError{fmt.Sprintf(format, args...)}
}

// exitCode tells how the program ends after err.
func exitCode(err error) int {
	var usage usageError
	var problems configs.Problems
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage), errors.As(err, &problems):
		return exitUsage
	}
	return exitFailed
}

// version tells what was built: the module's version, or the commit of a working copy.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	commit, changed := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = "-" + s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+changed"
		}
	}
	return "devel" + commit + changed
}
