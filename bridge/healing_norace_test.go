//go:build !race

package bridge

// healedDevices is how many devices a network cut is about.
const healedDevices = 10_000
