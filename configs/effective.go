package configs

import (
	"encoding"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// masked stands where a secret is.
const masked = "********"

// Effective returns c as YAML, every key with the value that counts, secrets masked.
func Effective(c *Config) ([]byte, error) {
	return yaml.MarshalWithOptions(plain(reflect.ValueOf(*c), ""), yaml.IndentSequence(true))
}

// plain turns v, the value of key path, into what the YAML encoder writes as the manual does.
func plain(v reflect.Value, path string) any {
	if t := v.Type(); t == durationType {
		return short(time.Duration(v.Int()))
	} else if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err != nil {
			return err.Error()
		}
		return string(text)
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return plain(v.Elem(), path)
	case reflect.Struct:
		section := yaml.MapSlice{}
		for _, f := range fieldsOf(v.Type()) {
			if strings.HasPrefix(path, "devices.quirks.") && v.FieldByIndex(f.index).IsZero() {
				continue // it overrides nothing
			}
			section = append(section, yaml.MapItem{Key: f.name, Value: plain(v.FieldByIndex(f.index), join(path, f.name))})
		}
		return section
	case reflect.Slice:
		items := make([]any, v.Len())
		for i := range items {
			items[i] = plain(v.Index(i), path+"[]")
		}
		return items
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		section := yaml.MapSlice{}
		for _, k := range keys {
			section = append(section, yaml.MapItem{Key: k.String(), Value: plain(v.MapIndex(k), join(path, k.String()))})
		}
		return section
	case reflect.String:
		return visible(path, v.String())
	}
	return v.Interface()
}

// visible masks s, the value of key path, where it is a secret or holds one.
func visible(path, s string) string {
	secret := strings.HasSuffix(path, ".password") || strings.HasPrefix(path, "sip.auth.devices.")
	switch {
	case s != "" && secret:
		return masked
	case strings.HasSuffix(path, "url"):
		return mask(s)
	}
	return s
}

// mask hides the password within an URL.
func mask(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return masked // what can't be read may hold a password anywhere
	}
	if u.User == nil {
		return s
	}
	if _, has := u.User.Password(); !has {
		return s
	}
	return strings.Replace(s, u.User.String()+"@", u.User.Username()+":"+masked+"@", 1)
}

// short writes a duration as a person does: 1h, not 1h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
