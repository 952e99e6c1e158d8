package broker

import (
	"crypto/sha256"
	"crypto/subtle"
	"strings"
	"sync"

	"golang.org/x/crypto/bcrypt"
)

// users decides who may log in, and what they may do then.
type users struct {
	byName    map[string]User
	anonymous bool

	mu    sync.Mutex            // guards known
	known map[[32]byte]struct{} // passwords that bcrypt has passed, hashed with their hash: a storm of reconnections costs one check each
}

// maxKnown bounds the memory of passed passwords: each of a handful of users has one.
const maxKnown = 4096

func newUsers(c Embedded) *users {
	u := &users{byName: make(map[string]User, len(c.Users)), anonymous: c.AllowAnonymous, known: make(map[[32]byte]struct{})}
	for _, user := range c.Users {
		u.byName[user.Name] = user
	}
	return u
}

// login returns what a client may do, or nil when it may not log in. Where there are no users
// any name and password will do: the AWS SDKs send one of their own, and a listener that
// others can reach is refused without users.
func (u *users) login(name, password string) *rights {
	if len(u.byName) == 0 {
		return &rights{user: name, all: true}
	}
	user, known := u.byName[name]
	switch {
	case known && u.passes(user.Password, password):
		return &rights{user: name, read: user.Read, write: user.Write}
	case !known && u.anonymous && password == "":
		return &rights{all: true}
	}
	return nil
}

// rightsOf returns what a session of that user may read, or nil when there is no such user.
func (u *users) rightsOf(name string) *rights {
	if len(u.byName) == 0 {
		return &rights{user: name, all: true}
	}
	if user, known := u.byName[name]; known {
		return &rights{user: name, read: user.Read, write: user.Write}
	}
	if u.anonymous && name == "" {
		return &rights{all: true}
	}
	return nil
}

// passes compares in constant time.
func (u *users) passes(kept, given string) bool {
	if !isBcrypt(kept) {
		a, b := sha256.Sum256([]byte(kept)), sha256.Sum256([]byte(given))
		return subtle.ConstantTimeCompare(a[:], b[:]) == 1
	}
	key := sha256.Sum256([]byte(kept + "\x00" + given))
	u.mu.Lock()
	_, passed := u.known[key]
	u.mu.Unlock()
	if passed {
		return true
	}
	if bcrypt.CompareHashAndPassword([]byte(kept), []byte(given)) != nil {
		return false
	}
	u.mu.Lock()
	if len(u.known) >= maxKnown {
		clear(u.known)
	}
	u.known[key] = struct{}{}
	u.mu.Unlock()
	return true
}

func isBcrypt(password string) bool {
	return strings.HasPrefix(password, "$2a$") || strings.HasPrefix(password, "$2b$") || strings.HasPrefix(password, "$2y$")
}
