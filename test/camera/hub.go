package camera

import (
	"context"
	"strings"
	"sync"
)

// hub holds the UDP sockets that the devices of a big fleet share, and tells from a message
// whose it is. A hub of no sockets gives each device one of its own.
type hub struct {
	server, local string
	sockets       int // at most
	wg            sync.WaitGroup

	mu    sync.Mutex // guards the rest
	links []*link
	mine  map[*link]map[string]*Device // by the IDs of devices and channels
	next  int
}

func newHub(server, local string, sockets int) *hub {
	return &hub{server: server, local: local, sockets: sockets, mine: make(map[*link]map[string]*Device)}
}

// shared reports whether devices share sockets.
func (h *hub) shared() bool { return h.sockets > 0 }

// owns reports whether l is one of the shared sockets.
func (h *hub) owns(l *link) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.mine[l]
	return ok
}

// join gives d its socket, opening one while there are too few.
func (h *hub) join(ctx context.Context, d *Device) (*link, error) {
	ids := d.ids()
	h.mu.Lock()
	defer h.mu.Unlock()
	var l *link
	if len(h.links) < h.sockets {
		opened, err := openLink(ctx, "udp", h.local, h.server)
		if err != nil {
			return nil, err
		}
		l = opened
		h.links = append(h.links, l)
		h.mine[l] = make(map[string]*Device)
		h.wg.Go(func() { h.read(l) })
	} else {
		l = h.links[h.next%len(h.links)]
		h.next++
	}
	for _, id := range ids {
		h.mine[l][id] = d
	}
	return l, nil
}

// learn has requests to id, on a shared socket, go to d.
func (h *hub) learn(l *link, id string, d *Device) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if mine := h.mine[l]; mine != nil {
		mine[id] = d
	}
}

// leave takes d from its socket.
func (h *hub) leave(l *link, d *Device) {
	ids := d.ids()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		delete(h.mine[l], id)
	}
}

// close closes all sockets and waits for their readers.
func (h *hub) close() {
	h.mu.Lock()
	for _, l := range h.links {
		l.close()
	}
	h.mu.Unlock()
	h.wg.Wait()
}

// read hands each message to the device that it is for: an answer goes to its From, which
// we wrote, a request to its Request-URI or To.
func (h *hub) read(l *link) {
	_ = l.read(deviceBuffer, func(raw []byte) { // ends when the hub is closed
		m, err := parseMessage(raw)
		if err != nil {
			return
		}
		names := [2]string{user(m.header("from"))}
		if m.code == 0 {
			names = [2]string{user(m.uri), user(m.header("to"))}
		}
		h.mu.Lock()
		var d *Device
		for _, id := range names {
			if d = h.mine[l][strings.TrimSpace(id)]; d != nil {
				break
			}
		}
		h.mu.Unlock()
		if d != nil && !d.silent() && !d.dice.lose(false) {
			d.dispatch(l, m)
		}
	})
}
