package shadowsync

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// world is documents in memory and the device that the wishes of one thing are for.
type world struct {
	mu      sync.Mutex
	desired map[string]any
	report  map[string]any
	ready   bool
	refuse  map[string]*Refusal
	made    []string
	kick    func()
}

func (w *world) Get(Key) (Document, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.desired == nil {
		return Document{}, errors.New("no document")
	}
	return Document{State: State{Desired: maps.Clone(w.desired), Reported: maps.Clone(w.report)}}, nil
}

func (w *world) Names(string) []string { return nil }

// Report lays patch over what is reported, two levels deep, and kicks as a Service's observer
// would.
func (w *world) Report(_ Key, patch map[string]any, done func(Document, error)) {
	defer func() { done(Document{}, nil) }()
	w.mu.Lock()
	next := maps.Clone(w.report)
	for key, v := range patch {
		inner, isObject := v.(map[string]any)
		switch {
		case v == nil:
			delete(next, key)
		case isObject:
			object, _ := next[key].(map[string]any)
			object = maps.Clone(object)
			if object == nil {
				object = map[string]any{}
			}
			for k, x := range inner {
				if object[k] = x; x == nil {
					delete(object, k)
				}
			}
			next[key] = object
		default:
			next[key] = v
		}
	}
	w.report = next
	w.mu.Unlock()
	w.kick()
}

func (w *world) Ready(string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ready
}

func (w *world) Wishes(_ Key, delta map[string]any) []Wish {
	var wishes []Wish
	for _, path := range slices.Sorted(maps.Keys(delta)) {
		wish := Wish{Path: path, Value: delta[path]}
		if path == "nonsense" {
			wish.Err = &Refusal{400, "nonsense is no key"}
		}
		wishes = append(wishes, wish)
	}
	return wishes
}

func (w *world) Make(_ context.Context, _ Key, wish Wish) (map[string]any, *Refusal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	value, _ := wish.Value.(string)
	w.made = append(w.made, wish.Path+"="+value)
	if why := w.refuse[wish.Path]; why != nil {
		return nil, why
	}
	return map[string]any{wish.Path: wish.Value}, nil
}

func (w *world) want(key, value string) {
	w.mu.Lock()
	w.desired[key] = value
	w.mu.Unlock()
	w.kick()
}

func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) seen() (made []string, errs map[string]any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	errs, _ = w.report["errors"].(map[string]any)
	return slices.Clone(w.made), errs
}

// reconcileWorld runs story with a Reconciler over a new world, in virtual time.
func reconcileWorld(t *testing.T, story func(w *world, r *Reconciler)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{ready: true, desired: map[string]any{}, report: map[string]any{}, refuse: map[string]*Refusal{}}
		r := NewReconciler(w, w, 4)
		w.kick = func() { r.Kick(Key{Thing: "camera"}) }
		story(w, r)
		r.Close()
	})
}

func TestWishIsMadeSoOnceAndReported(t *testing.T) {
	reconcileWorld(t, func(w *world, r *Reconciler) {
		w.want("guard", "on")
		synctest.Wait()
		if made, errs := w.seen(); !slices.Equal(made, []string{"guard=on"}) || errs != nil {
			t.Fatalf("made %v with errors %v, want guard=on once", made, errs)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.things) != 0 {
			t.Errorf("%d things are remembered with nothing to do", len(r.things))
		}
	})
}

func TestSettledIsToldOnceAllHasBeenLookedAt(t *testing.T) {
	reconcileWorld(t, func(w *world, r *Reconciler) {
		var settled []string
		r.OnSettled(func(thing string) {
			made, _ := w.seen()
			settled = append(settled, fmt.Sprint(thing, made))
		})
		r.Return("camera", false) // nothing is wished
		synctest.Wait()
		w.want("guard", "on")
		synctest.Wait()
		w.set(func() { w.refuse["guard"] = &Refusal{Code: 502, Message: "no"} })
		w.want("guard", "off")
		synctest.Wait()
		want := []string{"camera[]", "camera[guard=on]", "camera[guard=on guard=off]"}
		if !slices.Equal(settled, want) {
			t.Errorf("told %q, want %q", settled, want)
		}
	})
}

func TestAbsentThingGetsItsNewestWishOnItsReturn(t *testing.T) {
	reconcileWorld(t, func(w *world, r *Reconciler) {
		w.set(func() { w.ready = false })
		for _, v := range []string{"on", "off", "on"} {
			w.want("guard", v)
			synctest.Wait()
		}
		if made, _ := w.seen(); len(made) != 0 {
			t.Fatalf("made %v of an absent thing", made)
		}
		w.set(func() { w.ready = true })
		r.Return("camera", false)
		synctest.Wait()
		if made, _ := w.seen(); !slices.Equal(made, []string{"guard=on"}) {
			t.Fatalf("made %v, want the newest value once", made)
		}
	})
}

