//go:build unix

package main

import "syscall"

// halt makes a process stand still.
func halt(pid int) error { return syscall.Kill(pid, syscall.SIGSTOP) }

// goOn lets a process that stands still go on; to others it does nothing.
func goOn(pid int) error { return syscall.Kill(pid, syscall.SIGCONT) }
