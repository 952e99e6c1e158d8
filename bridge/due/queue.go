// Package due orders what is to be done by when it is due, and has workers do it: no goroutine
// and no timer for each thing that waits.
//
//	Put ──▶ Queue ──▶ Work: the one that is due, to a worker
package due

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// Entry is a thing's place in a Queue. Its zero value is in none.
type Entry[T any] struct {
	Value T
	At    time.Time // when it is due; Put tells a Queue of a change
	place int       // in the heap, from 1 on; 0: in none
}

// Queued tells whether e waits in a Queue.
func (e *Entry[T]) Queued() bool { return e.place > 0 }

// Queue orders entries by when they are due. It is not safe for concurrent use.
type Queue[T any] struct{ entries entries[T] }

// First returns the entry that is due first, nil when none waits.
func (q *Queue[T]) First() *Entry[T] {
	if len(q.entries) == 0 {
		return nil
	}
	return q.entries[0]
}

// Put puts e in, or where its due time belongs now.
func (q *Queue[T]) Put(e *Entry[T]) {
	if e.Queued() {
		heap.Fix(&q.entries, e.place-1)
		return
	}
	heap.Push(&q.entries, e)
}

// Remove takes e out, if it is in.
func (q *Queue[T]) Remove(e *Entry[T]) {
	if e.Queued() {
		heap.Remove(&q.entries, e.place-1)
	}
}

// Take takes the first entry out when it is due, or tells how long to wait for it; 0: until
// something is put in.
func (q *Queue[T]) Take() (e *Entry[T], wait time.Duration) {
	if e = q.First(); e == nil {
		return nil, 0
	}
	if wait = time.Until(e.At); wait > 0 {
		return nil, wait
	}
	q.Remove(e)
	return e, 0
}

// Work has at most workers at once do what take returns, until ctx ends; then it waits for
// those at work. take is asked again after the wait that it names, and whenever changed tells
// that there may be something else.
func Work[T any](ctx context.Context, workers int, take func() (*Entry[T], time.Duration), changed <-chan struct{}, do func(T)) {
	var work sync.WaitGroup
	defer work.Wait()
	slots := make(chan struct{}, workers)
	for {
		e, wait := take()
		if e == nil {
			var timer <-chan time.Time
			if wait > 0 {
				timer = time.After(wait)
			}
			select {
			case <-ctx.Done():
				return
			case <-changed:
			case <-timer:
			}
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		work.Go(func() {
			defer func() { <-slots }()
			do(e.Value)
		})
	}
}

// entries is a heap.
type entries[T any] []*Entry[T]

func (q entries[T]) Len() int           { return len(q) }
func (q entries[T]) Less(i, j int) bool { return q[i].At.Before(q[j].At) }
func (q entries[T]) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i+1, j+1
}

func (q *entries[T]) Push(x any) {
	e := x.(*Entry[T])
	*q = append(*q, e)
	e.place = len(*q)
}

func (q *entries[T]) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	e.place = 0
	return e
}
