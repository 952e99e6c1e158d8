package fleet

import "sync"

// maxWords bounds the different texts that are kept once for all devices.
const maxWords = 4096

// words keeps texts that very many devices have in common, such as what they call themselves,
// once for all of them.
type words struct {
	mu   sync.Mutex // guards same
	same map[string]string
}

// one returns text, or the equal one that was there before.
func (w *words) one(text string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if known, there := w.same[text]; there {
		return known
	}
	if w.same == nil {
		w.same = make(map[string]string)
	}
	if len(w.same) < maxWords {
		w.same[text] = text
	}
	return text
}
