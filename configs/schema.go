package configs

import (
	"encoding"
	"reflect"
	"strings"
	"time"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// field is one key of a section: its name in YAML and the place of its value in the struct.
type field struct {
	name  string
	index []int
	typ   reflect.Type
}

// fieldsOf lists the keys of the section that t is, in the order of the struct; embedded
// structs marked inline add theirs.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case options == "inline":
			for _, in := range fieldsOf(f.Type) {
				in.index = append([]int{i}, in.index...)
				fields = append(fields, in)
			}
		case name != "" && name != "-":
			fields = append(fields, field{name: name, index: []int{i}, typ: f.Type})
		}
	}
	return fields
}

// isSection tells whether t is written as keys of its own, not as one value.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(textType)
}

// keyPaths lists every key below t: list items as key[], the free keys of a map not at all.
func keyPaths(t reflect.Type, path string) []string {
	var keys []string
	for _, f := range fieldsOf(t) {
		key := join(path, f.name)
		keys = append(keys, key)
		inner := f.typ
		if inner.Kind() == reflect.Slice {
			inner, key = inner.Elem(), key+"[]"
		}
		if isSection(inner) {
			keys = append(keys, keyPaths(inner, key)...)
		}
	}
	return keys
}

// join adds name to path.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
