// Command gbsim simulates a fleet of GB/T 28181 devices against any platform: it registers
// them, keeps them alive, answers queries and controls, raises alarms, loses packets and
// lets devices die, and ends with a summary of what was sent, answered and lost.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// The exit codes: the fleet ran; it could not; the command line is wrong.
const (
	exitFault = 1
	exitUsage = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends at once
	err := command(os.Stdout, os.Stderr).ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "gbsim:", err)
	if errors.Is(err, errUsage) {
		fmt.Fprintln(os.Stderr, "gbsim -h lists the flags")
		os.Exit(exitUsage)
	}
	os.Exit(exitFault)
}
