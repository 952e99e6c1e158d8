package shadowsync

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"strconv"
	"sync"
	"time"
)

// Wish is one desired value that reported does not match yet.
type Wish struct {
	Path  string // dotted path of the key below desired: "ptz.preset"
	Value any
	Err   *Refusal // set where the key is unknown or its value can't be meant: nothing is tried
	Act   any      // what the Actuator needs to carry it out
	// Unanswered tells that an earlier try was left without an answer: it may have been done.
	Unanswered bool
}

// Refusal tells why a wish did not come true, as reported.errors shows it.
type Refusal struct {
	Code    int
	Message string
}

// Actuator makes wishes true in the world.
type Actuator interface {
	// Ready tells whether thing can be worked on now. When it becomes so, its owner calls
	// Reconciler.Return.
	Ready(thing string) bool
	// Wishes cuts a delta into what can be wished for by itself. Nil for a thing whose
	// keys mean nothing to it.
	Wishes(k Key, delta map[string]any) []Wish
	// Make carries out w and returns what is reported now, in the names and types of the
	// desired state; beside a refusal, what is so instead.
	Make(ctx context.Context, k Key, w Wish) (reported map[string]any, refusal *Refusal)
}

// reportedDocuments is what the Reconciler needs of a Service.
type reportedDocuments interface {
	Get(k Key) (Document, error)
	Names(thing string) []string
	Report(k Key, patch map[string]any, done func(Document, error))
}

// The back-off of a wish that was refused: it doubles from the first to the last.
const (
	firstRetry = 5 * time.Second
	lastRetry  = 5 * time.Minute
)

// Reconciler compares desired with reported and works on the difference until there is
// none. It is level-triggered: a kick says only "look again", so kicks may be lost in a
// crash and merged in a rush, and the newest desired value alone is ever worked on.
//
//	delta ──▶ Kick ──▶ one worker per thing ──▶ Actuator.Make ──▶ Report: reported, or reported.errors
//	device returned ──▶ Return ──┘      └── back-off: looks again by itself
//
// A thing with nothing to do costs nothing: it has no entry, no goroutine, no timer.
type Reconciler struct {
	docs     reportedDocuments
	act      Actuator
	parallel int // bounds the things that are worked on at once
	// settled is told of each thing that nothing is left to look at of.
	settled func(thing string)
	ctx     context.Context
	stop    context.CancelFunc
	work    sync.WaitGroup

	mu      sync.Mutex // guards all below; never held across Make or Report
	things  map[string]*thingWork
	ready   []string // things that wait for a worker, the longest waiting first
	workers int      // that run, at most parallel; none waits for work
	closed  bool
}

// thingWork is what is remembered of a thing while something of it is wished for.
type thingWork struct {
	dirty   map[string]bool // shadow names to look at; nil: none yet
	all     bool            // look at every shadow of the thing
	anew    bool            // forget the back-off first
	running bool            // it waits for a worker, or has one
	tries   map[tryKey]*try // nil: none yet
	timer   *time.Timer     // fires at the earliest retry; nil when none waits
}

type tryKey struct{ name, path string }

// try is the last refused attempt at a wish.
type try struct {
	value any
	next  time.Time
	delay time.Duration
}

// NewReconciler returns a Reconciler that works on at most parallel things at once.
func NewReconciler(docs reportedDocuments, act Actuator, parallel int) *Reconciler {
	ctx, stop := context.WithCancel(context.Background())
	return &Reconciler{
		docs: docs, act: act, parallel: parallel,
		ctx: ctx, stop: stop, things: make(map[string]*thingWork),
	}
}

// OnSettled has settled called, before the first Kick is, whenever all of a thing that was to be
// looked at has been. It must not block or call the Reconciler.
func (r *Reconciler) OnSettled(settled func(thing string)) { r.settled = settled }

// Close ends all work and waits for it. Wishes that were not finished are worked on after
// the next start.
func (r *Reconciler) Close() {
	r.mu.Lock()
	r.closed = true
	for _, t := range r.things {
		if t.timer != nil {
			t.timer.Stop()
		}
	}
	r.mu.Unlock()
	r.stop()
	r.work.Wait()
}

