package bridge

import (
	"testing"
)

func TestHeapOfALargeFleetIsCollectedSooner(t *testing.T) {
	const mb = 1 << 20
	for live, want := range map[uint64]int{0: 100, 20 * mb: 100, 256 * mb: 100, 512 * mb: 50, 700 * mb: 36, 4096 * mb: 25} {
		if got := gcPercent(live); got != want {
			t.Errorf("with %d MB alive %d %% more may be allocated, want %d %%", live/mb, got, want)
		}
	}
	for name, c := range map[string]struct {
		use  memoryUse
		want bool
	}{
		"at rest":          {memoryUse{live: 10 * mb, objects: 15 * mb, free: 20 * mb}, false},
		"after a storm":    {memoryUse{live: 100 * mb, objects: 120 * mb, free: 900 * mb}, true},
		"garbage of one":   {memoryUse{live: 100 * mb, objects: 500 * mb}, true},
		"a large fleet":    {memoryUse{live: 1000 * mb, objects: 1200 * mb, free: 10 * mb}, false},
		"before the first": {memoryUse{objects: 3 * mb}, false},
	} {
		if got := c.use.worthReturning(); got != c.want {
			t.Errorf("%s: worth returning is %v, want %v", name, got, c.want)
		}
	}
	if u := readMemory(); u.objects == 0 {
		t.Error("the runtime tells nothing of the heap under these names")
	}
}
