// Package sip is the platform's SIP endpoint: UDP and TCP transports, an own read loop,
// digest, transactions. It knows SIP and nothing of cameras.
//
//	socket ──▶ scan ──▶ Handler.Serve ──▶ Answer ──▶ socket      REGISTER, MESSAGE, NOTIFY: no transaction
//	             ├────▶ gosip server transaction ──▶ socket      everything else: answered here
//	             └────▶ gosip client transaction                 responses
//	Endpoint.Request ──▶ gosip client transaction ──▶ socket      what the platform asks
//
// The same request gets the same answer, so a repeated one needs no memory; whoever must not
// do a thing twice asks Recent.
package sip

import (
	"errors"
	"net/netip"
	"strings"
	"time"
)

// Network is the transport of a Path.
type Network uint8

// The transports of GB/T 28181 [GB28181-2022 4.3.2].
const (
	UDP Network = iota + 1
	TCP
)

// String returns "udp", "tcp" or "".
func (n Network) String() string {
	switch n {
	case UDP:
		return "udp"
	case TCP:
		return "tcp"
	}
	return ""
}

// Path is the way to a peer: where its last packet came from and which socket of ours it
// came to. It is a plain value: comparable, storable, without a resource behind it.
type Path struct {
	Network Network
	Remote  netip.AddrPort
	Local   netip.AddrPort // our address that the peer talks to
	Conn    uint64         // number of the TCP connection, 0 on UDP
}

// Request is a received request outside a dialog. Its slices alias the read buffer and are
// valid until Handler.Serve returns; Keep what must live longer.
type Request struct {
	Method            string // upper case, interned
	URI               []byte
	From, To          []byte // header values
	FromUser          []byte // user part of the From URI: the device [GB28181-2022 6.1.2]
	ToUser            []byte
	FromTag           []byte
	ToTag             []byte // not empty: within a dialog, or a device that is wrong about it
	CallID            []byte
	CSeq              uint32
	Branch            []byte // of the topmost Via
	Expires           int    // seconds: Contact's expires parameter, else Expires; -1 when absent
	ContactStar       bool   // Contact: *
	Authorization     []byte // value of the first Authorization header, nil when absent
	UserAgent         []byte
	GBVersion         []byte // X-GB-Ver [GB28181-2022 Annex I]
	ContentType       []byte
	Event             []byte // of a NOTIFY [RFC6665 8.2.1]
	SubscriptionState []byte // of a NOTIFY [RFC6665 4.1.3]
	Body              []byte
	Path              Path
	Received          time.Time

	extensions [][]byte // names and values of X-… headers, in turn: see Extensions

	// What an answer repeats beside the above.
	vias    [][]byte // Via header values, topmost first
	cseq    []byte   // CSeq header value
	contact []byte   // Contact header value
	reply   func(*Request, Answer)
}

// The bounds of what is kept of extension headers.
const (
	maxExtensions     = 16
	maxExtensionValue = 256 // bytes
)

// Extensions returns the headers of r whose names begin with X-, but for X-GB-Ver: what vendors add,
// and the standard's own X-RoutePath and X-PreferredPath [GB28181-2022 Annex H]. Of a name that comes
// twice the first counts. It is nil when there is none.
func (r *Request) Extensions() map[string]string {
	if len(r.extensions) == 0 {
		return nil
	}
	all := make(map[string]string, len(r.extensions)/2)
	for i := 0; i+1 < len(r.extensions); i += 2 {
		name, value := string(r.extensions[i]), r.extensions[i+1]
		if _, twice := all[name]; !twice {
			all[name] = strings.ToValidUTF8(string(value[:min(len(value), maxExtensionValue)]), "\uFFFD")
		}
	}
	return all
}

// Answer is what a Handler decides about a Request.
type Answer struct {
	Code       int           // SIP status; 0: no answer now, a Pending made by Keep will bring it
	Expires    int           // seconds, sent when > 0, and as 0 when Code is 200 on REGISTER; of a 423: Min-Expires
	Contact    string        // of a 302: the URI to try instead
	Challenges []string      // WWW-Authenticate values of a 401
	RetryAfter time.Duration // of 403 and 503, sent when > 0
	GBVersion  string        // X-GB-Ver, sent when not empty
	NoDate     bool          // the 200 of a REGISTER has no Date
}

// Handler is told what comes in.
type Handler interface {
	// Serve answers r. It runs on a read loop: it must not block, and everything that r
	// refers to is gone when it returns, except through r.Keep.
	Serve(r *Request) Answer
	// Closed tells that the TCP connection of p has ended, unless it ends with Run. It must
	// not block.
	Closed(p Path)
}

// Outgoing is a request of the platform: outside any dialog, or a SUBSCRIBE.
type Outgoing struct {
	Method      string // MESSAGE, SUBSCRIBE
	User        string // of Request-URI and To: a device or a channel
	ContentType string
	Body        []byte
	Subscribe   *Subscribe // of a SUBSCRIBE
}

// Subscribe is what a SUBSCRIBE has beside its body [RFC6665 4.1]. The zero Dialog asks for a
// new subscription.
type Subscribe struct {
	Event   string
	Expires int // seconds; 0 ends it
	Dialog  Dialog
}

// Dialog is what keeps requests together that belong together [RFC3261 12]. It is a plain
// value: Response.Dialog is the one to use next.
type Dialog struct {
	CallID              string
	LocalTag, RemoteTag string
	CSeq                uint32 // of the last request
}

// Response is the final answer to an Outgoing request.
type Response struct {
	Code        int
	Reason      string
	ContentType string
	Body        []byte
	RTT         time.Duration // from the first send to the final answer
	Expires     int           // seconds; -1 when absent
	Dialog      Dialog        // of a SUBSCRIBE, with the tag of the peer
}

// What Endpoint.Request returns beside a Response.
var (
	// ErrTimeout: no final answer came within the transaction timeout.
	ErrTimeout = errors.New("no answer in time")
	// ErrNoPath: the connection of the path is gone, or none of our sockets can reach it.
	ErrNoPath = errors.New("no path to the device")
	// ErrClosed: the endpoint is stopping.
	ErrClosed = errors.New("the SIP endpoint is stopping")
)
