package command

import (
	"crypto/rand"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gb2mqtt/gb2mqtt/mapping"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

const (
	pageFor  = time.Minute // how long the rest of an answer can be asked for
	maxPaged = 256         // answers of which a rest is kept; the oldest goes first
)

// pages keeps the rests of long lists for a minute.
type pages struct {
	mu      sync.Mutex // guards what follows
	most    int        // items kept in all
	kept    int
	answers map[string]*pagedAnswer
	inOrder []*pagedAnswer // the oldest first
}

// pagedAnswer is a whole list, of which parts are asked for by `next`.
type pagedAnswer struct {
	id     string
	device gb28181.ID
	list   string // its name among the fields
	fields map[string]any
	items  []map[string]any
	at     time.Time
}

func (p *pages) init(catalogItems int) {
	p.most = 4 * catalogItems
	p.answers = make(map[string]*pagedAnswer)
}

// firstPage returns the fields of a list's answer with its first items, and keeps the rest.
func (e *Engine) firstPage(device gb28181.ID, cmd *mapping.Command, l *mapping.List) map[string]any {
	fields := l.Fields()
	name, items := l.Items()
	if _, limited := fields["refused"]; limited {
		fields["refused_reason"] = fmt.Sprintf("limits.catalog_items is %d", e.cfg.CatalogItems)
	}
	a := &pagedAnswer{device: device, list: name, fields: fields, items: items, at: time.Now()}
	if name != "" && len(items) > cmd.Limit && !cmd.Slim {
		a.id = rand.Text()[:16]
		e.pages.keep(a)
	}
	return a.page(0, cmd.Limit)
}

// nextPage answers from what was kept; the device is not asked.
func (e *Engine) nextPage(device gb28181.ID, cmd *mapping.Command) (Result, *mapping.Error) {
	id, offset, _ := strings.Cut(cmd.Next, ".")
	n, err := strconv.Atoi(offset)
	a := e.pages.find(id)
	if a == nil || a.device != device || err != nil || n < 0 || n > len(a.items) {
		return Result{}, mapping.Errorf(mapping.CodeNotFound,
			"next: %q is not known (any more); it is valid for a minute, ask again without it", cmd.Next)
	}
	_, partial := a.fields["partial"]
	return Result{Fields: a.page(n, cmd.Limit), Partial: partial}, nil
}

// page returns limit items from offset on.
func (a *pagedAnswer) page(offset, limit int) map[string]any {
	fields := maps.Clone(a.fields)
	if a.list == "" {
		return fields
	}
	end := min(offset+limit, len(a.items))
	fields[a.list] = a.items[offset:end:end]
	if end < len(a.items) {
		fields["next"] = a.id + "." + strconv.Itoa(end)
	}
	return fields
}

// keep takes an answer in, and gives up what is over or too much.
func (p *pages) keep(a *pagedAnswer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers[a.id] = a
	p.inOrder = append(p.inOrder, a)
	p.kept += len(a.items)
	p.expireLocked()
	for len(p.inOrder) > maxPaged || p.kept > p.most {
		p.dropLocked()
	}
}

func (p *pages) find(id string) *pagedAnswer {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expireLocked()
	return p.answers[id]
}

// expire gives up what is over.
func (p *pages) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expireLocked()
}

func (p *pages) expireLocked() {
	for len(p.inOrder) > 0 && time.Since(p.inOrder[0].at) >= pageFor {
		p.dropLocked()
	}
}

func (p *pages) dropLocked() {
	oldest := p.inOrder[0]
	p.inOrder[0] = nil
	p.inOrder = p.inOrder[1:]
	p.kept -= len(oldest.items)
	delete(p.answers, oldest.id)
}
