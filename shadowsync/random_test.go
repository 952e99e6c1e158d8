package shadowsync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/shadowsync/store"
	"pgregory.net/rapid"
)

// run is a service over a fragile store, and what the model says of it.
type run struct {
	st    *store.Store
	disk  *fragile
	s     *Service
	stop  func()
	keys  []Key
	model model
	steps int
	times map[int]string // of the steps, in seconds, as far as they were seen

	mu      sync.Mutex // guards what follows
	heard   []message
	reports map[int]error // outcome of the reports, by step
}

const (
	randomMost  = 256 // bytes of a document
	seconds1970 = 10  // digits of a time
)

// Publish implements Publisher.
func (r *run) Publish(topic string, payload []byte) {
	if r.disk.died() {
		return
	}
	v, err := parseJSON(payload)
	if err != nil {
		panic(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = append(r.heard, message{topic: topic, payload: v.(map[string]any)})
}

func (r *run) told(n int, err error) {
	if r.disk.died() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reports[n] = err
}

// begin starts the service anew, as a process does.
func (r *run) begin(t *rapid.T) {
	r.disk = &fragile{Store: r.st}
	cfg := Default()
	cfg.ClientReported, cfg.MaxDocument = true, randomMost
	s, err := New(cfg, r.st, r, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s.st, r.s = r.disk, s
	s.retry = time.Hour // what could not be stored comes with the next report of its shadow
	r.model.restarted()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	r.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// TestAnyRunIsWhatTheModelSays makes random requests and reports, several at a time, between
// crashes, restarts and full disks. -rapid.checks=N makes more of it.
func TestAnyRunIsWhatTheModelSays(t *testing.T) {
	st := openStore(t, t.TempDir())
	defer st.Close()
	things := 0
	rapid.Check(t, func(t *rapid.T) {
		things++
		keys := []Key{{fmt.Sprint("a", things), ""}, {fmt.Sprint("a", things), "update"}, {fmt.Sprint("b", things), ""}}
		r := &run{st: st, keys: keys, model: model{}, times: map[int]string{}, reports: map[int]error{}}
		r.begin(t)
		defer func() { r.stop() }()
		for range rapid.IntRange(5, 25).Draw(t, "rounds") {
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
				r.stop()
				r.begin(t)
			}
			r.disk.mu.Lock()
			r.disk.plan = mishap(max(0, rapid.IntRange(-6, int(diesBetween)).Draw(t, "mishap")))
			r.disk.after = rapid.IntRange(0, 2).Draw(t, "good commits")
			r.disk.mu.Unlock()
			r.round(t, rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step { return drawStep(t, keys) }), 1, 8).Draw(t, "steps"))
		}
	})
}

// round makes steps at once and compares what is told and stored with the model.
func (r *run) round(t *rapid.T, steps []step) {
	open := map[Key]bool{} // whose last change was a report: the next would be made one with it
	for i := range steps {
		s := &steps[i]
		r.steps++
		s.n = r.steps
		if s.checked {
			s.version += r.model.at(s.key).current()
		}
		s.sealed = s.report && open[s.key]
		if s.op != OpGet {
			open[s.key] = s.report
		}
		r.ask(t, *s)
	}
	if err := r.s.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	heard := r.heard
	r.heard = nil
	possible := []model{} // what can be in the store; the last is what was told
	for i, s := range steps {
		before := r.model.clone()
		o := r.model.do(s, randomMost)
		rest, whole := r.match(t, s, o, before, heard)
		if whole {
			heard = rest
			continue
		}
		if !r.disk.died() {
			t.Fatalf("step %d is not told: %+v\nwant %+v\nheard %v", s.n, s, o, heard)
		}
		for _, m := range heard { // what it was telling while it died
			if token, has := m.payload["clientToken"]; has != !s.report || has && token != fmt.Sprint(s.n) {
				t.Fatalf("step %d: heard after a crash: %v", s.n, heard)
			}
		}
		heard = nil
		possible = append(possible, before, r.model.clone())
		for _, s := range steps[i+1:] {
			r.model.do(s, randomMost)
			possible = append(possible, r.model.clone())
		}
		break
	}
	if len(heard) > 0 {
		t.Fatalf("nobody asked for %v", heard)
	}
	if len(possible) == 0 {
		possible = []model{r.model}
	}
	if r.disk.died() {
		r.stop()
		r.begin(t)
		for _, m := range possible {
			m.restarted()
		}
	}
	var why []string
	for _, m := range possible {
		diff := r.compare(m)
		if diff == "" {
			r.model = m
			return
		}
		why = append(why, diff)
	}
	t.Fatalf("stored is none of what it can be:\n%s", strings.Join(why, "\n"))
}

func (r *run) ask(t *rapid.T, s step) {
	if s.report {
		report := r.s.Report
		if s.sealed {
			report = r.s.ReportSealed
		}
		report(s.key, s.patch, func(_ Document, err error) { r.told(s.n, err) })
		return
	}
	payload := map[string]any{"clientToken": fmt.Sprint(s.n)}
	if s.op == OpUpdate {
		payload["state"] = s.state
		if s.checked {
			payload["version"] = s.version
		}
	}
	if !r.s.Handle(Request{Topic: topic(Default().Prefix, s.key, s.op), Payload: []byte(compact(payload))}) {
		t.Fatalf("%+v is no request", s)
	}
}

// match takes what is told of s off heard. A step that failed on a full disk is taken back
// from the model. whole is false when not all of it was told.
func (r *run) match(t *rapid.T, s step, o outcome, before model, heard []message) (rest []message, whole bool) {
	next := func(op Op) (map[string]any, bool) {
		if len(heard) == 0 || heard[0].topic != topic(Default().Prefix, s.key, op) {
			return nil, false
		}
		p := heard[0].payload
		if token, has := p["clientToken"]; has == s.report || has && token != fmt.Sprint(s.n) {
			t.Fatalf("step %d: told %v of it on %s", s.n, p, op)
		}
		heard = heard[1:]
		return p, true
	}
	if s.report {
		err, told := r.reports[s.n]
		if !told {
			return heard, false
		}
		if errors.Is(err, store.ErrFull) {
			r.model = before
			p := r.model.at(s.key)
			p.held = append(p.held, s.patch)
			return heard, true
		}
		if (err != nil) != (o.code != 200) {
			t.Fatalf("step %d: %v, want %+v", s.n, err, o)
		}
		if !o.written {
			return heard, true
		}
	}
	if p, is := next(s.op + "/rejected"); is {
		if fmt.Sprint(p["code"]) == "500" && s.op != OpGet {
			r.model = before
			return heard, true
		}
		if fmt.Sprint(p["code"]) != fmt.Sprint(o.code) {
			t.Fatalf("step %d: rejected with %v, want %+v", s.n, p, o)
		}
		return heard, true
	}
	if o.code != 200 {
		return heard, false
	}
	if s.op == OpUpdate {
		if o.delta != nil {
			p, is := next(opDelta)
			if !is {
				return heard, false
			}
			r.learn(s.n, p["timestamp"])
			r.same(t, s, "delta", p, map[string]any{"state": o.delta, "metadata": r.dated(o.stamps), "version": o.version})
		}
		p, is := next(opDocuments)
		if !is {
			return heard, false
		}
		r.learn(s.n, p["timestamp"])
		want := map[string]any{"current": r.whole(o.after)}
		if o.before.exists {
			want["previous"] = r.whole(o.before)
		}
		r.same(t, s, "documents", p, want)
	}
	p, is := next(s.op + "/accepted")
	if !is {
		return heard, false
	}
	want := map[string]any{"version": o.version}
	switch s.op {
	case OpUpdate:
		want["state"], want["metadata"] = o.asked, r.dated(o.askedAt)
	case OpGet:
		want = r.whole(o.after)
		if delta, _ := plainDelta(o.after.desired, o.after.reported, o.after.desiredStamps); len(delta) > 0 {
			want["state"].(map[string]any)["delta"] = delta
		}
	}
	r.same(t, s, "accepted", p, want)
	return heard, true
}

// same compares a message, its time and token aside.
func (r *run) same(t *rapid.T, s step, what string, got, want map[string]any) {
	if len(fmt.Sprint(got["timestamp"])) != seconds1970 {
		t.Fatalf("step %d: %s has the time %v", s.n, what, got["timestamp"])
	}
	bare := copyMap(got)
	delete(bare, "timestamp")
	delete(bare, "clientToken")
	if canon(bare) != canon(plainJSON(want)) {
		t.Fatalf("step %d: %+v\n%s is   %s\nwant %s", s.n, s, what, compact(bare), compact(want))
	}
}

// plainJSON is v as it comes back from JSON.
func plainJSON(v any) any {
	out, err := parseJSON([]byte(compact(v)))
	if err != nil {
		panic(err)
	}
	return out
}

// learn keeps when a step was made.
func (r *run) learn(n int, at any) { r.times[n] = fmt.Sprint(at) }

// dated is stamps of the model as metadata.
func (r *run) dated(stamps any) any {
	switch v := stamps.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, e := range v {
			out[key] = r.dated(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = r.dated(e)
		}
		return out
	}
	return map[string]any{"timestamp": json.Number(r.times[stamps.(int)])}
}

// whole is a document with its metadata; sections that are empty are not there.
func (r *run) whole(p *plain) map[string]any {
	state, metadata := map[string]any{}, map[string]any{}
	if len(p.desired) > 0 {
		state["desired"], metadata["desired"] = copyMap(p.desired), r.dated(p.desiredStamps)
	}
	if len(p.reported) > 0 {
		state["reported"], metadata["reported"] = copyMap(p.reported), r.dated(p.reportedStamps)
	}
	return map[string]any{"state": state, "metadata": metadata, "version": p.version}
}

// compare says how the store differs from m, or "". The time of a step that a crash kept
// anybody from hearing is taken from what is stored.
func (r *run) compare(m model) string {
	for _, k := range r.keys {
		p := m.at(k)
		sh, err := r.s.load(k)
		switch {
		case err != nil:
			return fmt.Sprintf("%s: %v, want %+v", k, err, p)
		case sh.version() != p.version, (sh.doc != nil) != p.exists:
			return fmt.Sprintf("%s: %+v, want %+v", k, sh, p)
		case !p.exists:
			continue
		}
		if d, err := r.s.Get(k); err != nil || string(d.Encode()) != string(sh.doc.Encode()) {
			return fmt.Sprintf("%s: got %s, %v; stored is %s", k, d.Encode(), err, sh.doc.Encode())
		}
		stored, err := parseJSON(sh.doc.Encode())
		if err != nil {
			return err.Error()
		}
		root := stored.(map[string]any)
		metadata := root["metadata"].(map[string]any)
		r.learnAll(p.desiredStamps, metadata["desired"])
		r.learnAll(p.reportedStamps, metadata["reported"])
		if want := plainJSON(r.whole(p)); canon(root) != canon(want) {
			return fmt.Sprintf("%s: %s\nwant %s", k, sh.doc.Encode(), compact(want))
		}
	}
	return ""
}

// learnAll learns the times of the steps in stamps that are not known yet.
func (r *run) learnAll(stamps, metadata any) {
	switch v := stamps.(type) {
	case map[string]any:
		from, _ := metadata.(map[string]any)
		for key, e := range v {
			r.learnAll(e, from[key])
		}
	case []any:
		from, _ := metadata.([]any)
		for i := range min(len(v), len(from)) {
			r.learnAll(v[i], from[i])
		}
	case int:
		leaf, _ := metadata.(map[string]any)
		if at, has := leaf["timestamp"].(json.Number); has && r.times[v] == "" {
			r.learn(v, at)
		}
	}
}
