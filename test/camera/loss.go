package camera

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// dice decide which datagrams are lost. Each direction has its own, so that what is lost of
// the one does not hang on how the other goes.
type dice struct {
	seed    uint64
	share   atomic.Uint64 // bits of a float64: of all datagrams, 0…1
	mu      sync.Mutex    // guards the rest
	in, out *rand.Rand    // made with the first toss
}

func (d *dice) init(share float64, seed uint64) {
	d.seed = seed
	d.set(share)
}

func (d *dice) set(share float64) { d.share.Store(math.Float64bits(share)) }

// lose tosses for one datagram that comes in, or goes out.
func (d *dice) lose(out bool) bool {
	share := math.Float64frombits(d.share.Load())
	if share == 0 {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.in == nil {
		if d.seed == 0 {
			d.seed = rand.Uint64()
		}
		d.in, d.out = rand.New(rand.NewPCG(d.seed, 1)), rand.New(rand.NewPCG(d.seed, 2))
	}
	if out {
		return d.out.Float64() < share
	}
	return d.in.Float64() < share
}

// SetLoss has this share of the device's datagrams dropped from now on, each way; UDP only.
func (d *Device) SetLoss(share float64) { d.dice.set(share) }
