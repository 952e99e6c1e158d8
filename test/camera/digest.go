package camera

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"

	"github.com/emmansun/gmsm/sm3"
)

// challenge is what a 401 asks for [RFC7616 3.3].
type challenge struct {
	realm, nonce, opaque, algorithm string
	qop, stale                      bool
	nc                              uint32 // of the last answer made from it
}

// hashes are the algorithms a device of X-GB-Ver 3.0 knows; older ones know MD5 alone.
var hashes = map[string]func() hash.Hash{"MD5": md5.New, "SHA-256": sha256.New, "SM3": sm3.New}

// pickChallenge takes the first of the offered challenges that the device can answer.
func (cfg *Config) pickChallenge(m *message) (*challenge, error) {
	var offered []string
	headers := slices.DeleteFunc(slices.Clone(m.headers), func(h header) bool { return h.name != "www-authenticate" })
	if cfg.has(LastChallenge) && len(headers) > 1 {
		headers = headers[len(headers)-1:]
	}
	for _, h := range headers {
		c, ok := parseChallenge(h.value)
		if !ok || cfg.has(NeedsAlgorithm) && !strings.Contains(strings.ToLower(h.value), "algorithm") {
			offered = append(offered, h.value)
			continue
		}
		offered = append(offered, c.algorithm)
		if _, known := hashes[c.algorithm]; known && (c.algorithm == "MD5" || cfg.GBVersion >= "3.0") {
			c.qop = c.qop && !cfg.has(IgnoresQop)
			return c, nil
		}
	}
	if len(offered) == 0 {
		return nil, fmt.Errorf("a 401 without WWW-Authenticate")
	}
	return nil, fmt.Errorf("no challenge that this device can answer among %q", offered)
}

// parseChallenge reads one WWW-Authenticate value.
func parseChallenge(value string) (*challenge, bool) {
	scheme, rest, _ := strings.Cut(value, " ")
	if !strings.EqualFold(scheme, "Digest") {
		return nil, false
	}
	c := &challenge{algorithm: "MD5"}
	for rest != "" {
		name, after, ok := strings.Cut(rest, "=")
		if !ok {
			break
		}
		var v string
		after = strings.TrimLeft(after, " ")
		if strings.HasPrefix(after, `"`) {
			v, rest, _ = strings.Cut(after[1:], `"`)
			_, rest, _ = strings.Cut(rest, ",")
		} else {
			v, rest, _ = strings.Cut(after, ",")
		}
		v = strings.TrimSpace(v)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "realm":
			c.realm = v
		case "nonce":
			c.nonce = v
		case "opaque":
			c.opaque = v
		case "algorithm":
			c.algorithm = strings.ToUpper(v)
		case "stale":
			c.stale = strings.EqualFold(v, "true")
		case "qop":
			for q := range strings.SplitSeq(v, ",") {
				c.qop = c.qop || strings.TrimSpace(q) == "auth"
			}
		}
	}
	return c, c.nonce != ""
}

// authorize returns the Authorization value for a request, counting nc [RFC7616 3.4].
func (c *challenge) authorize(username, password, method, uri, cnonce string) string {
	sum := func(parts ...string) string {
		h := hashes[c.algorithm]()
		h.Write([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(h.Sum(nil))
	}
	a1, a2 := sum(username, c.realm, password), sum(method, uri)
	var b strings.Builder
	fmt.Fprintf(&b, `Digest username="%s", realm="%s", nonce="%s", uri="%s", `, username, c.realm, c.nonce, uri)
	if c.qop {
		c.nc++
		nc := fmt.Sprintf("%08x", c.nc)
		fmt.Fprintf(&b, `response="%s", algorithm=%s, qop=auth, nc=%s, cnonce="%s"`,
			sum(a1, c.nonce, nc, cnonce, "auth", a2), c.algorithm, nc, cnonce)
	} else {
		fmt.Fprintf(&b, `response="%s", algorithm=%s`, sum(a1, c.nonce, a2), c.algorithm)
	}
	if c.opaque != "" {
		fmt.Fprintf(&b, `, opaque="%s"`, c.opaque)
	}
	return b.String()
}
