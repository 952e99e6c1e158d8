//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// listen takes the orders to die (SIGUSR1) and to come back (SIGUSR2), until deaf is called.
func listen() (orders <-chan os.Signal, deaf func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1, syscall.SIGUSR2)
	return c, func() { signal.Stop(c) }
}

// deadly tells the one from the other.
func deadly(order os.Signal) bool { return order == syscall.SIGUSR1 }
