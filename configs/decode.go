package configs

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// decoder fills a Config from a YAML (or JSON) file. It goes on after a problem, so that
// one run shows every mistake, and remembers on which line each key stands.
type decoder struct {
	file     string
	lines    map[string]int      // key path -> line
	anchors  map[string]ast.Node // seen so far: an alias can't reach into itself
	known    []string            // every key path of the schema
	problems Problems
}

// decode reads text into the struct that into points to. Keys that the text leaves out, or
// leaves empty, keep the value they have.
func (d *decoder) decode(text []byte, into any) {
	v := reflect.ValueOf(into).Elem()
	d.known = keyPaths(v.Type(), "")
	// Duplicates are this decoder's to report: the parser would stop at the first.
	file, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.syntax(err)
		return
	}
	for i, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if i > 0 {
			d.complain(doc.Body, "", "a second YAML document begins here; the configuration is one document, remove the ---")
			return
		}
		d.value(doc.Body, v, "")
	}
}

func (d *decoder) syntax(err error) {
	var at yaml.Error
	if !errors.As(err, &at) {
		d.problems = append(d.problems, Problem{File: d.file, Line: 1, Text: "not YAML: " + err.Error()})
		return
	}
	line := 1
	if t := at.GetToken(); t != nil && t.Position != nil {
		line = t.Position.Line
	}
	text := "not YAML: " + at.GetMessage() + "; sections are indented by blanks, text with special characters stands in quotes"
	if strings.Contains(at.GetMessage(), "'\t'") {
		text = "not YAML: a tab indents this line; use blanks"
	}
	d.problems = append(d.problems, Problem{File: d.file, Line: line, Text: text})
}

func (d *decoder) complain(n ast.Node, path, format string, args ...any) {
	d.problems = append(d.problems, Problem{File: d.file, Line: lineOf(n), Key: path, Text: fmt.Sprintf(format, args...)})
}

func lineOf(n ast.Node) int {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 && !m.IsFlowStyle {
		n = m.Values[0].Key // the mapping's own token is its first colon
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 1
}

// value decodes n into v.
func (d *decoder) value(n ast.Node, v reflect.Value, path string) {
	n = d.resolve(n, path)
	if n == nil || n.Type() == ast.NullType {
		return
	}
	switch t := v.Type(); {
	case t == durationType:
		d.duration(n, v, path)
	case reflect.PointerTo(t).Implements(textType):
		d.text(n, v, path)
	case t.Kind() == reflect.Struct:
		d.section(n, v, path)
	case t.Kind() == reflect.Slice:
		d.list(n, v, path)
	case t.Kind() == reflect.Map:
		d.mapping(n, v, path)
	case t.Kind() == reflect.Pointer:
		p := reflect.New(t.Elem())
		d.value(n, p.Elem(), path)
		v.Set(p)
	case t.Kind() == reflect.Interface:
		v.Set(reflect.ValueOf(describe(n)))
	default:
		d.scalar(n, v, path)
	}
}

// resolve goes through anchors, aliases and tags to the value behind them; nil after a
// problem.
func (d *decoder) resolve(n ast.Node, path string) ast.Node {
	switch n := n.(type) {
	case *ast.AnchorNode:
		inner := d.resolve(n.Value, path)
		d.anchors[n.Name.GetToken().Value] = inner
		return inner
	case *ast.AliasNode:
		name := n.Value.GetToken().Value
		if inner, ok := d.anchors[name]; ok {
			return inner
		}
		d.complain(n, path, "no anchor &%s stands above this line; write the value out", name)
		return nil
	case *ast.TagNode:
		return d.resolve(n.Value, path)
	}
	return n
}

// section decodes the keys of a struct.
func (d *decoder) section(n ast.Node, v reflect.Value, path string) {
	fields := fieldsOf(v.Type())
	byName := make(map[string]field, len(fields))
	for _, f := range fields {
		byName[f.name] = f
	}
	d.eachKey(n, path, func(name string, entry *ast.MappingValueNode) {
		f, ok := byName[name]
		if !ok {
			d.complain(entry.Key, join(path, name), "unknown key; the nearest known key is %s", nearest(path, name, fields, d.known))
			return
		}
		d.value(entry.Value, v.FieldByIndex(f.index), join(path, name))
	})
}

// eachKey calls do for every key of the mapping n, and notes its line.
func (d *decoder) eachKey(n ast.Node, path string, do func(name string, entry *ast.MappingValueNode)) {
	entries, ok := entriesOf(n)
	if !ok {
		d.complain(n, path, "%s is not a section; use keys of its own below it, each `key: value`", describe(n))
		return
	}
	seen := make(map[string]int, len(entries))
	for _, entry := range entries {
		if entry.Key.IsMergeKey() {
			d.complain(entry.Key, join(path, "<<"), "merge keys are not supported; write the keys out")
			continue
		}
		name := keyText(entry.Key)
		line := lineOf(entry.Key)
		if first, twice := seen[name]; twice {
			d.complain(entry.Key, join(path, name), "given twice, first on line %d; keep one of them", first)
			continue
		}
		seen[name] = line
		d.lines[join(path, name)] = line
		do(name, entry)
	}
}

// entriesOf returns the keys and values of n if it is a mapping.
func entriesOf(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// keyText returns a key as it is meant: 3402… and "3402…" are one device.
func keyText(k ast.MapKeyNode) string {
	if s, ok := k.(*ast.StringNode); ok {
		return s.Value
	}
	return k.GetToken().Value
}

func (d *decoder) list(n ast.Node, v reflect.Value, path string) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.complain(n, path, "%s is not a list; use [a, b], or one item a line, each after a dash", describe(n))
		return
	}
	items := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	for i, item := range seq.Values {
		key := path + "[" + strconv.Itoa(i) + "]"
		d.lines[key] = lineOf(item)
		d.value(item, items.Index(i), key)
	}
	v.Set(items)
}

