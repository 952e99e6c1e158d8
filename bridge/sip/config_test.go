package sip

import (
	"strings"
	"testing"
	"time"
)

func TestDefaultConfigIsValid(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
}

func TestConfigComplaintsNameKeyValueAndWhatIsAccepted(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.ServerID = "3402000000" }, `sip.server_id: "3402000000" has 10 digits; a GB/T 28181 ID has 20`},
		{func(c *Config) { c.ServerID = "x" }, `sip.server_id: "x" is not all digits; a GB/T 28181 ID has 20 digits`},
		{func(c *Config) { c.Domain = `a"b` }, `sip.domain: "a\"b" is not a SIP domain; use the first 10 digits of server_id, or a host name`},
		{func(c *Config) { c.Listen = nil }, `sip.listen: nothing to listen on; give at least one of udp://host:port, tcp://host:port`},
		{func(c *Config) { c.Listen[1] = "tls://a:1" }, `sip.listen[1]: "tls://a:1" has the transport "tls"; use udp or tcp`},
		{func(c *Config) { c.Listen[0] = "udp://0.0.0.0" }, `sip.listen[0]: "udp://0.0.0.0" has no port; use udp://host:5060`},
		{func(c *Config) { c.Listen[0] = "udp://0.0.0.0:70000" }, `sip.listen[0]: "udp://0.0.0.0:70000" has the port 70000; a port is 0 to 65535`},
		{func(c *Config) { c.Listen[0] = "5060" }, `sip.listen[0]: "5060" is not an address to listen on; use udp://host:port or tcp://host:port`},
		{func(c *Config) { c.Advertise = "a b" }, `sip.advertise: "a b" is not an address; use host or host:port that devices can reach`},
		{func(c *Config) { c.Advertise = "a:b" }, `sip.advertise: "a:b" is not an address; use host or host:port that devices can reach`},
		{func(c *Config) { c.TransactionTimeout = time.Minute }, `sip.transaction_timeout: 1m0s is out of range; use 100ms to 32s`},
		{func(c *Config) { c.MaxBody = 1 << 30 }, `limits.body: 1073741824 is out of range; use 1 to 16777216 bytes`},
	} {
		cfg := Default()
		c.change(&cfg)
		if err := cfg.Validate(); err == nil || err.Error() != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
}

func TestConfigComplaintsComeTogether(t *testing.T) {
	err := Config{}.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	if n := len(strings.Split(err.Error(), "\n")); n != 4 {
		t.Errorf("got %d complaints, want 4:\n%v", n, err)
	}
}

func TestAdvertiseTakesNamesAndAddresses(t *testing.T) {
	for in, want := range map[string]advertised{
		"":                 {},
		"10.0.0.1":         {"10.0.0.1", 0},
		"10.0.0.1:5070":    {"10.0.0.1", 5070},
		"sip.example.com":  {"sip.example.com", 0},
		"2001:db8::1":      {"[2001:db8::1]", 0},
		"[2001:db8::1]":    {"[2001:db8::1]", 0},
		"[2001:db8::1]:99": {"[2001:db8::1]", 99},
	} {
		if got, err := parseAdvertise(in); err != nil || got != want {
			t.Errorf("%q: got %+v, %v; want %+v", in, got, err, want)
		}
	}
}
