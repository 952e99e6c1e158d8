package upstream

import (
	"encoding/json"

	"github.com/gb2mqtt/gb2mqtt/shadowsync"
)

// down makes the cloud's desired ours: all of it after an absence, else what changed there.
func (u *Upstream) down(k shadowsync.Key, theirs map[string]any) error {
	name := u.cfg.Link + "\x00" + k.Thing + "\x00" + k.Name
	raw, known, err := u.memory.Load(name)
	if err != nil {
		return &refusal{"read", 500, err.Error()}
	}
	var last, ours map[string]any
	if known {
		if err := decode(raw, &last); err != nil {
			u.log.Warn("the cloud's last desired state can't be read; it counts as empty", "thing", k.Thing, "err", err)
		}
	}
	if doc, err := u.shadows.Get(k); err == nil {
		ours = doc.State.Desired
	}
	u.mu.Lock()
	fresh := u.fresh[k]
	u.mu.Unlock()
	patch := diff(last, theirs)
	if !fresh || !known {
		patch = reconciled(ours, last, theirs)
	}
	if patch = needed(ours, patch); patch != nil {
		if err := u.write(k, patch); err != nil {
			return err
		}
	}
	if known && diff(last, theirs) == nil {
		return nil
	}
	value, err := json.Marshal(theirs)
	if err != nil {
		return &refusal{"store", 500, err.Error()}
	}
	stored := make(chan error, 1)
	u.memory.Save(name, value, func(err error) { stored <- err })
	if err := <-stored; err != nil {
		return &refusal{"store", 500, err.Error()}
	}
	return nil
}

// reconciled lays all that the cloud desires over ours, and takes away what it took back.
func reconciled(ours, last, theirs map[string]any) map[string]any {
	patch := diff(ours, theirs)
	return withoutOwn(patch, last)
}

// withoutOwn drops the removals of what the cloud never desired.
func withoutOwn(patch, last map[string]any) map[string]any {
	for key, v := range patch {
		l, was := last[key]
		inner, isObject := v.(map[string]any)
		lastInner, _ := l.(map[string]any)
		switch {
		case v == nil && !was:
			delete(patch, key)
		case isObject && len(inner) > 0: // an empty one is a value
			if patch[key] = withoutOwn(inner, lastInner); len(inner) == 0 {
				delete(patch, key)
			}
		}
	}
	return patch
}

// needed is what of patch would change ours.
func needed(ours, patch map[string]any) map[string]any {
	out := map[string]any{}
	for key, v := range patch {
		own, there := ours[key]
		inner, isObject := v.(map[string]any)
		ownInner, wasObject := own.(map[string]any)
		switch {
		case v == nil && !there, v != nil && there && equal(own, v):
		case isObject && wasObject:
			if n := needed(ownInner, inner); n != nil {
				out[key] = n
			}
		default:
			out[key] = v
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// write changes desired here, as a client would.
func (u *Upstream) write(k shadowsync.Key, patch map[string]any) error {
	payload, err := json.Marshal(map[string]any{"state": map[string]any{"desired": patch}})
	if err != nil {
		return &refusal{"update here", 400, err.Error()}
	}
	answered := make(chan error, 1)
	u.shadows.Handle(shadowsync.Request{
		Topic: topic(u.cfg.Prefix, k.Thing, k.Name, "update"), Payload: payload,
		Reply: func(answer []byte, code int) {
			if code != 200 {
				answered <- &refusal{"update here", code, string(answer)}
				return
			}
			answered <- nil
		},
	})
	return <-answered
}
