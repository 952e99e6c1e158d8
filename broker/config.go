package broker

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// Config is the part of the configuration below `mqtt`.
type Config struct {
	Embedded Embedded `yaml:"embedded"`
	Links    []Link   `yaml:"links"`
}

// Embedded configures the broker that the program carries in itself.
type Embedded struct {
	Enabled        bool     `yaml:"enabled"`
	Listen         []string `yaml:"listen"` // tcp:// mqtt:// mqtts:// ssl:// ws:// wss://, host:port; port 0: any free one
	TLS            TLS      `yaml:"tls"`
	Users          []User   `yaml:"users"`
	AllowAnonymous bool     `yaml:"allow_anonymous"`
	MaxPacket      int      `yaml:"max_packet"`  // bytes; a larger one closes the connection that sent it
	MaxBacklog     int      `yaml:"max_backlog"` // bytes that wait for one slow client
	Session        Session  `yaml:"session"`
}

// TLS names the files of the embedded broker's certificate; with ClientCA a client needs a
// certificate signed by it.
type TLS struct {
	Cert     string `yaml:"cert"`
	Key      string `yaml:"key"`
	ClientCA string `yaml:"client_ca"`
}

// User may log in to the embedded broker. An empty list of filters allows nothing.
type User struct {
	Name     string   `yaml:"name"`
	Password string   `yaml:"password"` // plain or bcrypt
	Read     []string `yaml:"read"`
	Write    []string `yaml:"write"`
}

// Session bounds what is kept for a client that is away.
type Session struct {
	Expiry time.Duration `yaml:"expiry"`
	Queued int           `yaml:"queued"` // QoS 1 and 2 messages
}

// Link is another MQTT server that the program connects to.
type Link struct {
	Name      string        `yaml:"name"`
	URL       string        `yaml:"url"`
	ClientID  string        `yaml:"client_id"` // empty: gb2mqtt-, the host's name and the link's
	Username  string        `yaml:"username"`
	Password  string        `yaml:"password"`
	TLS       LinkTLS       `yaml:"tls"`
	Keepalive time.Duration `yaml:"keepalive"` // 0: 60 s
	QoS       *int          `yaml:"qos"`       // the highest that is used; absent: 1
	Outbox    Outbox        `yaml:"outbox"`
	Kind      string        `yaml:"kind"`      // mqtt (also when empty)
	Thing     string        `yaml:"thing"`     // of kind aws: template of the thing's name there; empty: {device}
	Direction string        `yaml:"direction"` // of kind aws: both (also when empty), up, down
}

// Outbox bounds the events that wait for a link that is down; the oldest go first.
type Outbox struct {
	MaxAge   time.Duration `yaml:"max_age"`   // 0: 168h
	MaxBytes int           `yaml:"max_bytes"` // 0: 1 GiB
}

// LinkTLS is how a link proves the server's identity and its own.
type LinkTLS struct {
	CA         string `yaml:"ca"` // file; empty: the system's
	Cert       string `yaml:"cert"`
	Key        string `yaml:"key"`
	ServerName string `yaml:"server_name"` // empty: the URL's host
	Insecure   bool   `yaml:"insecure"`    // true: the server's certificate is not looked at
}

// The bounds of what can be configured. Inflight messages are numbered with 16 bits
// [MQTT5 2.2.1]; a packet's length is at most 268,435,455 bytes [MQTT5 1.5.5].
const (
	minPacket  = 1024
	maxPacket  = 268435455
	minBacklog = 64 << 10
	maxQueued  = 65000
	maxExpiry  = 10 * 365 * 24 * time.Hour

	defaultKeepalive = 60 * time.Second

	defaultOutboxAge   = 7 * 24 * time.Hour
	defaultOutboxBytes = 1 << 30
	minOutboxBytes     = 64 << 10
)

// Default returns the configuration that works with none.
func Default() Config {
	return Config{Embedded: Embedded{
		Enabled:    true,
		Listen:     []string{"tcp://127.0.0.1:1883", "ws://127.0.0.1:8083"},
		MaxPacket:  262144,
		MaxBacklog: 8388608,
		Session:    Session{Expiry: 24 * time.Hour, Queued: 10000},
	}}
}

// Validate returns every complaint about c, joined, each worded `key: what is wrong; what is accepted`.
func (c Config) Validate() error {
	var errs complaints
	if c.Embedded.Enabled {
		c.Embedded.validate(&errs)
	} else if len(c.Links) == 0 {
		errs.add("embedded.enabled", "false and there are no links, so nothing could be published; use true or add to mqtt.links")
	}
	names := map[string]bool{embeddedOutbox: true}
	for i, l := range c.Links {
		l.validate(&errs, "links["+strconv.Itoa(i)+"]", names)
	}
	return errors.Join(errs...)
}

