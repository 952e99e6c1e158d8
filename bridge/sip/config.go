package sip

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Config is the part of the configuration below `sip` that this room acts on.
type Config struct {
	ServerID           string        `yaml:"server_id"`           // 20 digits: the platform's own ID
	Domain             string        `yaml:"domain"`              // SIP domain and digest realm
	Listen             []string      `yaml:"listen"`              // udp://host:port, tcp://host:port
	Advertise          string        `yaml:"advertise"`           // host[:port] for Via and Contact; empty: local address of the route
	TransactionTimeout time.Duration `yaml:"transaction_timeout"` // a request unanswered for this long is lost
	MaxBody            int           `yaml:"-"`                   // bytes; limits.body; 0: 65,535
}

// The bounds of TransactionTimeout: under a round trip's worth every request is lost, over
// Timer F [RFC3261 17.1.2.2] none is sent any more.
const (
	minTransactionTimeout = 100 * time.Millisecond
	maxTransactionTimeout = 32 * time.Second
)

// maxBodyLimit keeps a TCP connection's buffer in bounds.
const maxBodyLimit = 16 << 20

// Default returns the configuration that works with none.
func Default() Config {
	return Config{
		ServerID:           "34020000002000000001",
		Domain:             "3402000000",
		Listen:             []string{"udp://0.0.0.0:5060", "tcp://0.0.0.0:5060"},
		TransactionTimeout: 4 * time.Second,
		MaxBody:            65535,
	}
}

// Validate returns every complaint about c, joined, each worded `key: what is wrong; what is accepted`.
func (c Config) Validate() error {
	var errs []error
	complain := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("sip."+key+": "+format, args...))
	}
	switch {
	case !digits(c.ServerID):
		complain("server_id", "%q is not all digits; a GB/T 28181 ID has 20 digits", c.ServerID)
	case len(c.ServerID) != 20:
		complain("server_id", "%q has %d digits; a GB/T 28181 ID has 20", c.ServerID, len(c.ServerID))
	}
	if !isDomain(c.Domain) {
		complain("domain", "%q is not a SIP domain; use the first 10 digits of server_id, or a host name", c.Domain)
	}
	if len(c.Listen) == 0 {
		complain("listen", "nothing to listen on; give at least one of udp://host:port, tcp://host:port")
	}
	for i, l := range c.Listen {
		if _, _, err := parseListen(l); err != nil {
			complain("listen["+strconv.Itoa(i)+"]", "%w", err)
		}
	}
	if _, err := parseAdvertise(c.Advertise); err != nil {
		complain("advertise", "%w", err)
	}
	if c.TransactionTimeout < minTransactionTimeout || c.TransactionTimeout > maxTransactionTimeout {
		complain("transaction_timeout", "%v is out of range; use %v to %v", c.TransactionTimeout, minTransactionTimeout, maxTransactionTimeout)
	}
	if c.MaxBody < 0 || c.MaxBody > maxBodyLimit {
		errs = append(errs, fmt.Errorf("limits.body: %d is out of range; use 1 to %d bytes", c.MaxBody, maxBodyLimit))
	}
	return errors.Join(errs...)
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// isDomain accepts what can stand behind the @ of a SIP URI and within a quoted realm.
func isDomain(s string) bool {
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '-' || c == '_') {
			return false
		}
	}
	return s != "" && len(s) <= 255
}

// parseListen reads udp://host:port or tcp://host:port; the host is an IP address, a name,
// or empty for all addresses.
func parseListen(s string) (Network, string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return 0, "", fmt.Errorf("%q is not an address to listen on; use udp://host:port or tcp://host:port", s)
	}
	var n Network
	switch u.Scheme {
	case "udp":
		n = UDP
	case "tcp":
		n = TCP
	default:
		return 0, "", fmt.Errorf("%q has the transport %q; use udp or tcp", s, u.Scheme)
	}
	if p := u.Port(); p == "" {
		return 0, "", fmt.Errorf("%q has no port; use %s://host:5060", s, u.Scheme)
	} else if _, err := strconv.ParseUint(p, 10, 16); err != nil {
		return 0, "", fmt.Errorf("%q has the port %s; a port is 0 to 65535", s, p)
	}
	return n, u.Host, nil
}

// advertised is where devices reach us: an empty host is the local address of the route, a
// port of 0 that of the socket.
type advertised struct {
	host string // IPv6 in brackets
	port uint16
}

func parseAdvertise(s string) (advertised, error) {
	if s == "" {
		return advertised{}, nil
	}
	bad := fmt.Errorf("%q is not an address; use host or host:port that devices can reach", s)
	if ip, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return advertised{host: uriHost(ip)}, nil
	}
	host, port, err := s, "0", error(nil)
	if strings.Contains(s, ":") {
		if host, port, err = net.SplitHostPort(s); err != nil {
			return advertised{}, bad
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return advertised{}, bad
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return advertised{host: uriHost(ip), port: uint16(n)}, nil
	}
	if !isDomain(host) {
		return advertised{}, bad
	}
	return advertised{host: host, port: uint16(n)}, nil
}

// uriHost writes ip as it stands in a SIP URI.
func uriHost(ip netip.Addr) string {
	ip = ip.Unmap()
	if ip.Is6() {
		return "[" + ip.WithZone("").String() + "]"
	}
	return ip.String()
}
