//go:build !unix

package main

import "errors"

// halt would make a process stand still, which needs Unix signals.
func halt(int) error { return errors.ErrUnsupported }

// goOn has nothing to do where halt can't.
func goOn(int) error { return nil }