type complaints []error

func (e *complaints) add(key, format string, args ...any) {
	*e = append(*e, fmt.Errorf("mqtt."+key+": "+format, args...))
}

func (c Embedded) validate(errs *complaints) {
	if len(c.Listen) == 0 {
		errs.add("embedded.listen", "nothing to listen on; give at least one of tcp:// mqtts:// ws:// wss:// host:port, or set enabled: false")
	}
	for i, s := range c.Listen {
		key := "embedded.listen[" + strconv.Itoa(i) + "]"
		l, err := parseListen(s)
		if err != nil {
			errs.add(key, "%w", err)
			continue
		}
		if l.tls && (c.TLS.Cert == "" || c.TLS.Key == "") {
			errs.add(key, "%q needs a certificate; set mqtt.embedded.tls.cert and .key", s)
		}
		if len(c.Users) == 0 && !c.AllowAnonymous && !l.loopback() {
			errs.add(key, "%q can be reached from other machines, and nobody would have to log in; add mqtt.embedded.users, listen on 127.0.0.1, or set allow_anonymous: true", s)
		}
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		errs.add("embedded.tls", "cert and key go together; name both files")
	}
	for _, f := range []struct{ key, path string }{{"cert", c.TLS.Cert}, {"key", c.TLS.Key}, {"client_ca", c.TLS.ClientCA}} {
		errs.file("embedded.tls."+f.key, f.path)
	}
	names := map[string]bool{}
	for i, u := range c.Users {
		u.validate(errs, "embedded.users["+strconv.Itoa(i)+"]", names)
	}
	if c.MaxPacket < minPacket || c.MaxPacket > maxPacket {
		errs.add("embedded.max_packet", "%d is out of range; use %d to %d bytes", c.MaxPacket, minPacket, maxPacket)
	}
	if c.MaxBacklog < minBacklog {
		errs.add("embedded.max_backlog", "%d is too small; use %d bytes or more", c.MaxBacklog, minBacklog)
	} else if c.MaxBacklog < c.MaxPacket {
		errs.add("embedded.max_backlog", "%d is less than max_packet (%d), so one packet could exceed it; use at least as much", c.MaxBacklog, c.MaxPacket)
	}
	if c.Session.Expiry < 0 || c.Session.Expiry > maxExpiry {
		errs.add("embedded.session.expiry", "%v is out of range; use 0s to %v", c.Session.Expiry, maxExpiry)
	}
	if c.Session.Queued < 1 || c.Session.Queued > maxQueued {
		errs.add("embedded.session.queued", "%d is out of range; use 1 to %d messages", c.Session.Queued, maxQueued)
	}
}

func (u User) validate(errs *complaints, key string, names map[string]bool) {
	switch {
	case u.Name == "":
		errs.add(key+".name", "is empty; give the name that the client logs in with")
	case names[u.Name]:
		errs.add(key+".name", "%q is there twice; a user has one entry", u.Name)
	}
	names[u.Name] = true
	if u.Password == "" {
		errs.add(key+".password", "is empty; give the password, plain or as bcrypt")
	} else if isBcrypt(u.Password) {
		if _, err := bcrypt.Cost([]byte(u.Password)); err != nil {
			errs.add(key+".password", "begins like bcrypt and is none (%v); copy all 60 characters", err)
		}
	}
	for _, list := range []struct {
		key     string
		filters []string
	}{{"read", u.Read}, {"write", u.Write}} {
		for i, f := range list.filters {
			if err := checkFilter(f); err != nil {
				errs.add(key+"."+list.key+"["+strconv.Itoa(i)+"]", "%w", err)
			}
		}
	}
}

