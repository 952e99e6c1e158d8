//go:build race

package bridge

// healedDevices are fewer where the race detector makes everything ten times as slow.
const healedDevices = 1_500
