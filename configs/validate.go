package configs

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// complainer takes one complaint about the value of key: what is wrong; what is accepted.
type complainer func(key, format string, args ...any)

// Validate returns every complaint about c, joined, each worded `key: what is wrong; what
// is accepted`: each room's about its own part, then those between the rooms.
func (c *Config) Validate() error {
	var errs []error
	complain := func(key, format string, args ...any) {
		errs = append(errs, errors.New(key+": "+fmt.Sprintf(format, args...)))
	}
	errs = append(errs, c.validateRooms()...)
	c.Devices.validate(complain)
	c.Media.validate(complain)
	c.Topics.validate(complain)
	c.HTTP.validate(complain)
	c.Limits.validate(complain)
	c.Log.validate(complain)
	c.validateLater(complain)
	c.validateListeners(complain)
	c.validatePrefixes(complain)
	return errors.Join(errs...)
}

// validateLater refuses what this version has no function for: a key that is accepted and
// does nothing would be a silent fault.
func (c *Config) validateLater(complain complainer) {
	const later = "is not supported by this version; leave it empty"
	if c.Redis.URL != "" {
		complain("redis.url", "%q "+later, mask(c.Redis.URL))
	}
	if c.GRPC.Listen != "" {
		complain("grpc.listen", "%q "+later, c.GRPC.Listen)
	}
	if len(c.Tenants) > 0 {
		complain("tenants", "a list of %d "+later, len(c.Tenants))
	}
}

// listener is a socket that the configuration asks for.
type listener struct {
	key     string
	network string // udp, tcp
	host    string
	first   uint16
	last    uint16 // the same as first, but for a range
}

// listeners lists the sockets of c whose addresses can be read; the others are complained
// about by their rooms.
func (c *Config) listeners() []listener {
	var all []listener
	add := func(key, network, hostport string) {
		host, port, err := net.SplitHostPort(hostport)
		if err != nil {
			return
		}
		if n, err := strconv.ParseUint(port, 10, 16); err == nil && n != 0 { // 0: any free port
			all = append(all, listener{key, network, host, uint16(n), uint16(n)})
		}
	}
	for i, l := range c.SIP.Listen {
		if u, err := url.Parse(l); err == nil {
			add(fmt.Sprintf("sip.listen[%d]", i), u.Scheme, u.Host)
		}
	}
	if c.MQTT.Embedded.Enabled {
		for i, l := range c.MQTT.Embedded.Listen {
			if u, err := url.Parse(l); err == nil {
				add(fmt.Sprintf("mqtt.embedded.listen[%d]", i), "tcp", u.Host)
			}
		}
	}
	add("http.listen", "tcp", c.HTTP.Listen)
	if first, last, err := c.Media.PortRange(); err == nil {
		all = append(all,
			listener{"media.ports", "udp", c.Media.Listen, first, last},
			listener{"media.ports", "tcp", c.Media.Listen, first, last})
	}
	return all
}

// validateListeners finds two listeners that want one port.
func (c *Config) validateListeners(complain complainer) {
	all := c.listeners()
	for i, b := range all {
		for _, a := range all[:i] {
			if a.network != b.network || a.last < b.first || b.last < a.first || !sameHost(a.host, b.host) {
				continue
			}
			if b.first != b.last {
				complain(b.key, "%s holds port %d of %s; use ports that nothing else listens on", c.Media.Ports, a.first, a.key)
			} else {
				complain(b.key, "%s port %d is taken by %s; use another port", b.network, b.first, a.key)
			}
			break
		}
	}
}

// sameHost tells whether two listeners meet: on one address, or one of them on all.
func sameHost(a, b string) bool {
	if a == "localhost" {
		a = "127.0.0.1"
	}
	if b == "localhost" {
		b = "127.0.0.1"
	}
	return a == b || isAny(a) || isAny(b)
}

func isAny(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// validatePrefixes keeps the topics of shadows and of the bridge apart.
func (c *Config) validatePrefixes(complain complainer) {
	t, s := c.Topics.Prefix+"/", c.Shadow.Prefix+"/"
	if strings.HasPrefix(t, s) || strings.HasPrefix(s, t) {
		complain("topics.prefix", "%q and shadow.prefix %q lie within each other; use prefixes of which neither begins the other",
			c.Topics.Prefix, c.Shadow.Prefix)
	}
}