// Kick asks to look at one shadow: its desired or reported state has changed.
func (r *Reconciler) Kick(k Key) {
	r.wake(k.Thing, func(t *thingWork) {
		if t.dirty == nil {
			t.dirty = make(map[string]bool)
		}
		t.dirty[k.Name] = true
	})
}

// Return asks to look at every shadow of a thing that can be worked on again. anew forgets
// the back-off of what was refused before, as a new registration does.
func (r *Reconciler) Return(thing string, anew bool) {
	r.wake(thing, func(t *thingWork) {
		t.all = true
		t.anew = t.anew || anew
	})
}

func (r *Reconciler) wake(thing string, mark func(*thingWork)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	t := r.things[thing]
	if t == nil {
		t = new(thingWork)
		r.things[thing] = t
	}
	mark(t)
	if t.running {
		return
	}
	t.running = true
	r.ready = append(r.ready, thing)
	if r.workers < r.parallel {
		r.workers++
		r.work.Go(r.run)
	}
}

// run works on things as long as some are ready.
func (r *Reconciler) run() {
	for {
		r.mu.Lock()
		if len(r.ready) == 0 || r.ctx.Err() != nil {
			r.workers--
			r.mu.Unlock()
			return
		}
		thing := r.ready[0]
		if r.ready = r.ready[1:]; len(r.ready) == 0 {
			r.ready = nil
		}
		t := r.things[thing]
		r.mu.Unlock()
		r.runThing(thing, t)
	}
}

// runThing works on one thing until nothing of it is dirty. It alone touches t.tries' entries.
func (r *Reconciler) runThing(thing string, t *thingWork) {
	for {
		names, more := r.take(thing, t)
		if !more {
			return
		}
		for _, name := range names {
			if !r.look(Key{Thing: thing, Name: name}, t) {
				break // the thing is gone: its return wakes us
			}
		}
	}
}

// take returns the shadows to look at now. When there are none it ends the run: it sets
// the timer for the earliest retry or forgets the thing.
func (r *Reconciler) take(thing string, t *thingWork) (names []string, more bool) {
	r.mu.Lock()
	all := t.all
	if t.anew {
		clear(t.tries)
	}
	t.all, t.anew = false, false
	for name := range t.dirty {
		names = append(names, name)
	}
	clear(t.dirty)
	if r.ctx.Err() == nil && (all || len(names) > 0) {
		r.mu.Unlock()
		if all {
			names = append([]string{""}, r.docs.Names(thing)...)
		}
		return names, true
	}
	defer r.mu.Unlock()
	if r.settled != nil {
		r.settled(thing)
	}
	t.running = false
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	if r.ctx.Err() != nil || len(t.tries) == 0 || !r.act.Ready(thing) {
		delete(r.things, thing)
		return nil, false
	}
	var earliest time.Time
	for _, y := range t.tries {
		if earliest.IsZero() || y.next.Before(earliest) {
			earliest = y.next
		}
	}
	t.timer = time.AfterFunc(time.Until(earliest), func() { r.Return(thing, false) })
	return nil, false
}

