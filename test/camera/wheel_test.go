package camera

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// wheelOf makes a fleet of n devices that live on a wheel and have no platform: what each
// would send shows in its serial numbers.
func wheelOf(t *testing.T, n int, every time.Duration) *Fleet {
	t.Helper()
	f, err := NewFleet(FleetConfig{Device: Config{Server: "127.0.0.1", ServerID: serverID, Keepalive: every}, FirstID: "34020000001320000001", Devices: n})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range f.Devices() {
		d.wanted, d.registered = true, true
		d.planBeatLocked()
	}
	return f
}

// sent is how many keepalives d has sent.
func sent(d *Device) uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sn
}

func TestWheelSendsEveryDevicesKeepaliveOnceATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1000
		f := wheelOf(t, n, 10*time.Second)
		for _, c := range f.clocks {
			if len(c.entries) > 0 {
				t.Errorf("%d appointments of %d devices on the wheel", len(c.entries), n)
			}
		}
		ctx, end := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { f.wheel.run(ctx); close(done) }()
		defer func() { end(); <-done }()
		f.Devices()[7].SetSilent(true)
		time.Sleep(5 * time.Second)
		half := 0
		for _, d := range f.Devices() {
			half += int(sent(d))
		}
		if half < n*49/100 || half > n*51/100 {
			t.Errorf("%d keepalives in half a turn of %d devices, want them spread evenly", half, n)
		}
		time.Sleep(25*time.Second + 5*wheelTick)
		for i, d := range f.Devices() {
			want := uint32(3)
			if i == 7 {
				want = 0
			}
			if got := sent(d); got != want && got != want+1 {
				t.Fatalf("device %d sent %d keepalives in three turns", i, got)
			}
		}
		f.SetKeepalive(0)
		before := sent(f.Devices()[0])
		time.Sleep(time.Hour)
		if got := sent(f.Devices()[0]); got > before {
			t.Errorf("%d keepalives more after they were ended", got-before)
		}
	})
}

func TestDeviceWithAnotherIntervalLeavesTheWheel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := wheelOf(t, 2, time.Minute)
		d := f.Devices()[0]
		ctx, end := context.WithCancel(t.Context())
		done := make(chan struct{}, 1+len(f.clocks))
		go func() { f.wheel.run(ctx); done <- struct{}{} }()
		for _, c := range f.clocks {
			go func() { c.run(ctx); done <- struct{}{} }()
		}
		d.mu.Lock()
		d.beatEvery = 5 * time.Second // as by a BasicParam
		d.mu.Unlock()
		d.rebeat()
		time.Sleep(time.Minute + time.Second)
		if own, other := sent(d), sent(f.Devices()[1]); own != 12 || other < 1 || other > 2 {
			t.Errorf("%d keepalives in a minute every 5s, %d on the wheel", own, other)
		}
		end()
		for range cap(done) {
			<-done
		}
	})
}
