package subscribe

import "container/heap"

// dueHeap orders entries by their due time.
type dueHeap struct{ entries byDue }

func (h *dueHeap) first() *entry {
	if len(h.entries) == 0 {
		return nil
	}
	return h.entries[0]
}

// put puts e in, or where its due time belongs now.
func (h *dueHeap) put(e *entry) {
	if e.index >= 0 {
		heap.Fix(&h.entries, e.index)
		return
	}
	heap.Push(&h.entries, e)
}

func (h *dueHeap) remove(e *entry) {
	if e.index >= 0 {
		heap.Remove(&h.entries, e.index)
	}
}

type byDue []*entry

func (q byDue) Len() int           { return len(q) }
func (q byDue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q byDue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *byDue) Push(x any) {
	e := x.(*entry)
	e.index = len(*q)
	*q = append(*q, e)
}

func (q *byDue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	e.index = -1
	return e
}
