package shadowsync

import (
	"errors"
	"strconv"
	"time"
)

// emit tells what came of j. It runs on the emitter, one job after the other, and after the
// commit of what j wrote.
func (s *Service) emit(j *job) {
	switch {
	case j.flushed != nil:
		close(j.flushed)
		return
	case j.client:
		s.queue.answered(j.conn) // before the answer: who has it may ask again
	}
	switch {
	case j.client && (j.refused != nil || j.denied != nil):
		s.answerRejected(j)
	case j.op == OpGet:
		s.answer(j, encodeGet)
	case j.op == OpDelete && j.after != nil:
		s.emitDelete(j)
	case j.op == OpUpdate && j.after != nil:
		s.emitUpdate(j)
	}
	if !j.client {
		s.tell(j)
	}
}

// emitUpdate publishes one new version: delta, documents, accepted. [device-shadow 12]
func (s *Service) emitUpdate(j *job) {
	d := j.after.doc
	delta := differs(d.State.Desired, d.State.Reported)
	if delta {
		s.publish(j, opDelta, encodeDelta)
	}
	s.publish(j, opDocuments, encodeDocuments)
	s.answer(j, encodeAccepted)
	for _, o := range s.observers {
		if j.before.doc == nil {
			o.Created(j.key)
		}
		o.Updated(j.key, *d, j.reportedChanged, delta)
	}
}

// publish sends what encode makes of j, if anybody wants it.
func (s *Service) publish(j *job, op Op, encode func(*job) []byte) {
	to := topic(s.cfg.Prefix, j.key, op)
	if s.opts.Wanted == nil || s.opts.Wanted(to) {
		s.pub.Publish(to, encode(j))
	}
}

func (s *Service) emitDelete(j *job) {
	s.answer(j, encodeDeleted)
	for _, o := range s.observers {
		o.Deleted(j.key)
	}
}

// tell calls back those who asked from within the program.
func (s *Service) tell(j *job) {
	if j.op == OpDelete {
		if j.deleted != nil {
			j.deleted(j.failure)
		}
		return
	}
	result := "unchanged"
	switch {
	case j.held:
		result = "held"
	case j.failure != nil:
		result = "failed"
		if len(j.dones) == 0 && !errors.Is(j.failure, ErrStopped) { // those are told together
			s.log.Error("report lost", "thing", j.key.Thing, "shadow", j.key.Name, "err", j.failure)
		}
	case j.after != nil:
		result = "written"
	}
	s.metrics.reports.WithLabelValues(result).Inc()
	if j.owed && j.failure == nil {
		s.opts.Debts.Paid(j.key, j.caughtUp)
	}
	var doc Document
	if j.failure == nil {
		if j.after != nil {
			doc = *j.after.doc
		} else if j.before.doc != nil {
			doc = *j.before.doc
		}
	}
	for _, done := range j.dones {
		done(doc, j.failure)
	}
}

// answer sends what was accepted, as encode makes it of j, to whoever asked.
func (s *Service) answer(j *job, encode func(*job) []byte) {
	if j.client {
		s.metrics.requests.WithLabelValues(string(j.op), "200").Inc()
	}
	if j.reply != nil {
		j.reply(encode(j), 200)
		return
	}
	s.publish(j, j.op+"/accepted", encode)
}

func (s *Service) answerRejected(j *job) {
	why := j.refused
	if why == nil {
		why = j.denied
	}
	s.metrics.requests.WithLabelValues(string(j.op), strconv.Itoa(why.Code)).Inc()
	if j.at.IsZero() {
		j.at = time.Now()
	}
	b := append([]byte(nil), `{"code":`...)
	b = strconv.AppendInt(b, int64(why.Code), 10)
	b = append(b, `,"message":`...)
	b = closeAnswer(appendText(b, why.Message), j)
	if j.reply != nil {
		j.reply(b, why.Code)
		return
	}
	s.publish(j, j.op+"/rejected", func(*job) []byte { return b })
}

// encodeGet is get/accepted. [device-shadow 3.2]
func encodeGet(j *job) []byte {
	d := j.before.doc
	b := make([]byte, 0, len(d.text)+256)
	b = append(b, `{"state":{`...)
	b = appendParts(b, d, spanDesired)
	if state, _ := delta(d.State.Desired, d.State.Reported, d.Metadata.Desired); state != nil {
		b = append(b, `,"delta":`...) // behind desired, which is there
		b = appendObject(b, state)
	}
	b = append(b, `},"metadata":{`...)
	b = appendParts(b, d, spanMetaDesired)
	b = append(b, `},"version":`...)
	b = strconv.AppendInt(b, d.Version, 10)
	return closeAnswer(b, j)
}

