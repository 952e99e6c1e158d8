package command

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

const (
	quiet = 5 * time.Second // a list ends when no packet came for so long [GB28181-2022 Annex M; NVRs pause for seconds]
	maxSN = 999_999         // some devices read SN as 32 bits or less: it stays far below
)

// answerNames are names that devices give to an answer instead of the query's.
var answerNames = map[string]string{
	"snapshot": "snapshotconfig",
}

// gatherer puts the packets of one answer together.
type gatherer interface {
	Add(m *gb28181.Message)
	Complete() bool // nothing more is owed
	Partial() bool  // something is known to be missing
}

// waiter gathers the answer to one request.
type waiter struct {
	cmdType string // folded
	kind    mapping.AnswerKind
	first   chan struct{} // closed at the first packet
	done    chan struct{} // closed when nothing more is expected

	mu       sync.Mutex // guards what follows
	sn       int64      // of the answer: the request's, or what the device made of it
	packets  int
	messages []*gb28181.Message // but of lists, whose packets may be thousands
	gathered gatherer           // of answers that may take several packets; nil for the others
	last     time.Time          // of the newest packet
	refusal  string             // what the device said instead of OK
	refused  bool
	ended    bool
}

// expect gives a request its SN and registers who waits for its answer, before it is sent:
// the answer may be quicker than the 200.
func (e *Engine) expect(device gb28181.ID, target string, cmd *mapping.Command) (int, *waiter) {
	w := &waiter{
		cmdType: answerName(cmd.CmdType), kind: cmd.Answer,
		first: make(chan struct{}), done: make(chan struct{}),
	}
	switch cmd.Answer {
	case mapping.AnswerList:
		list := mapping.NewList(e.cfg.CatalogItems)
		if cmd.Slim {
			list.Slim()
		}
		w.gathered = list
	case mapping.AnswerParts:
		w.gathered = mapping.NewParts(cmd.Parts)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	sn := e.nextSNLocked(device)
	w.sn = int64(sn)
	e.waiters[device] = append(e.waiters[device], w)
	return sn, w
}

// nextSNLocked numbers what is sent to device.
func (e *Engine) nextSNLocked(device gb28181.ID) int {
	e.sns[device] = e.sns[device]%maxSN + 1
	return e.sns[device]
}

func (e *Engine) forget(device gb28181.ID, w *waiter) {
	e.mu.Lock()
	defer e.mu.Unlock()
	left := slices.DeleteFunc(e.waiters[device], func(x *waiter) bool { return x == w })
	if len(left) == 0 {
		delete(e.waiters, device)
		return
	}
	e.waiters[device] = left
}

// Deliver hands a Response of device to the command that it answers, by its SN; one with a
// wrong SN to the only request of its CmdType that waits. It returns false for an answer
// that nobody asked for.
func (e *Engine) Deliver(device gb28181.ID, m *gb28181.Message) bool {
	name := answerName(m.CmdType)
	e.mu.Lock()
	var match *waiter
	sameName := 0
	for _, w := range e.waiters[device] {
		if w.cmdType != name {
			continue
		}
		if w.expects(m.SN) {
			match, sameName = w, 1
			break
		}
		if w.open() {
			match = w
			sameName++
		}
	}
	e.mu.Unlock()
	if sameName != 1 {
		return false
	}
	return match.add(m)
}

func (w *waiter) expects(sn int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sn == sn
}

// open reports whether an answer with a wrong SN may still be this one's: nothing has come,
// and a Response is owed at all.
func (w *waiter) open() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.kind != mapping.AnswerNone && w.packets == 0
}

// add takes one packet and tells whether it was still wanted.
func (w *waiter) add(m *gb28181.Message) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return false
	}
	if w.last.IsZero() {
		close(w.first)
	}
	w.last, w.sn = time.Now(), m.SN
	w.packets++
	if w.kind != mapping.AnswerList {
		w.messages = append(w.messages, m)
	}
	if refused, text := m.Refused(); refused {
		w.refused, w.refusal = true, text
		w.endLocked()
		return true
	}
	if w.gathered != nil {
		w.gathered.Add(m)
		if !w.gathered.Complete() {
			return true
		}
	}
	w.endLocked()
	return true
}

func (w *waiter) endLocked() {
	w.ended = true
	close(w.done)
}

func (w *waiter) answered() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.packets > 0
}

// silence returns how long no packet has come, and whether one has come at all.
func (w *waiter) silence() (time.Duration, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Since(w.last), !w.last.IsZero()
}

// await waits for what the standard owes after the SIP 200.
func (j *job) await(ctx, until context.Context, w *waiter) (Result, *mapping.Error) {
	if j.cmd.Answer != mapping.AnswerNone {
		select {
		case <-w.first:
		case <-until.Done():
			why := j.gaveUp(ctx, "device %s accepted the request with a SIP 200, but its %s Response did not come", j.device, j.cmd.CmdType)
			if j.cmd.Unowed && ctx.Err() == nil {
				why.Code = mapping.CodeNotSupported
			}
			return Result{}, why
		}
	}
	if w.gathered != nil {
		if why := j.awaitRest(ctx, w); why != nil {
			return Result{}, why
		}
	}
	return j.result(w)
}

// awaitRest waits until an answer is complete, or quiet for so long that no more will come.
func (j *job) awaitRest(ctx context.Context, w *waiter) *mapping.Error {
	for {
		silent, _ := w.silence()
		if silent >= quiet {
			return nil
		}
		select {
		case <-w.done:
			return nil
		case <-time.After(quiet - silent):
		case <-ctx.Done():
			return j.gaveUp(ctx, "device %s had not sent its whole answer", j.device)
		}
	}
}

// result makes of what came what the caller gets.
func (j *job) result(w *waiter) (Result, *mapping.Error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended { // nothing that comes from now on is this one's
		w.endLocked()
	}
	r := Result{Fields: map[string]any{}, Messages: w.messages}
	switch {
	case w.refused:
		return Result{}, j.refusedBy(w.refusal)
	case w.gathered != nil:
		r.Partial = w.gathered.Partial()
		switch g := w.gathered.(type) {
		case *mapping.List:
			r.Fields = j.e.firstPage(j.device, j.cmd, g)
			if j.cmd.CmdType == "Catalog" {
				r.Listed = g.Listed()
			}
		case *mapping.Parts:
			if len(g.Missing()) == len(j.cmd.Parts) {
				return Result{}, mapping.Errorf(mapping.CodeNotSupported, "device %s answered OK without %s: it does not have that configuration, or nothing is set",
					j.device, strings.Join(g.Missing(), ", "))
			}
			r.Fields = g.Fields()
		}
	case w.kind == mapping.AnswerResponse:
		r.Fields = mapping.Fields(w.messages[0])
	}
	maps.Copy(r.Fields, j.cmd.Adds)
	return r, nil
}

// answerName folds a CmdType to what an answer is recognised by.
func answerName(cmdType string) string {
	name := strings.ToLower(cmdType)
	if alias, known := answerNames[name]; known {
		return alias
	}
	return name
}
