package shadowsync

import (
	"context"
	"encoding/json"
	"math"
	"time"
)

// The bounds of requests for history.
const (
	maxAsked       = 64 // that wait
	defaultResults = 25
	maxResults     = 100
	maxHistoryText = 120 << 10 // bytes of an answer: below what AWS takes as one MQTT message
)

// pastQuestion is what a request for history asks: a moment, or a span.
type pastQuestion struct {
	At, From, To json.RawMessage // Unix ms, or RFC 3339
	Next         json.RawMessage // of an earlier answer, in To's place
	Limit        *int
	ClientToken  any
}

// pastAnswer is history/accepted: the newest change first.
type pastAnswer struct {
	Results     []pastResult `json:"results"`
	Next        int64        `json:"next,omitempty"` // the moment to go on from: ask with it as next
	Timestamp   int64        `json:"timestamp"`      // seconds
	ClientToken string       `json:"clientToken,omitempty"`
}

type pastResult struct {
	TS      int64     `json:"ts"` // Unix ms: since when it was so
	Version int64     `json:"version"`
	State   pastState `json:"state"`
}

type pastState struct {
	Reported map[string]any `json:"reported"` // null: the shadow was deleted
}

// handleHistory takes a request on PREFIX/THING/shadow[/name/NAME]/history. It is answered on
// history/accepted or history/rejected, from a goroutine of its own: reading the past holds up
// no update.
func (s *Service) handleHistory(k Key, r Request) {
	j := &job{op: OpHistory, key: k, client: true, reply: r.Reply}
	j.request.token, j.refused = parseBare(r.Payload)
	names := checkNames(k)
	switch {
	case j.refused != nil:
	case r.Forbidden != "":
		j.refused = &Error{403, r.Forbidden}
	case names != nil:
		j.refused = names
	case s.cfg.History == 0:
		j.refused = &Error{404, "No history is kept: shadow.history is 0s"}
	default:
		j.payload = append([]byte(nil), r.Payload...)
		select {
		case s.asked <- j:
			return
		default:
			j.refused = &Error{429, "Too many requests: 64 requests for history wait; wait for answers"}
		}
	}
	s.answerRejected(j)
}

// answerHistory answers requests until ctx ends, and then what waits.
func (s *Service) answerHistory(ctx context.Context) {
	for {
		select {
		case j := <-s.asked:
			s.recall(j)
			continue
		default:
		}
		select {
		case j := <-s.asked:
			s.recall(j)
		case <-ctx.Done():
			for {
				select {
				case j := <-s.asked:
					s.recall(j)
				default:
					return
				}
			}
		}
	}
}

// recall answers one request.
func (s *Service) recall(j *job) {
	j.at = time.Now()
	s.settled(j.key)
	answer, refused := s.recalled(j)
	if refused != nil {
		j.refused = refused
		s.answerRejected(j)
		return
	}
	text, err := json.Marshal(answer)
	if err != nil {
		s.log.Error("history not answered", "thing", j.key.Thing, "shadow", j.key.Name, "err", err)
		j.refused = errInternal
		s.answerRejected(j)
		return
	}
	s.answer(j, func(*job) []byte { return text })
}

func (s *Service) recalled(j *job) (pastAnswer, *Error) {
	var q pastQuestion
	answer := pastAnswer{Results: []pastResult{}, Timestamp: j.at.Unix(), ClientToken: j.request.token}
	if len(j.payload) > 0 {
		if err := json.Unmarshal(j.payload, &q); err != nil {
			return answer, &Error{400, "Invalid JSON"}
		}
	}
	limit := defaultResults
	if q.Limit != nil {
		if limit = *q.Limit; limit < 1 || limit > maxResults {
			return answer, &Error{400, "Invalid limit; 1 to 100 are accepted"}
		}
	}
	at, err := moment("at", q.At, -1)
	from, errFrom := moment("from", q.From, 0)
	to, errTo := moment("to", q.To, math.MaxInt64)
	next, errNext := moment("next", q.Next, to)
	for _, refused := range []*Error{err, errFrom, errTo, errNext} {
		if refused != nil {
			return answer, refused
		}
	}
	if at >= 0 {
		p, ok, err := s.pastAt(j.key, at)
		switch {
		case err != nil:
			s.log.Error("history not read", "thing", j.key.Thing, "shadow", j.key.Name, "err", err)
			return answer, errInternal
		case !ok:
			return answer, noShadow(j.key)
		}
		answer.Results = append(answer.Results, pastResult{p.At, p.Version, pastState{p.Reported}})
		return answer, nil
	}
	list, more, readErr := s.past(j.key, from, min(to, next), limit)
	if readErr != nil {
		s.log.Error("history not read", "thing", j.key.Thing, "shadow", j.key.Name, "err", readErr)
		return answer, errInternal
	}
	answer.Next = more
	size := 0
	for _, p := range list {
		if text, err := json.Marshal(p.Reported); err == nil {
			size += len(text)
		}
		if size > maxHistoryText && len(answer.Results) > 0 {
			answer.Next = p.At
			break
		}
		answer.Results = append(answer.Results, pastResult{p.At, p.Version, pastState{p.Reported}})
	}
	return answer, nil
}

// moment reads Unix ms or RFC 3339.
func moment(name string, text json.RawMessage, absent int64) (int64, *Error) {
	if len(text) == 0 || string(text) == "null" {
		return absent, nil
	}
	var ms int64
	if json.Unmarshal(text, &ms) == nil && ms >= 0 {
		return ms, nil
	}
	var s string
	if json.Unmarshal(text, &s) == nil {
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
			return t.UnixMilli(), nil
		}
	}
	return 0, &Error{400, "Invalid " + name + "; Unix milliseconds or an RFC 3339 time are accepted"}
}