func TestRefusedWishIsTriedAgainWithBackOff(t *testing.T) {
	reconcileWorld(t, func(w *world, r *Reconciler) {
		w.set(func() { w.refuse["guard"] = &Refusal{502, "the device says no"} })
		w.want("guard", "on")
		tries := map[time.Duration]int{}
		start := time.Now()
		for _, at := range []time.Duration{0, 6 * time.Second, 17 * time.Second, time.Hour} {
			time.Sleep(at - time.Since(start))
			synctest.Wait()
			made, _ := w.seen()
			tries[at] = len(made)
		}
		// At once, after 5 s, after 10 s more; in the hour at most every 4 minutes.
		if tries[0] != 1 || tries[6*time.Second] != 2 || tries[17*time.Second] != 3 || tries[time.Hour] > 20 || tries[time.Hour] < 12 {
			t.Errorf("tries by time: %v", tries)
		}
		_, errs := w.seen()
		told, _ := errs["guard"].(map[string]any)
		if told["code"] != 502 || told["message"] != "the device says no" || told["at"] == nil {
			t.Errorf("reported.errors is %v", errs)
		}
		// A new registration tries at once, and what is solved is told no more.
		made, _ := w.seen()
		w.set(func() { delete(w.refuse, "guard") })
		r.Return("camera", true)
		synctest.Wait()
		again, errs := w.seen()
		if len(again) != len(made)+1 || errs != nil {
			t.Errorf("after the return %d tries more and errors %v, want 1 and none", len(again)-len(made), errs)
		}
	})
}

func TestNewValueIsTriedAtOnceInSpiteOfTheBackOff(t *testing.T) {
	reconcileWorld(t, func(w *world, _ *Reconciler) {
		w.set(func() { w.refuse["guard"] = &Refusal{502, "no"} })
		w.want("guard", "on")
		synctest.Wait()
		w.want("guard", "off")
		synctest.Wait()
		if made, _ := w.seen(); !slices.Equal(made, []string{"guard=on", "guard=off"}) {
			t.Fatalf("made %v", made)
		}
	})
}

func TestBadKeyIsToldAndHarmsNoNeighbour(t *testing.T) {
	reconcileWorld(t, func(w *world, _ *Reconciler) {
		w.set(func() { w.desired["nonsense"] = "x" })
		w.want("guard", "on")
		synctest.Wait()
		made, errs := w.seen()
		if !slices.Equal(made, []string{"guard=on"}) || len(errs) != 1 || errs["nonsense"] == nil {
			t.Fatalf("made %v with errors %v", made, errs)
		}
		w.set(func() { delete(w.desired, "nonsense") })
		w.kick()
		synctest.Wait()
		if _, errs := w.seen(); errs != nil {
			t.Errorf("errors of what is no longer desired stay: %v", errs)
		}
	})
}

func TestClosedReconcilerLeavesNothingBehind(t *testing.T) {
	reconcileWorld(t, func(w *world, r *Reconciler) {
		w.set(func() { w.refuse["guard"] = &Refusal{502, "no"} })
		w.want("guard", "on") // waits for its retry
		synctest.Wait()
		r.Close()
		time.Sleep(time.Hour)
		if made, _ := w.seen(); len(made) != 1 {
			t.Errorf("%d tries after the end", len(made)-1)
		}
	})
}

func TestFleetThatReturnsAtOnceHasAWorkerForFewOfItAndIsAllLookedAt(t *testing.T) {
	reconcileWorld(t, func(w *world, r *Reconciler) {
		const fleet = 1000
		settled := make(map[string]bool)
		r.OnSettled(func(thing string) { settled[thing] = true })
		w.mu.Lock() // nobody gets ahead
		for n := range fleet {
			r.Return(fmt.Sprint("camera", n), true)
		}
		r.mu.Lock()
		workers, waiting := r.workers, len(r.ready)
		r.mu.Unlock()
		if workers != 4 || waiting < fleet-4 {
			t.Errorf("%d workers and %d that wait, want 4 workers for %d things", workers, waiting, fleet)
		}
		w.mu.Unlock()
		synctest.Wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(settled) != fleet || r.workers != 0 || len(r.things) != 0 {
			t.Errorf("%d of %d looked at; %d workers and %d things are left", len(settled), fleet, r.workers, len(r.things))
		}
	})
}