// appendParts appends desired and reported, of the state or of the metadata, where they are.
func appendParts(b []byte, d *Document, first int) []byte {
	comma := ""
	for i, name := range []string{`"desired":`, `"reported":`} {
		if part := d.part(first + i); len(part) > 0 {
			b = append(b, comma...)
			b = append(b, name...)
			b = append(b, part...)
			comma = ","
		}
	}
	return b
}

// encodeAccepted is update/accepted: what was asked, nulls and all. [device-shadow 3.3]
func encodeAccepted(j *job) []byte {
	at := any(stamp(j.at.Unix()))
	b := make([]byte, 0, 512)
	if j.request.stateNull {
		b = append(b, `{"state":null,"metadata":`...)
		b = appendJSON(b, at)
	} else {
		reported := j.asReported()
		b = append(b, `{"state":{`...)
		b = appendSections(b, j.request.desired, reported, func(b []byte, v any) []byte { return appendJSON(b, v) })
		b = append(b, `},"metadata":{`...)
		b = appendSections(b, j.request.desired, reported, func(b []byte, v any) []byte { return appendStamped(b, v, j.at.Unix()) })
		b = append(b, '}')
	}
	b = append(b, `,"version":`...)
	b = strconv.AppendInt(b, j.after.doc.Version, 10)
	return closeAnswer(b, j)
}

// appendSections appends the sections that were asked for; one that is to go is null.
func appendSections(b []byte, desired, reported section, appendValue func([]byte, any) []byte) []byte {
	comma := ""
	for i, s := range [...]section{desired, reported} {
		if !s.given {
			continue
		}
		b = append(b, comma...)
		b = append(b, [...]string{`"desired":`, `"reported":`}[i]...)
		if s.object == nil {
			b = appendValue(b, nil)
		} else {
			b = appendValue(b, s.object)
		}
		comma = ","
	}
	return b
}

// asReported is the reported section that j asked for.
func (j *job) asReported() section {
	if j.client {
		return j.request.reported
	}
	all := j.patches[0]
	for _, patch := range j.patches[1:] {
		all = overlay(all, patch)
	}
	return section{given: true, object: all}
}

// encodeDeleted is delete/accepted. [device-shadow 3.6]
func encodeDeleted(j *job) []byte {
	b := append([]byte(nil), `{"version":`...)
	b = strconv.AppendInt(b, j.before.doc.Version, 10)
	return closeAnswer(b, j)
}

// encodeDelta is update/delta. [device-shadow 3.4]
func encodeDelta(j *job) []byte {
	d := j.after.doc
	state, meta := delta(d.State.Desired, d.State.Reported, d.Metadata.Desired)
	b := make([]byte, 0, 256)
	b = append(b, `{"state":`...)
	b = appendObject(b, state)
	b = append(b, `,"metadata":`...)
	b = appendObject(b, meta)
	b = append(b, `,"version":`...)
	b = strconv.AppendInt(b, j.after.doc.Version, 10)
	return closeAnswer(b, j)
}

// encodeDocuments is update/documents; a new shadow has no previous. [device-shadow 3.5]
func encodeDocuments(j *job) []byte {
	current := j.after.doc.text
	var previous []byte
	if j.before.doc != nil {
		previous = j.before.doc.text
	}
	b := make([]byte, 0, len(previous)+len(current)+160)
	b = append(b, '{')
	if previous != nil {
		b = append(b, `"previous":`...)
		b = append(b, previous...)
		b = append(b, ',')
	}
	b = append(b, `"current":`...)
	b = append(b, current...)
	return closeAnswer(b, j)
}

// closeAnswer ends a message with the time and the token of the request that caused it.
func closeAnswer(b []byte, j *job) []byte {
	b = append(b, `,"timestamp":`...)
	b = strconv.AppendInt(b, j.at.Unix(), 10)
	if j.request.token != "" {
		b = append(b, `,"clientToken":`...)
		b = appendText(b, j.request.token)
	}
	return append(b, '}')
}
