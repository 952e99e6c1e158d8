package bridge

import "github.com/gb2mqtt/gb2mqtt/shadowsync/store"

// sessionStore keeps the sessions of the embedded broker's clients in the store.
type sessionStore struct{ table *store.Table }

func newSessionStore(st *store.Store) sessionStore { return sessionStore{st.Table(store.KindSession)} }

// Each calls fn for all entries in the order of their keys.
func (s sessionStore) Each(fn func(key string, value []byte) error) error { return s.table.Each(fn) }

// Put stores value and calls done once that is durable.
func (s sessionStore) Put(key string, value []byte, done func(error)) {
	b := new(store.Batch)
	s.table.Put(b, key, value)
	s.table.CommitAsync(b, done)
}

// Remove forgets keys.
func (s sessionStore) Remove(keys []string, done func(error)) {
	b := new(store.Batch)
	for _, key := range keys {
		s.table.Delete(b, key)
	}
	s.table.CommitAsync(b, done)
}
