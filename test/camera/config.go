package camera

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Config says what a simulated device is and how well it behaves. Zero durations, texts
// and counts mean the defaults named beside them.
type Config struct {
	ID        string // 20 digits
	Password  string
	Server    string // udp://host:port or tcp://host:port; host:port alone goes by Transport
	ServerID  string // the platform's 20 digits
	Domain    string // SIP domain; the first 10 digits of ServerID
	Transport string // udp or tcp; what Server's scheme says, else udp
	Local     string // ip or ip:port to send from; any

	Channels     []Channel
	Name         string // "Simulated camera"
	Manufacturer string // "gbsim"
	Model        string // "SIM-1"
	Firmware     string // "V1.0.0"
	Edition      string // "2016" or "2022": what it knows and how it meets the rest; empty: all of both
	GBVersion    string // X-GB-Ver, "2.0" or "3.0"; empty: 3.0 for the 2022 edition, else not sent [GB28181-2022 Annex I]
	Encoding     string // gb2312, gb18030 or utf-8; empty: gb18030 for the 2022 edition, else gb2312

	Keepalive time.Duration // between two keepalives; 0: none but those asked for
	Expires   time.Duration // asked for in REGISTER; 3600s
	Retry     time.Duration // wait after a failed registration or a lost connection; 10s
	Timeout   time.Duration // a request without an answer is lost after this; 11.5s: sends at 0, 0.5, 1.5, 3.5, 7.5

	Records          int           // recordings of each channel, 0…10000; the newest ends when the device begins
	RecordLength     time.Duration // of each; 1h
	RecordsPerPacket int           // items in one RecordInfo packet; 4
	Cards            int           // SD cards, 0…8
	FormatTime       time.Duration // of formatting one; 3s

	CatalogPerPacket int  // items in one Catalog packet; 4
	LieSumNum        int  // SumNum that is told instead of the true one; 0: the truth
	Shuffle          bool // Catalog packets go out in any order
	Repeat           bool // each Catalog packet goes out twice, as two requests

	Loss          float64       // share of own sent and received datagrams that is dropped, 0…1; UDP only
	Seed          uint64        // of the dice that decide which; 0: other ones each time
	AnswerDelay   time.Duration // before a request's SIP answer
	ResponseDelay time.Duration // before a Query's or Control's Response
	Reboot        time.Duration // how long TeleBoot keeps the device away; 2s
	Silent        bool          // begins as SetSilent(true)
	Stubborn      bool          // does not register again when its keepalive is refused

	RefuseSubscribe  map[string]int              // CmdType of a SUBSCRIBE's Query -> the SIP code that refuses it (403, 405, 489 …)
	SubscriptionMost time.Duration               // the longest Expires that is granted; 0: what is asked for
	Places           func(now time.Time) []Place // where the device and its channels are; nil: the device goes round a circle

	Unknown   Unknown                  // what an unknown CmdType gets
	Refuse    func(cmd string) bool    // true: this CmdType, or Control element (GuardCmd …), gets Result ERROR
	OnRequest func(r *Request) bool    // sees every new request first; true: it is dealt with, answered or not. Must not wait for the device
	Print     func(line string)        // told of every message that came, in one line; must not block
	OnCommand func(cmd, target string) // told of each Control element carried out; must not block

	Quirks []Quirk // what it does otherwise than the standard

	Log *slog.Logger // nil: silent
}

// Channel is one video source of the device, as its Catalog lists it.
type Channel struct {
	ID        string // 20 digits, or 2-8 for a region
	Name      string
	Status    string // ON when empty
	PTZType   int    // 1 dome … 7 [GB28181-2022 A.2.1.9]; 0: left out
	Longitude float64
	Latitude  float64

	Parent        string // ParentID: one or more IDs joined by "/"; the device when empty
	Parental      bool   // it has children
	CivilCode     string // the first six digits of the ID when empty
	BusinessGroup string // BusinessGroupID, of a virtual organisation or what is in one
}

// camera reports whether c is more than a node of the tree: neither a region nor a system, a
// business group (215) or a virtual organisation (216) [GB28181-2022 Annex J].
func (c Channel) camera() bool { return len(c.ID) == 20 && c.ID[10] != '2' }

// kind is the type code of c's ID, "" where it has none [GB28181-2022 E.1].
func (c Channel) kind() string {
	if len(c.ID) != 20 {
		return ""
	}
	return c.ID[10:13]
}

// Unknown is how a device meets a CmdType that it does not know.
type Unknown uint8

// What is done about an unknown CmdType.
const (
	UnknownUsual Unknown = iota // as devices of the edition do: 400 in 2016, else Result ERROR
	UnknownError                // 200, then a Response with Result ERROR
	Unknown400                  // SIP 400
	UnknownQuiet                // 200 and nothing more
)