func (l Link) validate(errs *complaints, key string, names map[string]bool) {
	switch {
	case l.Name == "":
		errs.add(key+".name", "is empty; give the link a name of its own, it appears in /readyz, metrics and the journal")
	case l.Name == embeddedOutbox:
		errs.add(key+".name", "%q is the embedded broker's; use another name", l.Name)
	case names[l.Name]:
		errs.add(key+".name", "%q is there twice; each link has its own name", l.Name)
	}
	names[l.Name] = true
	u, err := url.Parse(l.URL)
	switch {
	case err != nil || u.Host == "":
		errs.add(key+".url", "%q is not an address; use tcp:// mqtt:// ssl:// mqtts:// ws:// or wss:// and host:port", l.URL)
	case !linkSchemes[u.Scheme]:
		errs.add(key+".url", "%q has the scheme %q; use tcp, mqtt, ssl, mqtts, ws or wss", l.URL, u.Scheme)
	case u.User != nil:
		errs.add(key+".url", "has a user name in it; use the keys username and password")
	}
	switch l.Kind {
	case "", "mqtt":
		if l.Thing != "" {
			errs.add(key+".thing", "is of kind aws only; leave it out")
		}
		if l.Direction != "" {
			errs.add(key+".direction", "is of kind aws only; leave it out")
		}
	case "aws":
		if l.Thing != "" && strings.Count(l.Thing, "{device}") != 1 {
			errs.add(key+".thing", "%q does not name {device} once; use {device}, with text of a thing's name around it", l.Thing)
		}
		if l.Direction != "" && l.Direction != "both" && l.Direction != "up" && l.Direction != "down" {
			errs.add(key+".direction", "%q is unknown; use both, up or down", l.Direction)
		}
	default:
		errs.add(key+".kind", "%q is unknown; use mqtt or aws", l.Kind)
	}
	if l.Keepalive != 0 && (l.Keepalive < time.Second || l.Keepalive > 65535*time.Second) {
		errs.add(key+".keepalive", "%v is out of range; use 1s to 65535s", l.Keepalive)
	}
	if l.QoS != nil && (*l.QoS < 0 || *l.QoS > 2) {
		errs.add(key+".qos", "%d is out of range; use 0, 1 or 2", *l.QoS)
	}
	if o := l.Outbox; o.MaxAge != 0 && (o.MaxAge < time.Minute || o.MaxAge > maxExpiry) {
		errs.add(key+".outbox.max_age", "%v is out of range; use 1m to %v", o.MaxAge, maxExpiry)
	}
	if o := l.Outbox; o.MaxBytes != 0 && o.MaxBytes < minOutboxBytes {
		errs.add(key+".outbox.max_bytes", "%d is too small; use %d bytes or more", o.MaxBytes, minOutboxBytes)
	}
	if l.Password != "" && l.Username == "" {
		errs.add(key+".username", "is empty and there is a password; MQTT 3.1.1 has no password without a user name")
	}
	if (l.TLS.Cert == "") != (l.TLS.Key == "") {
		errs.add(key+".tls", "cert and key go together; name both files")
	}
	for _, f := range []struct{ key, path string }{{"ca", l.TLS.CA}, {"cert", l.TLS.Cert}, {"key", l.TLS.Key}} {
		errs.file(key+".tls."+f.key, f.path)
	}
}

var linkSchemes = map[string]bool{"tcp": true, "mqtt": true, "ssl": true, "mqtts": true, "ws": true, "wss": true}

// file complains about a file that can't be read; an empty path is none.
func (e *complaints) file(key, path string) {
	if path == "" {
		return
	}
	f, err := os.Open(path)
	if err != nil {
		e.add(key, "%w; name a file that this program may read", err)
		return
	}
	_ = f.Close() // only read from
}

// listen is one parsed address of the embedded broker.
type listen struct {
	scheme  string
	address string // host:port
	tls, ws bool
}

func parseListen(s string) (listen, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Port() == "" || (u.Path != "" && u.Path != "/" && u.Path != "/mqtt") || u.RawQuery != "" || u.User != nil {
		return listen{}, fmt.Errorf("%q is not an address to listen on; use tcp:// mqtts:// ws:// or wss:// and host:port", s)
	}
	l := listen{scheme: u.Scheme, address: u.Host}
	switch u.Scheme {
	case "tcp", "mqtt":
	case "ssl", "mqtts":
		l.tls = true
	case "ws":
		l.ws = true
	case "wss":
		l.tls, l.ws = true, true
	default:
		return listen{}, fmt.Errorf("%q has the scheme %q; use tcp, mqtt, ssl, mqtts, ws or wss", s, u.Scheme)
	}
	if _, err := strconv.ParseUint(u.Port(), 10, 16); err != nil {
		return listen{}, fmt.Errorf("%q has the port %s; a port is 0 to 65535", s, u.Port())
	}
	return l, nil
}

// loopback tells whether only programs on this machine reach the address.
func (l listen) loopback() bool {
	host, _, err := net.SplitHostPort(l.address)
	if err != nil {
		return false
	}
	return isLoopback(host)
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
