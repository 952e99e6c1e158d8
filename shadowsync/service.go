// Package shadowsync is a device shadow service like AWS IoT's: documents of desired and
// reported state, their versions and deltas, asked for and changed over MQTT topics.
//
//	client ──Handle──▶ queue ─▶ writer ─▶ merge, version ─▶ store: one commit per group
//	bridge ──Report──▶   │        │                            │ durable
//	                     │        └── undone if that fails     ▼
//	                     └─ one update per waiting key       emitter ─▶ delta, documents, accepted ─▶ Observer
//
// The writer takes requests in the order received and applies the next group while one is
// synced; nothing of a group is told before its commit. A refused update changes nothing,
// and each request has exactly one answer.
package shadowsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/gb2mqtt/gb2mqtt/shadowsync/store"
	"github.com/prometheus/client_golang/prometheus"
)

// What a caller can react to.
var (
	ErrNotFound = errors.New("shadow: not found")
	ErrStopped  = errors.New("shadow: the service has ended")
	ErrBusy     = errors.New("shadow: too many reports wait for the store")
	ErrTooLarge = errors.New("shadow: the document would be too large")
)

// Publisher carries the service's messages, with QoS 1 and not retained. Publish must not
// block; the payload is its to keep.
type Publisher interface {
	Publish(topic string, payload []byte)
}

// Observer follows all documents. Its methods are called after the commit and the messages
// of a change, in the order of the changes, on the service's own goroutine: they must not
// block.
type Observer interface {
	// Updated tells of a new version: whether a value of reported differs from the version
	// before, and whether desired and reported differ now.
	Updated(k Key, doc Document, reported, delta bool)
	// Created tells, before Updated, of a shadow that was not there.
	Created(k Key)
	// Deleted tells that a shadow is no more.
	Deleted(k Key)
}

// keeper is what the service needs of the store.
type keeper interface {
	Get(key []byte) ([]byte, error)
	Scan(prefix []byte, fn func(key, value []byte) bool) error
	ScanFrom(prefix, from []byte, fn func(key, value []byte) bool) error
	ScanKeys(prefix []byte, fn func(key []byte) bool) error
	ScanKeysFrom(prefix, from []byte, fn func(key []byte) bool) error
	CommitAsync(b *store.Batch, done func(error))
}

// Options is what the service needs of its surroundings.
type Options struct {
	Log        *slog.Logger
	Registerer prometheus.Registerer   // nil: no metrics
	KnownThing func(thing string) bool // for Config.Things devices; nil: all are known
	// Wanted tells whether anybody would get a message on topic: what nobody wants is not
	// made. nil: all is wanted.
	Wanted func(topic string) bool
	Debts  Debts // nil: nothing is ever owed
}

// Service keeps the shadows of all things. It is safe for concurrent use.
type Service struct {
	cfg       Config
	st        keeper
	pub       Publisher
	opts      Options
	log       *slog.Logger
	metrics   *metrics
	queue     *queue
	cache     *cache
	rate      rate
	observers []Observer
	asked     chan *job     // requests for history
	retry     time.Duration // of reports that the store could not take
	drain     time.Duration // for reports that wait at the end

	runOnce sync.Once
}

// New returns a Service over st. Requests and reports are taken from now on, and are worked
// on while Run runs.
func New(cfg Config, st *store.Store, pub Publisher, opts Options) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Service{cfg: cfg, st: st, pub: pub, opts: opts, log: opts.Log, queue: newQueue(), rate: rate{limit: cfg.Rate}, asked: make(chan *job, maxAsked), retry: retryHeld, drain: stopDrain}
	s.cache = newCache(s.load)
	var err error
	if s.metrics, err = newMetrics(opts.Registerer, s.queue.depth, s.cache.bytes); err != nil {
		return nil, err
	}
	return s, nil
}

// Observe adds o. It must be called before Run.
func (s *Service) Observe(o Observer) { s.observers = append(s.observers, o) }

// Run serves until ctx ends; then it answers all that was taken before and returns. It runs
// once.
func (s *Service) Run(ctx context.Context) error {
	err := errors.New("shadow: Run was called twice")
	s.runOnce.Do(func() {
		emit := make(chan []*job, 4) // the emitter publishes, which must not block: a few groups suffice
		var emitter sync.WaitGroup
		emitter.Go(func() {
			for jobs := range emit {
				for _, j := range jobs {
					s.emit(j)
				}
			}
		})
		var historian sync.WaitGroup
		historian.Go(func() { s.answerHistory(ctx) })
		w := &writer{s: s, emit: emit, committed: make(chan error, 1), pending: make(map[Key]*shadow), held: newHeld(s.retry)}
		w.run(ctx)
		historian.Wait()
		close(emit)
		emitter.Wait()
		err = nil
	})
	return err
}

// Report lays patch over the reported state of k, as the program's own account of it: nil
// removes a key. No version is made when no value would change. Patches for one shadow that
// wait at the same time become one update. done (nil: nobody asks) is called with the
// document that is durable then, on the service's goroutine, and must not block; ErrBusy,
// ErrStopped and a patch that is no JSON are told at once, on the caller's own. A patch that
// the store can't take is told as an error, and is laid down by itself once it can.
func (s *Service) Report(k Key, patch map[string]any, done func(Document, error)) {
	s.report(k, patch, false, done)
}

