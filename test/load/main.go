// Command load puts a load on the bridge as a scenario says: phases of devices, keepalives,
// registrations, commands, shadow requests and alarms that ramp, hold and drop, with faults
// between and beside them. It ends with a report and holds it against objectives.
//
//	SCENARIO.yaml ─▶ run ─┬▶ camera.Fleet ─▶ faults.Proxy ─▶ bridge ◀─ MQTT ─ requests, watcher, slow subscriber
//	                      └▶ sampler ◀─ answers, /metrics        ▲ SIGSTOP, busy disk
//	                            └▶ measure.Result ─▶ objectives ─▶ table │ JSON │ HTML
//
// It exits with 1 when an objective failed or the load could not be made, and with 2 when the
// command line or the scenario is wrong.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// The exit codes beside 0.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends at once
	err := command(os.Stdout, os.Stderr).ExecuteContext(ctx)
	stop()
	os.Exit(exitCode(err, os.Stderr))
}

// exitCode tells what went wrong, unless the report has told it, and returns the code to
// exit with.
func exitCode(err error, say io.Writer) int {
	if err == nil {
		return 0
	}
	if !errors.Is(err, errFailed) {
		fmt.Fprintln(say, "load:", err)
	}
	if errors.Is(err, errUsage) {
		return exitUsage
	}
	return exitFailed
}
