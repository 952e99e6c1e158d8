package store

import "context"

// Table is the entries of one kind under names: a small map that lasts.
type Table struct {
	st   *Store
	kind Kind
}

// Table returns the table of kind.
func (s *Store) Table(kind Kind) *Table { return &Table{s, kind} }

// Put adds to b that value is stored under name.
func (t *Table) Put(b *Batch, name string, value []byte) { b.Set(Key(t.kind, name), value) }

// Delete adds to b that name is removed.
func (t *Table) Delete(b *Batch, name string) { b.Delete(Key(t.kind, name)) }

// Commit makes b, which may hold entries of other tables too; see Store.Commit.
func (t *Table) Commit(ctx context.Context, b *Batch) error { return t.st.Commit(ctx, b) }

// CommitAsync makes b, which may hold entries of other tables too; see Store.CommitAsync.
func (t *Table) CommitAsync(b *Batch, done func(error)) { t.st.CommitAsync(b, done) }

// Get returns what is stored under name, or ErrNotFound.
func (t *Table) Get(name string) ([]byte, error) { return t.st.Get(Key(t.kind, name)) }

// Each calls fn for every entry in the order of the names. An error of fn ends it and is
// returned.
func (t *Table) Each(fn func(name string, value []byte) error) error {
	var failed error
	err := t.st.Scan(Prefix(t.kind), func(key, value []byte) bool {
		failed = fn(string(key[1:]), value)
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	return err
}
