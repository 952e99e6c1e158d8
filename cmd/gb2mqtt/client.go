package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/spf13/cobra"

	"github.com/gb2mqtt/gb2mqtt/broker"
	"github.com/gb2mqtt/gb2mqtt/configs"
)

// connectTimeout bounds how long a person waits to learn that nobody answers.
const connectTimeout = 5 * time.Second

// clientFlags say how a sub-command reaches the bridge.
type clientFlags struct {
	global   *globalFlags
	url      string
	user     string
	password string
	json     bool
}

// add puts the flags on cmd and all of its sub-commands.
func (f *clientFlags) add(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.url, "url", "", "MQTT server, as in mqtt://user:pass@host:1883 (default: the configuration's)")
	flags.StringVarP(&f.user, "user", "u", "", "MQTT user (default: the first of the configuration's with a plain password)")
	flags.StringVarP(&f.password, "password", "p", "", "its password")
	flags.BoolVar(&f.json, "json", false, "print JSON for machines")
}

// message is what arrives on a topic.
type message struct {
	Topic    string
	Payload  []byte
	Retained bool // it was there before the subscription
}

// client is a connection to the MQTT server that the bridge speaks through.
type client struct {
	mq     mqtt.Client
	url    string // without credentials
	topics string // topics.prefix
	shadow string // shadow.prefix
	lost   chan error
}

// address is where to connect, and as whom.
type address struct {
	url, user, password string
	hint                string // what to do when nobody answers
}

// connect reaches the MQTT server that the flags, else the configuration, name.
func (f *clientFlags) connect(ctx context.Context) (*client, error) {
	conf, err := f.global.load()
	if err != nil {
		return nil, err
	}
	at, err := f.address(conf)
	if err != nil {
		return nil, err
	}
	return dial(ctx, at, conf)
}

// dial connects to the MQTT server at an address, which carries the topics of conf.
func dial(ctx context.Context, at address, conf *configs.Config) (*client, error) {
	c := &client{url: at.url, topics: conf.Topics.Prefix, shadow: conf.Shadow.Prefix, lost: make(chan error, 1)}
	opts := mqtt.NewClientOptions().
		AddBroker(at.url).
		SetClientID("gb2mqtt-cli-" + rand.Text()[:10]).
		SetUsername(at.user).SetPassword(at.password).
		SetConnectTimeout(connectTimeout).
		SetAutoReconnect(false). // one question, one connection: a lost one is told, not mended
		SetOrderMatters(true).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) {
			select {
			case c.lost <- err:
			default: // told already
			}
		})
	c.mq = mqtt.NewClient(opts)
	if err := wait(ctx, c.mq.Connect(), connectTimeout); err != nil {
		c.mq.Disconnect(0)
		return nil, connectError(at, err)
	}
	return c, nil
}

// connectError says why the server could not be reached, and what to do.
func connectError(at address, err error) error {
	var dial *net.OpError
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case strings.Contains(strings.ToLower(err.Error()), "not authori"), strings.Contains(strings.ToLower(err.Error()), "bad user name"):
		who := cmp.Or(at.user, "nobody")
		return fmt.Errorf("%s refused user %q: %w; name one with --user and --password", at.url, who, err)
	case errors.As(err, &dial), errors.Is(err, errTimeout):
		return fmt.Errorf("no MQTT server answers at %s: %w; %s", at.url, err, at.hint)
	}
	return fmt.Errorf("connect to %s: %w; %s", at.url, err, at.hint)
}

// address finds the server: --url, else the embedded broker's first listener without TLS,
// else the first link.
func (f *clientFlags) address(conf *configs.Config) (address, error) {
	if f.url != "" {
		return f.named(f.url)
	}
	const start = "is the bridge running? start it with: gb2mqtt run"
	if e := conf.MQTT.Embedded; e.Enabled {
		for _, l := range e.Listen {
			u, err := url.Parse(l)
			if err != nil || u.Port() == "0" || u.Scheme != "tcp" && u.Scheme != "mqtt" && u.Scheme != "ws" {
				continue
			}
			if ip := net.ParseIP(u.Hostname()); u.Hostname() == "" || ip != nil && ip.IsUnspecified() {
				u.Host = net.JoinHostPort("127.0.0.1", u.Port())
			}
			at := address{url: u.String(), user: f.user, password: f.password, hint: start}
			if f.user == "" && len(e.Users) > 0 {
				if at.user, at.password = plainUser(e.Users); at.user == "" {
					return address{}, usagef("the configuration holds no user with a plain password; name one with --user and --password")
				}
			}
			return at, nil
		}
	}
	if len(conf.MQTT.Links) > 0 {
		l := conf.MQTT.Links[0]
		at, err := f.named(l.URL)
		if f.user == "" {
			at.user, at.password = cmp.Or(l.Username, at.user), cmp.Or(l.Password, at.password)
		}
		return at, err
	}
	return address{}, usagef("the configuration names no MQTT server to reach without TLS; name one with --url mqtt://host:1883")
}

