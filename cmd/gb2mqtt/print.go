package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
)

// isTerminal tells whether w is looked at by a person.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// painter colours words for w: on a terminal only, and never with NO_COLOR set.
func painter(w io.Writer) func(c text.Color, s string) string {
	if _, never := os.LookupEnv("NO_COLOR"); never || !isTerminal(w) {
		return func(_ text.Color, s string) string { return s }
	}
	text.EnableColors()
	return func(c text.Color, s string) string { return c.Sprint(s) }
}

// printJSON writes a document: over several lines for a person, on one for a machine.
func printJSON(w io.Writer, document []byte, compact bool) error {
	var b bytes.Buffer
	var err error
	if compact {
		err = json.Compact(&b, document)
	} else {
		err = json.Indent(&b, document, "", "  ")
	}
	if err != nil {
		return fmt.Errorf("the answer is not JSON: %w", err)
	}
	b.WriteByte('\n')
	_, err = b.WriteTo(w)
	return err
}

// parseObject reads one JSON object, its numbers with all their digits.
func parseObject(s string) (map[string]any, error) {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var o map[string]any
	if err := d.Decode(&o); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, fmt.Errorf("something stands behind the object")
	}
	if o == nil {
		return nil, fmt.Errorf("null is not an object")
	}
	return o, nil
}

// dotted writes the leaves of a document on one line: guard="on" ptz.preset=3.
func dotted(document any) string { return strings.Join(leavesOf(document), " ") }

// leavesOf returns the leaves of a document as path=value, in the order of their paths.
func leavesOf(document any) []string {
	var leaves []string
	var walk func(path string, v any)
	walk = func(path string, v any) {
		if o, ok := v.(map[string]any); ok && len(o) > 0 {
			for _, k := range slices.Sorted(maps.Keys(o)) {
				walk(strings.TrimPrefix(path+"."+k, "."), o[k])
			}
			return
		}
		leaf, err := json.Marshal(v)
		if err != nil {
			leaf = fmt.Append(nil, v)
		}
		leaves = append(leaves, strings.TrimPrefix(path+"="+string(leaf), "="))
	}
	walk("", document)
	return leaves
}