// ReportSealed is Report for a change that must have a version of its own: no other patch
// is made one with it.
func (s *Service) ReportSealed(k Key, patch map[string]any, done func(Document, error)) {
	s.report(k, patch, true, done)
}

// ReportMade is Report, or ReportSealed, for one of very many reports at once: its patch is made
// when its turn comes, so that little of it waits. make is called on the service's goroutine and
// must not block.
func (s *Service) ReportMade(k Key, make func() map[string]any, sealed bool, done func(Document, error)) {
	s.queueReport(k, func() map[string]any {
		own, err := normalize(make())
		if err != nil {
			s.log.Error("report not taken", "thing", k.Thing, "shadow", k.Name, "err", err)
		}
		return own
	}, sealed, done)
}

func (s *Service) report(k Key, patch map[string]any, sealed bool, done func(Document, error)) {
	own, err := normalize(patch)
	if err != nil {
		s.refuse(k, err, done)
		return
	}
	s.queueReport(k, func() map[string]any { return own }, sealed, done)
}

func (s *Service) queueReport(k Key, patch func() map[string]any, sealed bool, done func(Document, error)) {
	err := error(nil)
	if refused := checkNames(k); refused != nil {
		err = fmt.Errorf("shadow %s: %w", k, refused)
	}
	if err == nil {
		err = s.queue.report(k, patch, sealed, done)
	}
	if err != nil {
		s.refuse(k, err, done)
	}
}

// refuse tells that a report was not taken.
func (s *Service) refuse(k Key, err error, done func(Document, error)) {
	s.metrics.reports.WithLabelValues("refused").Inc()
	if done == nil {
		s.log.Error("report not taken", "thing", k.Thing, "shadow", k.Name, "err", err)
		return
	}
	done(Document{}, err)
}

// Delete removes the shadow k; done (nil: nobody asks) is called as by Report, with
// ErrNotFound when there is none.
func (s *Service) Delete(k Key, done func(error)) {
	j := &job{op: OpDelete, key: k, deleted: done}
	if err := s.queue.own(j); err != nil && done != nil {
		done(err)
	}
}

// Flush returns when all that was taken before it is durable and told, or when ctx ends.
func (s *Service) Flush(ctx context.Context) error {
	flushed := make(chan struct{})
	if err := s.queue.own(&job{flushed: flushed}); err != nil {
		return err
	}
	select {
	case <-flushed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Get returns the document of k as it is stored, or ErrNotFound.
func (s *Service) Get(k Key) (Document, error) { return s.read(k, s.cache.get) }

// Glance is Get for whoever goes through very many documents: it keeps none in memory.
func (s *Service) Glance(k Key) (Document, error) { return s.read(k, s.cache.glance) }

// Desired is the desired state of k as it is stored; nil when there is none, or none that can be
// read. It keeps nothing in memory either.
func (s *Service) Desired(k Key) map[string]any {
	if sh, err := s.cache.glance(k); err == nil && sh.doc != nil {
		return sh.doc.State.Desired
	}
	return nil
}

func (s *Service) read(k Key, get func(Key) (*shadow, error)) (Document, error) {
	patch, since := s.owed(k, true) // before the document: it may be paid meanwhile, but not taken back
	sh, err := get(k)
	if err != nil {
		return Document{}, err
	}
	d := sh.doc
	if patch != nil {
		d = withOwed(sh, patch, since)
	}
	if d == nil {
		return Document{}, ErrNotFound
	}
	return *d, nil
}

// Each calls fn for every stored document until fn returns false. A document that can't be
// read is passed over and told at the end.
func (s *Service) Each(fn func(Key, Document) bool) error {
	var errs []error
	err := s.st.Scan(store.Prefix(store.KindDocument), func(key, value []byte) bool {
		thing, name, ok := store.CutPart(key[1:])
		doc, err := decodeDocument(value)
		if !ok || err != nil {
			errs = append(errs, fmt.Errorf("shadow %q: %w", key, err))
			return true
		}
		return fn(Key{thing, string(name)}, *doc)
	})
	return errors.Join(append(errs, err)...)
}

// load reads what the store has of k.
func (s *Service) load(k Key) (*shadow, error) {
	text, err := s.st.Get(store.Key(store.KindDocument, k.Thing, k.Name))
	if err == nil {
		doc, err := decodeDocument(text)
		if err != nil {
			return nil, fmt.Errorf("shadow %s: %w", k, err)
		}
		return &shadow{doc: doc}, nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("shadow %s: %w", k, err)
	}
	text, err = s.st.Get(store.Key(store.KindTombstone, k.Thing, k.Name))
	if errors.Is(err, store.ErrNotFound) {
		return &shadow{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("shadow %s: %w", k, err)
	}
	last, err := decodeTombstone(text)
	if err != nil {
		return nil, fmt.Errorf("shadow %s: %w", k, err)
	}
	return &shadow{last: last}, nil
}

// String returns the thing, and the name behind a slash.
func (k Key) String() string {
	if k.Name == "" {
		return k.Thing
	}
	return k.Thing + "/" + k.Name
}
