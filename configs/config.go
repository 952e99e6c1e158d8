// Package configs puts the rooms' configurations together as one YAML file, with its
// defaults and its checks.
//
//	defaults ─▶ gb2mqtt.yaml ─▶ environment ─▶ checks ─▶ Config
//	                 └── every problem, with file and line ──▶ Problems
//
// gb2mqtt.yaml beside this file is the manual: every key, its effect, unit and default.
package configs

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/gb2mqtt/gb2mqtt/broker"
	"github.com/gb2mqtt/gb2mqtt/shadowsync"
	"github.com/gb2mqtt/gb2mqtt/shadowsync/store"
)

// DefaultFile is read when no file is named and the current folder has it.
const DefaultFile = "gb2mqtt.yaml"

// PasswordVariable is the environment's word for sip.auth.password.
const PasswordVariable = "GB2MQTT_SIP_PASSWORD"

// Config is the whole configuration.
type Config struct {
	SIP     SIP               `yaml:"sip"`
	Devices Devices           `yaml:"devices"`
	Media   Media             `yaml:"media"`
	MQTT    broker.Config     `yaml:"mqtt"`
	Topics  Topics            `yaml:"topics"`
	Shadow  shadowsync.Config `yaml:"shadow"`
	Store   store.Config      `yaml:"store"`
	HTTP    HTTP              `yaml:"http"`
	GRPC    GRPC              `yaml:"grpc"`
	Redis   Redis             `yaml:"redis"`
	Limits  Limits            `yaml:"limits"`
	Tenants []any             `yaml:"tenants"`
	Log     Log               `yaml:"log"`

	File string `yaml:"-"` // that it was read from; "" when there was none
}

// Default returns the configuration that works with no file at all.
func Default() *Config {
	return &Config{
		SIP:     defaultSIP(),
		Devices: defaultDevices(),
		Media:   Media{Listen: "0.0.0.0", Ports: "30000-30500"},
		MQTT:    broker.Default(),
		Topics:  Topics{Prefix: "gb28181"},
		Shadow:  shadowsync.Default(),
		Store:   store.Default(),
		HTTP:    HTTP{Listen: "127.0.0.1:8080"},
		Limits:  defaultLimits(),
		Tenants: []any{},
		Log:     Log{Level: "info", Format: "text"},
	}
}

// Load reads the configuration at path over the defaults, and env (os.LookupEnv) over that.
// With an empty path it reads DefaultFile in the current folder, if there is one. The error
// is Problems, complete: everything that is wrong, with file and line.
func Load(path string, env func(string) (string, bool)) (*Config, error) {
	c := Default()
	file := cmp.Or(path, DefaultFile)
	d := &decoder{file: file, lines: map[string]int{}, anchors: map[string]ast.Node{}}
	text, err := os.ReadFile(file)
	switch {
	case err == nil:
		c.File = file
		d.decode(text, c)
	case path == "" && errors.Is(err, fs.ErrNotExist):
		d.file = "defaults"
	default:
		return nil, Problems{{File: file, Text: unreadable(err)}}
	}
	if password, ok := env(PasswordVariable); ok && password != "" {
		c.SIP.Auth.Password = password
	}
	for line := range strings.Lines(messages(c.Validate())) {
		d.locate(strings.TrimSuffix(line, "\n"))
	}
	if len(d.problems) > 0 {
		return nil, d.problems.sorted()
	}
	return c, nil
}

// messages returns the lines of err, empty for none.
func messages(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// unreadable says why a configuration file could not be read, and what to do.
func unreadable(err error) string {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "there is no such file; name one with -c, or leave -c out to start with the defaults"
	}
	return fmt.Sprintf("cannot be read: %v; name a readable YAML file with -c", err)
}

// locate turns a complaint `key: text` into a Problem with the line of that key, or of the
// nearest section above it that the file has.
func (d *decoder) locate(complaint string) {
	key, text, ok := strings.Cut(complaint, ": ")
	if !ok {
		key, text = "", complaint
	}
	p := Problem{File: d.file, Key: key, Text: text}
	if d.file != "defaults" {
		p.Line = 1
		for at := key; at != ""; at = at[:max(0, strings.LastIndexAny(at, ".["))] {
			if line, ok := d.lines[at]; ok {
				p.Line = line
				break
			}
		}
	}
	d.problems = append(d.problems, p)
}
