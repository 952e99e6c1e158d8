package fleet

import (
	"fmt"
	"testing"
	"time"
	"unsafe"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

func TestTableFindsEachOfManyAndNobodyElse(t *testing.T) {
	var many table
	id := func(n int) gb28181.ID { return mustID(fmt.Sprintf("3402000000132%07d", n)) }
	if many.get(id(0)) != nil {
		t.Fatal("an empty table has a session")
	}
	const n = 20_000
	for i := range n {
		many.add(id(i)).encoding = gb28181.Encoding(i % 3)
	}
	for i := range n {
		if s := many.get(id(i)); s == nil || s.id != id(i) || s.encoding != gb28181.Encoding(i%3) {
			t.Fatalf("session %d is %+v", i, s)
		}
		if s := many.get(id(n + i)); s != nil {
			t.Fatalf("%s was never there, and is %s", id(n+i), s.id)
		}
	}
	i := 0
	for s := range many.all() {
		if s.id != id(i) {
			t.Fatalf("number %d is %s, want them in the order in which they came", i, s.id)
		}
		i++
	}
	if i != n {
		t.Fatalf("%d listed, want %d", i, n)
	}
}

// A processor fetches 64 bytes at a time, and the next 64 with them.
func TestWhatAKeepaliveTouchesLiesTogether(t *testing.T) {
	var s session
	if size := unsafe.Sizeof(s); size%128 != 0 || size > 384 {
		t.Errorf("a session has %d bytes; a million of them have to fit", size)
	}
	if end := unsafe.Offsetof(s.path) + unsafe.Sizeof(s.path); end > 128 {
		t.Errorf("a keepalive reads %d bytes of a session; keep what it reads within 128", end)
	}
}

func TestListGoesThroughTheFleetOnceWhateverComesMeanwhile(t *testing.T) {
	f, _ := newFleet(t, testConfig(time.Minute), nil)
	id := func(n int) gb28181.ID { return mustID(fmt.Sprintf("3402000000132%07d", n)) }
	seen := map[gb28181.ID]int{}
	const n = 3000
	for i := range n {
		f.MQTTConnected(id(i))
	}
	more := n
	for place, first := uint64(0), true; first || place != 0; first = false {
		var ids []gb28181.ID
		ids, place = f.List(place)
		for _, id := range ids {
			seen[id]++
		}
		f.MQTTConnected(id(more))
		more++
	}
	for i := range n {
		if seen[id(i)] != 1 {
			t.Fatalf("device %d was listed %d times", i, seen[id(i)])
		}
	}
	for id, times := range seen {
		if times != 1 {
			t.Errorf("%s was listed %d times", id, times)
		}
	}
}
