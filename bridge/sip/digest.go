package sip

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"hash/maphash"
	"math"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emmansun/gmsm/sm3"
)

// Verdict is what an Authenticator thinks of a request's credentials.
type Verdict uint8

// The verdicts of Authenticator.Verify.
const (
	OK        Verdict = iota + 1 // right, and fresh
	Stale                        // right, but the nonce is old or used, or it is foreign: challenge again with stale=true
	Wrong                        // not the password's digest, by a nonce of ours
	Missing                      // no Authorization header
	Malformed                    // not a digest, or one by rules that were not offered
)

// String returns the verdict as a metric label.
func (v Verdict) String() string {
	switch v {
	case OK:
		return "ok"
	case Stale:
		return "stale"
	case Wrong:
		return "wrong"
	case Missing:
		return "missing"
	case Malformed:
		return "malformed"
	}
	return ""
}

// NonceState is what must be remembered of a device between its requests. Its zero value is
// a device never seen. The caller keeps it, and never verifies two requests of one device at once.
type NonceState struct {
	stamp    uint64 // of the last nonce accepted
	count    uint32 // its highest nc; math.MaxUint32 after a use without qop
	last     uint64 // hash of the last request accepted
	accepted int64  // when, Unix ms
}

// Authenticator challenges devices and checks their digests [GB28181-2022 9.1, RFC 8760].
// Its nonces need no memory: each is a time stamp and an HMAC over it, the device and the IP that
// was challenged, so it expires, and serves nobody else. It is safe for concurrent use.
type Authenticator struct {
	realm      string
	algorithms []algorithm // in the order offered
	life       time.Duration
	key        [32]byte
	stamp      atomic.Uint64 // of the newest nonce: Unix µs, pushed on where two fall into one
}

// algorithm is a hash with the spelling it is offered under.
type algorithm struct {
	name string
	new  func() hash.Hash
}

var (
	algMD5    = algorithm{"MD5", md5.New}
	algSHA256 = algorithm{"SHA-256", sha256.New}
	algSM3    = algorithm{"SM3", sm3.New}
)

// Algorithms lists the spellings that NewAuthenticator knows.
func Algorithms() []string { return []string{algMD5.name, algSHA256.name, algSM3.name} }

// algorithmOf finds an algorithm by a tolerant spelling; none at all is MD5 [RFC3261 22.4].
func algorithmOf(token string) (algorithm, bool) {
	switch {
	case token == "", strings.EqualFold(token, "MD5"):
		return algMD5, true
	case strings.EqualFold(token, "SHA-256"), strings.EqualFold(token, "SHA256"):
		return algSHA256, true
	case strings.EqualFold(token, "SM3"), strings.EqualFold(token, "SM-3"):
		return algSM3, true
	}
	return algorithm{}, false
}

// A nonce is 8 bytes of stamp and 12 of HMAC, in hex: short, since devices keep it in small
// buffers.
const (
	nonceStamp = 8
	nonceMAC   = 12
	nonceLen   = 2 * (nonceStamp + nonceMAC)
)

// retransmitted is how long a request can be the repetition of an accepted one [RFC3261 17.1.2.2].
const retransmitted = RecentWindow

// NewAuthenticator returns one for realm. Unknown names in algorithms are left out (the
// configuration's check names them); MD5 stands last, and alone where nothing else is left.
// A nonce is good for nonceLife.
func NewAuthenticator(realm string, algorithms []string, nonceLife time.Duration) *Authenticator {
	a := &Authenticator{realm: realm, life: nonceLife}
	rand.Read(a.key[:]) // never fails, by its documentation
	withMD5 := false
	for _, name := range algorithms {
		alg, ok := algorithmOf(name)
		switch {
		case !ok || name == "":
		case alg.name == algMD5.name:
			withMD5 = true
		case !slices.ContainsFunc(a.algorithms, func(b algorithm) bool { return b.name == alg.name }):
			a.algorithms = append(a.algorithms, alg)
		}
	}
	if withMD5 || len(a.algorithms) == 0 {
		a.algorithms = append(a.algorithms, algMD5)
	}
	return a
}

// Offer says how a device is challenged.
type Offer struct {
	From       netip.Addr // who is challenged: the nonce is good from there
	GB3        bool       // it has shown X-GB-Ver 3.0: else MD5 alone, for many stacks read one header only
	Algorithms []string   // these instead, in this order; unknown names are left out; nil: by GB3
	Stale      bool       // its digest was right, its nonce is not good any more
	Plain      bool       // without qop, for a device whose digest fails with it
}