func (d *decoder) mapping(n ast.Node, v reflect.Value, path string) {
	m := reflect.MakeMap(v.Type())
	d.eachKey(n, path, func(name string, entry *ast.MappingValueNode) {
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(entry.Value, item, join(path, name))
		m.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), item)
	})
	v.Set(m)
}

func (d *decoder) duration(n ast.Node, v reflect.Value, path string) {
	s, ok := scalarText(n)
	dur, err := time.ParseDuration(s)
	switch {
	case ok && err == nil:
		v.SetInt(int64(dur))
	case ok && isNumber(s):
		d.complain(n, path, "%s has no unit; write %ss for seconds, %sm for minutes", s, s, s)
	default:
		d.complain(n, path, "%s is not a duration; use a number with a unit, as in 500ms, 60s, 5m or 24h", describe(n))
	}
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

func (d *decoder) text(n ast.Node, v reflect.Value, path string) {
	s, ok := scalarText(n)
	if !ok {
		d.complain(n, path, "%s is not text; use one value", describe(n))
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
		d.complain(n, path, "%q cannot be read: %s", s, err.Error())
	}
}

func (d *decoder) scalar(n ast.Node, v reflect.Value, path string) {
	s, ok := scalarText(n)
	if !ok {
		d.complain(n, path, "%s is not %s", describe(n), wanted(v.Kind()))
		return
	}
	_, quoted := n.(*ast.StringNode)
	switch v.Kind() {
	case reflect.String:
		v.SetString(s) // 3402000000 and "3402000000" are the same text
		return
	case reflect.Bool:
		if b, ok := n.(*ast.BoolNode); ok {
			v.SetBool(b.Value)
			return
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if i, err := strconv.ParseInt(s, 0, 64); err == nil && !quoted && !v.OverflowInt(i) {
			v.SetInt(i)
			return
		}
	}
	d.complain(n, path, "%s is not %s", describe(n), wanted(v.Kind()))
}

// wanted says what a value of kind k is, and how it is written.
func wanted(k reflect.Kind) string {
	switch k {
	case reflect.Bool:
		return "a switch; use true or false"
	case reflect.String:
		return "text; use one value, in quotes if it has special characters"
	}
	return "a whole number in range; use digits without quotes"
}

// scalarText returns the text of a single value as it stands in the file, without quotes.
func scalarText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// describe names the value that was found, for a complaint.
func describe(n ast.Node) string {
	if s, ok := scalarText(n); ok {
		return strconv.Quote(s)
	}
	if _, ok := n.(*ast.SequenceNode); ok {
		return "a list"
	}
	return "a section"
}
