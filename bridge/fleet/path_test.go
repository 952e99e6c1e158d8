package fleet

import (
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
)

func TestConnectionIsOwnedByWhoNeedsIt(t *testing.T) {
	first, second := tcp("192.168.1.64:40000", 1), tcp("192.168.1.64:40001", 2)
	inTime(t, testConfig(time.Minute), func(t *testing.T, f *Fleet, _ *notes) {
		want := func(when string, one, two bool) {
			t.Helper()
			if f.Owns(first) != one || f.Owns(second) != two {
				t.Errorf("%s: owned %v, %v; want %v, %v", when, f.Owns(first), f.Owns(second), one, two)
			}
		}
		want("before a registration", false, false)
		register(f, cam, first, password, nil)
		want("registered", true, false)
		time.Sleep(100 * time.Second)
		want("silent within its rule", true, false)
		register(f, cam, home, password, nil)
		want("now over UDP, the connection is its other path", true, false)
		register(f, cam, first, password, nil)
		register(f, cam, second, password, nil)
		want("a newer connection took its place", false, true)
		time.Sleep(5 * time.Minute)
		want("offline", false, false)
		register(f, cam, second, password, nil)
		want("back", false, true)
		register(f, cam, second, password, func(r *sip.Request) { r.Expires = 0 })
		want("unregistered", false, false)
	})
}
