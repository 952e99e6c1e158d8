package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/gb2mqtt/gb2mqtt/shadowsync"
)

// refusal is the cloud's no.
type refusal struct {
	Op      string
	Code    int
	Message string
}

func (r *refusal) Error() string {
	return fmt.Sprintf("%s refused with %d: %s", r.Op, r.Code, r.Message)
}

// again tells whether it is worth another try.
func (r *refusal) again() bool { return r.Code == 429 || r.Code >= 500 }

// noAnswer is our code for silence, which has none at the cloud.
const noAnswer = 504

func topic(prefix, thing, name, op string) string {
	if name == "" {
		return prefix + "/" + thing + "/shadow/" + op
	}
	return prefix + "/" + thing + "/shadow/name/" + name + "/" + op
}

// ask sends one request and waits for its answer.
func (u *Upstream) ask(ctx context.Context, c Conn, k shadowsync.Key, op string, state map[string]any) ([]byte, error) {
	if err := u.rate.Wait(ctx); err != nil {
		return nil, context.Cause(ctx)
	}
	token := "gb2mqtt-" + strconv.FormatUint(u.token.Add(1), 36) + "-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	body := map[string]any{"clientToken": token}
	if state != nil {
		body["state"] = state
	}
	payload, err := json.Marshal(body)
	if err != nil {
		return nil, &refusal{op, 400, err.Error()}
	}
	answered := make(chan answer, 1)
	u.mu.Lock()
	u.waiting[token] = answered
	u.mu.Unlock()
	defer func() {
		u.mu.Lock()
		delete(u.waiting, token)
		u.mu.Unlock()
	}()
	if err := c.Publish(ctx, topic(prefix, u.before+k.Thing+u.after, k.Name, op), payload); err != nil {
		return nil, err
	}
	select {
	case a := <-answered:
		if a.accepted {
			return a.payload, nil
		}
		var why struct {
			Code    int
			Message string
		}
		if err := json.Unmarshal(a.payload, &why); err != nil {
			return nil, &refusal{op, 500, err.Error()}
		}
		return nil, &refusal{op, why.Code, why.Message}
	case <-time.After(answerTimeout):
		return nil, &refusal{op, noAnswer, "no answer within " + answerTimeout.String()}
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func decode(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // whole numbers keep their digits
	return d.Decode(into)
}
