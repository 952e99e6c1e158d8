package fleet

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

// Redirect says which devices belong elsewhere: a device ID, or the digits that IDs begin with
// -> sip:ID@host:port of the platform that they are to register with [GB28181-2022 9.1.2.3]. The
// longest key counts.
type Redirect map[string]string

// Validate returns every complaint about r, joined, each worded `key: what is wrong; what is accepted`.
func (r Redirect) Validate() error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(r)) {
		if key == "" || len(key) > gb28181.IDLength || strings.Trim(key, "0123456789") != "" {
			errs = append(errs, fmt.Errorf("sip.redirect.%s: %q is no device; use its 20 digits, or fewer for all IDs that begin with them", key, key))
		}
		if !isPlatform(r[key]) {
			errs = append(errs, fmt.Errorf("sip.redirect.%s: %q is no platform; use sip:ID@host:port as in sip:34030000002000000001@10.0.0.9:5060", key, r[key]))
		}
	}
	return errors.Join(errs...)
}

// isPlatform reads sip:ID@host:port.
func isPlatform(uri string) bool {
	rest, isSIP := strings.CutPrefix(uri, "sip:")
	user, address, whole := strings.Cut(rest, "@")
	if _, err := gb28181.ParseID(user); !isSIP || !whole || err != nil {
		return false
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return false
	}
	if _, err := netip.ParseAddr(host); err != nil && strings.Trim(strings.ToLower(host), "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// of returns where a device belongs, "" for here.
func (r Redirect) of(id gb28181.ID) string {
	for n := gb28181.IDLength; n > 0 && len(r) > 0; n-- {
		if to, there := r[string(id[:n])]; there {
			return to
		}
	}
	return ""
}

// redirectLocked answers a REGISTER of a device that belongs at to. If it was registered here, it
// is not any more.
func (f *Fleet) redirectLocked(sh *shard, s *session, r *sip.Request, to string, wall time.Time) sip.Answer {
	f.unregisterLocked(sh, s, wall)
	a := f.refuse(302, refusedRedirected)
	a.Contact, a.Expires = to, grantable(r.Expires)
	return a
}
