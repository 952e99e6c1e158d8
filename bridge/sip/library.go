package sip

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ghettovoice/gosip/log"
	"github.com/ghettovoice/gosip/sip"
	"github.com/ghettovoice/gosip/sip/parser"
)

// library parses b with gosip, which can panic on what it does not expect.
func library(p *parser.PacketParser, b []byte) (msg sip.Message, err error) {
	defer func() {
		if v := recover(); v != nil {
			msg, err = nil, fmt.Errorf("parser panicked: %v", v)
		}
	}()
	return p.ParseMessage(skipIdle(b))
}

var errNotRequest = errors.New("not a request with From and To")

// fallback reads From and To of b, which the scan could not, with the library.
func (m *inbound) fallback(p *parser.PacketParser, b []byte) (err error) {
	msg, err := library(p, b)
	if err != nil {
		return err
	}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("address: %v", v)
		}
	}()
	req, ok := msg.(sip.Request)
	if !ok {
		return errNotRequest
	}
	from, okFrom := req.From()
	to, okTo := req.To()
	if !okFrom || !okTo {
		return errNotRequest
	}
	m.FromUser, m.FromTag = textOf(from.Address.User()), paramOf(from.Params, "tag")
	m.ToUser, m.ToTag = textOf(to.Address.User()), paramOf(to.Params, "tag")
	return nil
}

func textOf(s sip.MaybeString) []byte {
	if s == nil {
		return nil
	}
	return []byte(s.String())
}

// paramOf finds a parameter; the library minds the case of its name.
func paramOf(params sip.Params, name string) []byte {
	if params == nil {
		return nil
	}
	for _, k := range params.Keys() {
		if strings.EqualFold(k, name) {
			v, _ := params.Get(k)
			return unquote(textOf(v))
		}
	}
	return nil
}

// silent is a logger for gosip: it logs each step of each message, and its fields alone cost
// more than the work.
type silent struct{}

func (silent) Print(...any)                           {}
func (silent) Printf(string, ...any)                  {}
func (silent) Trace(...any)                           {}
func (silent) Tracef(string, ...any)                  {}
func (silent) Debug(...any)                           {}
func (silent) Debugf(string, ...any)                  {}
func (silent) Info(...any)                            {}
func (silent) Infof(string, ...any)                   {}
func (silent) Warn(...any)                            {}
func (silent) Warnf(string, ...any)                   {}
func (silent) Error(...any)                           {}
func (silent) Errorf(string, ...any)                  {}
func (silent) Fatal(...any)                           {}
func (silent) Fatalf(string, ...any)                  {}
func (silent) Panic(...any)                           {}
func (silent) Panicf(string, ...any)                  {}
func (s silent) WithPrefix(string) log.Logger         { return s }
func (silent) Prefix() string                         { return "" }
func (s silent) WithFields(map[string]any) log.Logger { return s }
func (silent) Fields() log.Fields                     { return nil }
func (silent) SetLevel(uint32)                        {}