// Challenges returns the WWW-Authenticate values for device, one per algorithm, all with the
// same new nonce.
func (a *Authenticator) Challenges(device string, o Offer) []string {
	nonce := a.nonce(device, o.From)
	var out []string
	for _, name := range o.Algorithms {
		if alg, ok := algorithmOf(name); ok {
			out = append(out, a.challenge(alg.name, nonce, o))
		}
	}
	switch {
	case out != nil:
	case !o.GB3:
		out = []string{a.challenge(algMD5.name, nonce, o)}
	default:
		for _, alg := range a.algorithms {
			out = append(out, a.challenge(alg.name, nonce, o))
		}
	}
	return out
}

// challenge has no blanks after its commas, which some devices need, and always an algorithm,
// unquoted, without which some recorders do not answer.
func (a *Authenticator) challenge(algorithm, nonce string, o Offer) string {
	var b strings.Builder
	b.Grow(128)
	b.WriteString(`Digest realm="`)
	b.WriteString(a.realm)
	b.WriteString(`",nonce="`)
	b.WriteString(nonce)
	b.WriteString(`",algorithm=`)
	b.WriteString(algorithm)
	if !o.Plain {
		b.WriteString(`,qop="auth"`)
	}
	if o.Stale {
		b.WriteString(`,stale=true`)
	}
	return b.String()
}

// Verify checks the Authorization of r by password, as of now. On OK it notes in st what was
// used, so that the same credentials are not good again, unless r is the repetition of the
// request that they came in: same Call-ID, CSeq, branch and sender, within 32 s.
//
// What comes with a nonce that was not given to this device at this address is not measured by the
// password: a packet with a forged source would count against the camera that is there, for its
// sender never sees a nonce of ours. It is Stale, and tells its sender nothing about the password.
func (a *Authenticator) Verify(r *Request, device, password string, st *NonceState, now time.Time) Verdict {
	if r.Authorization == nil {
		return Missing
	}
	c, ok := parseCredentials(r.Authorization)
	if !ok {
		return Malformed
	}
	alg, ok := algorithmOf(c.algorithm)
	if !ok {
		return Malformed
	}
	stamp, genuine := a.check(c.nonce, device, r.Path.Remote.Addr())
	if !genuine {
		return Stale
	}
	// Some devices keep the blank that somebody typed behind the password.
	if !c.matches(alg, r.Method, password) && !c.matches(alg, r.Method, password+" ") {
		return Wrong
	}
	if c.realm != a.realm {
		return Stale // a realm remembered from an earlier platform
	}
	if now.Sub(time.UnixMicro(int64(stamp))) > a.life || stamp < st.stamp {
		return Stale
	}
	id := requestHash(r, c.response)
	count := c.count
	if !c.qop {
		count = math.MaxUint32 // nothing tells two uses apart: one is all
	}
	if stamp == st.stamp && (count <= st.count || !c.qop) {
		if id == st.last && now.UnixMilli()-st.accepted < retransmitted.Milliseconds() {
			return OK
		}
		return Stale
	}
	*st = NonceState{stamp: stamp, count: count, last: id, accepted: now.UnixMilli()}
	return OK
}

// nonce makes a new one for device at an address, later than all before it.
func (a *Authenticator) nonce(device string, from netip.Addr) string {
	stamp := uint64(time.Now().UnixMicro())
	for {
		last := a.stamp.Load()
		stamp = max(stamp, last+1)
		if a.stamp.CompareAndSwap(last, stamp) {
			break
		}
	}
	var b [nonceStamp + nonceMAC]byte
	binary.BigEndian.PutUint64(b[:], stamp)
	a.mac(b[nonceStamp:], b[:nonceStamp], device, from)
	return hex.EncodeToString(b[:])
}

// check tells whether nonce is one of ours for device at an address, and its stamp.
func (a *Authenticator) check(nonce, device string, from netip.Addr) (stamp uint64, ok bool) {
	if len(nonce) != nonceLen {
		return 0, false
	}
	var b [nonceStamp + nonceMAC]byte
	if _, err := hex.Decode(b[:], []byte(nonce)); err != nil {
		return 0, false
	}
	var want [nonceMAC]byte
	a.mac(want[:], b[:nonceStamp], device, from)
	return binary.BigEndian.Uint64(b[:]), subtle.ConstantTimeCompare(want[:], b[nonceStamp:]) == 1
}

func (a *Authenticator) mac(dst, stamp []byte, device string, from netip.Addr) {
	h := hmac.New(sha256.New, a.key[:])
	h.Write(stamp)
	h.Write([]byte(device))
	ip := from.Unmap().As16()
	h.Write(ip[:])
	copy(dst, h.Sum(nil))
}

// requestHash names one request on the wire, its sender included: a captured packet that is
// sent again from elsewhere is no repetition.
func requestHash(r *Request, response string) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	maphash.WriteComparable(&h, r.Path.Remote)
	maphash.WriteComparable(&h, r.TransactionKey())
	h.Write(r.Branch)
	h.WriteByte(0)
	h.WriteString(response)
	return h.Sum64()
}
