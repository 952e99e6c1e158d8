package bridge

import (
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/shadowsync"
)

func TestHighRateValuesWriteAShadowOnceASecond(t *testing.T) {
	limit, k, other := newThrottle(shadowInterval), shadowsync.Key{Thing: testDevice}, shadowsync.Key{Thing: testDevice, Name: testChannel}
	now := time.Unix(1000, 0)
	for _, c := range []struct {
		after   time.Duration
		k       shadowsync.Key
		section string
		want    bool
	}{
		{0, k, "position", true}, {0, other, "position", true}, {0, k, "ptz", true}, {time.Millisecond, k, "position", false},
		{shadowInterval, k, "position", true}, {shadowInterval, other, "position", true},
	} {
		if got := limit.allow(c.k, c.section, now.Add(c.after)); got != c.want {
			t.Errorf("%s of %v after %v: %v, want %v", c.section, c.k, c.after, got, c.want)
		}
	}
	if limit.sweep(now.Add(2 * shadowInterval)); len(limit.last) != 0 {
		t.Errorf("%d are remembered for nothing", len(limit.last))
	}
}