// look compares one shadow and works on each wish that is due. It returns false when the
// thing can't be worked on any more.
func (r *Reconciler) look(k Key, t *thingWork) bool {
	doc, err := r.docs.Get(k)
	if err != nil {
		return true // no document, no wish; a fault of the store is told by its own writers
	}
	if !r.act.Ready(k.Thing) {
		return false
	}
	wishes := r.act.Wishes(k, doc.Delta())
	errs := make(map[string]any)
	if told, ok := doc.State.Reported["errors"].(map[string]any); ok {
		maps.Copy(errs, told) // the document is shared with its other readers
	}
	r.settle(k, t, wishes, errs)
	for _, w := range wishes {
		if r.ctx.Err() != nil {
			return false
		}
		if w.Err != nil {
			r.refused(k, errs, w, *w.Err)
			continue
		}
		key := tryKey{k.Name, w.Path}
		last := t.tries[key]
		if last != nil && reflect.DeepEqual(last.value, w.Value) && time.Now().Before(last.next) {
			continue
		}
		w.Unanswered = toldCode(errs[w.Path]) == codeTimeout
		patch, refusal := r.act.Make(r.ctx, k, w)
		switch {
		case refusal == nil && r.report(k, withoutErrors(patch, errs, w.Path)):
			delete(t.tries, key)
			delete(errs, w.Path)
		case !r.act.Ready(k.Thing):
			return false // it left while we asked: the wish waits for its return
		default:
			if refusal == nil {
				refusal = &Refusal{500, "done, but it could not be stored that it was; it will be done again"}
			}
			delay := firstRetry
			if last != nil && reflect.DeepEqual(last.value, w.Value) {
				delay = min(2*last.delay, lastRetry)
			}
			wait := delay - time.Duration(rand.Int64N(int64(delay)/5)) // jitter: a fleet does not retry in step
			if t.tries == nil {
				t.tries = make(map[tryKey]*try)
			}
			t.tries[key] = &try{value: w.Value, next: time.Now().Add(wait), delay: delay}
			if patch != nil {
				r.report(k, patch)
			}
			r.refused(k, errs, w, *refusal)
		}
	}
	return true
}

// codeTimeout is the code of a wish that its device left without an answer.
const codeTimeout = 408

// toldCode is the code that an entry of reported.errors has; 0 for none.
func toldCode(entry any) int {
	told, _ := entry.(map[string]any)
	code, err := strconv.Atoi(fmt.Sprint(told["code"]))
	if err != nil {
		return 0
	}
	return code
}

// settle forgets what was refused of wishes that exist no more.
func (r *Reconciler) settle(k Key, t *thingWork, wishes []Wish, errs map[string]any) {
	wished := make(map[string]bool, len(wishes))
	for _, w := range wishes {
		wished[w.Path] = true
	}
	for key := range t.tries {
		if key.name == k.Name && !wished[key.path] {
			delete(t.tries, key)
		}
	}
	var gone []string
	for path := range errs {
		if !wished[path] {
			gone = append(gone, path)
		}
	}
	if len(gone) > 0 {
		r.report(k, withoutErrors(nil, errs, gone...))
		for _, path := range gone {
			delete(errs, path)
		}
	}
}

// refused reports why w is not true, unless that is what is reported already: the same
// refusal again is no news, and news would wake us again.
func (r *Reconciler) refused(k Key, errs map[string]any, w Wish, why Refusal) {
	if told, ok := errs[w.Path].(map[string]any); ok && toldCode(told) == why.Code && told["message"] == why.Message {
		return
	}
	told := map[string]any{"code": why.Code, "message": why.Message, "at": time.Now().UnixMilli()}
	errs[w.Path] = told
	r.report(k, map[string]any{"errors": map[string]any{w.Path: told}})
}

// report writes patch and waits until it is stored: who looks again must not find the same
// difference. It tells whether it was.
func (r *Reconciler) report(k Key, patch map[string]any) bool {
	stored := make(chan error, 1)
	r.docs.Report(k, patch, func(_ Document, err error) { stored <- err })
	select {
	case err := <-stored:
		return err == nil
	case <-r.ctx.Done():
		return false
	}
}

// withoutErrors adds to patch what removes paths from the errors told in errs; the last
// one takes the whole object with it.
func withoutErrors(patch, errs map[string]any, paths ...string) map[string]any {
	out := make(map[string]any, len(patch)+1)
	maps.Copy(out, patch)
	gone := make(map[string]any)
	for _, path := range paths {
		if _, told := errs[path]; told {
			gone[path] = nil
		}
	}
	switch {
	case len(gone) == 0:
	case len(gone) == len(errs):
		out["errors"] = nil
	default:
		out["errors"] = gone
	}
	return out
}