// defaults fills what was left out and checks the rest. All complaints come at once.
func (c Config) withDefaults() (Config, error) {
	var bad []error
	complain := func(format string, a ...any) { bad = append(bad, fmt.Errorf(format, a...)) }

	if !isID(c.ID) {
		complain("device ID %q: a GB/T 28181 ID has 20 digits", c.ID)
	}
	if !isID(c.ServerID) {
		complain("server ID %q: a GB/T 28181 ID has 20 digits", c.ServerID)
	} else if c.Domain == "" {
		c.Domain = c.ServerID[:10]
	}
	if err := c.address(); err != nil {
		bad = append(bad, err)
	}
	if c.Edition != "" && c.Edition != Edition2016 && c.Edition != Edition2022 {
		complain("edition %q: 2016 and 2022 are known, or none for both", c.Edition)
	}
	if err := c.quirky(); err != nil {
		bad = append(bad, err)
	}
	c.ofEdition()
	switch c.Encoding = strings.ToLower(c.Encoding); c.Encoding {
	case "gb2312", "gb18030", "utf-8":
	default:
		complain("encoding %q: gb2312, gb18030 and utf-8 are known", c.Encoding)
	}
	if c.Loss < 0 || c.Loss > 1 {
		complain("loss %v: a share between 0 and 1 is wanted", c.Loss)
	}
	if c.Records < 0 || c.Records > recordsMost {
		complain("records %d: 0 to %d of each channel are wanted", c.Records, recordsMost)
	}
	if c.Cards < 0 || c.Cards > cardsMost {
		complain("cards %d: 0 to %d are wanted", c.Cards, cardsMost)
	}
	for _, v := range []struct {
		name string
		is   time.Duration
	}{{"keepalive", c.Keepalive}, {"expires", c.Expires}, {"retry", c.Retry}, {"timeout", c.Timeout},
		{"answer delay", c.AnswerDelay}, {"response delay", c.ResponseDelay}, {"reboot", c.Reboot},
		{"record length", c.RecordLength}, {"format time", c.FormatTime}, {"longest subscription", c.SubscriptionMost}} {
		if v.is < 0 {
			complain("%s %v is negative; use 0 for the default or a duration such as 60s", v.name, v.is)
		}
	}
	orDefault(&c.Name, "Simulated camera")
	orDefault(&c.Manufacturer, "gbsim")
	orDefault(&c.Model, "SIM-1")
	orDefault(&c.Firmware, "V1.0.0")
	orDefault(&c.Expires, time.Hour)
	orDefault(&c.Retry, 10*time.Second)
	orDefault(&c.Timeout, 11500*time.Millisecond)
	orDefault(&c.RecordLength, time.Hour)
	orDefault(&c.RecordsPerPacket, 4)
	orDefault(&c.FormatTime, 3*time.Second)
	orDefault(&c.CatalogPerPacket, 4)
	orDefault(&c.Reboot, 2*time.Second)
	for cmd, code := range c.RefuseSubscribe {
		if !slices.Contains(subscriptionKinds, cmd) || code < 300 || code > 699 {
			complain("refused subscription %q with %d: one of %q and a code of 300 to 699 are wanted", cmd, code, subscriptionKinds)
		}
	}
	if c.CatalogPerPacket < 0 {
		complain("%d channels in a Catalog packet; 1 or more are wanted", c.CatalogPerPacket)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Channels = slices.Clone(c.Channels)
	for i := range c.Channels {
		orDefault(&c.Channels[i].Status, "ON")
	}
	return c, errors.Join(bad...)
}

// address splits Server into Transport and host:port.
func (c *Config) address() error {
	if scheme, _, ok := strings.Cut(c.Server, "://"); ok {
		u, err := url.Parse(c.Server)
		if err != nil {
			return fmt.Errorf("server %q: %w; use udp://host:port or tcp://host:port", c.Server, err)
		}
		c.Server = u.Host
		orDefault(&c.Transport, strings.ToLower(scheme))
	}
	orDefault(&c.Transport, "udp")
	if c.Transport != "udp" && c.Transport != "tcp" {
		return fmt.Errorf("transport %q: udp and tcp are known", c.Transport)
	}
	if c.Server != "" && !strings.Contains(c.Server, ":") {
		c.Server += ":5060"
	}
	if _, port, err := net.SplitHostPort(c.Server); err != nil || port == "" {
		return fmt.Errorf("server %q: use udp://host:port or tcp://host:port", c.Server)
	}
	return nil
}

// orDefault sets what is still zero.
func orDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// isID reports whether s is 20 digits.
func isID(s string) bool {
	return len(s) == 20 && strings.Trim(s, "0123456789") == ""
}