// named reads the URL of a server; user and password flags come before its own.
func (f *clientFlags) named(raw string) (address, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return address{}, usagef("--url %q is not the address of an MQTT server; use mqtt://host:1883, mqtts://, ws:// or wss://", raw)
	}
	switch u.Scheme {
	case "tcp", "mqtt", "ssl", "mqtts", "ws", "wss":
	default:
		return address{}, usagef("--url %q has the scheme %q; use mqtt, mqtts, ws or wss", raw, u.Scheme)
	}
	at := address{user: u.User.Username(), hint: "is the server running, and the address right?"}
	at.password, _ = u.User.Password()
	if f.user != "" {
		at.user, at.password = f.user, f.password
	}
	u.User = nil
	at.url = u.String()
	return at, nil
}

// plainUser returns the first user whose password can be sent: a bcrypt hash can't.
func plainUser(users []broker.User) (name, password string) {
	for _, u := range users {
		if u.Password != "" && !strings.HasPrefix(u.Password, "$2") {
			return u.Name, u.Password
		}
	}
	return "", ""
}

var errTimeout = errors.New("no answer in time")

// wait ends with the token, the time or ctx, whichever comes first.
func wait(ctx context.Context, t mqtt.Token, most time.Duration) error {
	select {
	case <-t.Done():
		return t.Error()
	case <-time.After(most):
		return fmt.Errorf("%w (%v)", errTimeout, most)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// newArrived makes a channel for subscribe.
func newArrived() chan message { return make(chan message, 1024) }

// subscribe sends what arrives for filters to arrived, in order.
func (c *client) subscribe(ctx context.Context, arrived chan<- message, filters ...string) error {
	wanted := make(map[string]byte, len(filters))
	for _, f := range filters {
		wanted[f] = 1
	}
	token := c.mq.SubscribeMultiple(wanted, func(_ mqtt.Client, m mqtt.Message) {
		select {
		case arrived <- message{m.Topic(), m.Payload(), m.Retained()}:
		case <-ctx.Done(): // nobody reads any more
		}
	})
	if err := wait(ctx, token, connectTimeout); err != nil {
		return fmt.Errorf("subscribe to %s at %s: %w", strings.Join(filters, ", "), c.url, err)
	}
	for filter, code := range token.(*mqtt.SubscribeToken).Result() {
		if code > 2 { // [MQTT-3.9.3-2] 0x80 is a refusal
			return fmt.Errorf("%s lets this user not read %s; use a user whose read filters hold it (--user)", c.url, filter)
		}
	}
	return nil
}

// publish sends v as JSON (or a []byte as it is) to topic.
func (c *client) publish(ctx context.Context, topic string, v any) error {
	payload, ok := v.([]byte)
	if !ok {
		var err error
		if payload, err = json.Marshal(v); err != nil {
			return fmt.Errorf("encode the message for %s: %w", topic, err)
		}
	}
	if err := wait(ctx, c.mq.Publish(topic, 1, false, payload), connectTimeout); err != nil {
		return fmt.Errorf("publish to %s at %s: %w", topic, c.url, err)
	}
	return nil
}

// next returns the next message from arrived; errTimeout when none comes before deadline
// ends.
func (c *client) next(ctx context.Context, arrived <-chan message, deadline <-chan time.Time) (message, error) {
	select {
	case m := <-arrived:
		return m, nil
	case err := <-c.lost:
		return message{}, fmt.Errorf("the connection to %s broke: %w; is the bridge still running?", c.url, err)
	case <-deadline:
		return message{}, errTimeout
	case <-ctx.Done():
		return message{}, ctx.Err()
	}
}

// answer is what an accepted or rejected message has in common.
type answer struct {
	ClientToken string          `json:"clientToken"`
	Code        int             `json:"code"`
	Message     string          `json:"message"`
	Result      json.RawMessage `json:"result"`
	Version     int64           `json:"version"`
}

// rejection is a request that the bridge refused.
type rejection struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (r rejection) Error() string { return fmt.Sprintf("%d %s", r.Code, r.Message) }

// ask publishes body, which holds token as its clientToken, to topic and waits for the
// answer below it that carries the token. arrived must be subscribed to topic/accepted and
// topic/rejected.
func (c *client) ask(ctx context.Context, arrived <-chan message, topic, token string, body any, most time.Duration) (message, error) {
	if err := c.publish(ctx, topic, body); err != nil {
		return message{}, err
	}
	deadline := time.After(most)
	for {
		m, err := c.next(ctx, arrived, deadline)
		if errors.Is(err, errTimeout) {
			return m, fmt.Errorf("%s: no answer within %v; is the bridge running there, and may this user write the topic?", topic, most)
		}
		if err != nil {
			return m, err
		}
		var a answer
		if json.Unmarshal(m.Payload, &a) != nil || a.ClientToken != token {
			continue // another's
		}
		switch m.Topic {
		case topic + "/accepted":
			return m, nil
		case topic + "/rejected":
			return m, rejection{a.Code, a.Message}
		}
	}
}

// close ends the connection after what is on its way.
func (c *client) close() { c.mq.Disconnect(250) }

// newToken marks a request, so that its answer is known.
func newToken() string { return "cli-" + rand.Text() }
