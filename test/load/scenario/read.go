package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Read reads and checks the scenario of a file. What is wrong is named as FILE:LINE: what
// is wrong; what is accepted, one a line.
func Read(file string) (*Scenario, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	return Parse(filepath.Base(file), text)
}

// Parse reads a scenario from text, which is called file in complaints.
func Parse(file string, text []byte) (*Scenario, error) {
	s := defaults()
	err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&s)
	if err != nil {
		line, what := explain(err)
		return nil, fmt.Errorf("%s:%d: %s", file, line, what)
	}
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var bad []error
	for _, c := range s.complaints() {
		bad = append(bad, fmt.Errorf("%s:%d: %s: %s", file, lineOf(tree, c.path), strings.TrimPrefix(c.path, "$."), c.what))
	}
	if len(bad) > 0 {
		return nil, errors.Join(bad...)
	}
	return &s, nil
}

// explain takes the line and the reason out of an error of the decoder.
func explain(err error) (line int, what string) {
	line, what = 1, err.Error()
	var at yaml.Error
	if errors.As(err, &at) {
		what = at.GetMessage()
		if t := at.GetToken(); t != nil && t.Position != nil {
			line = t.Position.Line
		}
	}
	var own *misfit
	if errors.As(err, &own) {
		line, what = own.line, own.what
	}
	return line, strings.Join(strings.Fields(what), " ")
}

// lineOf finds where the value at path stands, or the nearest section that is there.
func lineOf(tree *ast.File, path string) int {
	for {
		if at, err := yaml.PathString(path); err == nil {
			if n, err := at.FilterFile(tree); err == nil && n != nil && n.GetToken() != nil {
				return n.GetToken().Position.Line
			}
		}
		i := strings.LastIndexAny(path, ".[")
		if i <= 0 {
			return 1
		}
		path = path[:i]
	}
}

// misfit is a value that is not what it should be.
type misfit struct {
	line int
	what string
}

func (m *misfit) Error() string { return m.what }

func misfitOf(n ast.Node, format string, args ...any) error {
	return &misfit{n.GetToken().Position.Line, fmt.Sprintf(format, args...)}
}

// UnmarshalYAML reads a level: 100, {to: 100} or {from: 10, to: 100}.
func (l *Level) UnmarshalYAML(n ast.Node) error {
	if _, ok := n.(ast.MapNode); ok {
		type plain Level
		if err := yaml.NodeToValue(n, (*plain)(l), yaml.Strict()); err != nil {
			line, what := explain(err)
			return &misfit{line, what + "; a level is a number, {to: 100} or {from: 10, to: 100}"}
		}
		return nil
	}
	v, err := ParseAmount(n.String(), Number)
	if err != nil {
		return misfitOf(n, "%s is no level; use a number, {to: 100} or {from: 10, to: 100}", n)
	}
	l.From = &v
	return nil
}

// UnmarshalYAML reads a share: 0.1 or 10%.
func (s *Share) UnmarshalYAML(n ast.Node) error {
	v, err := ParseAmount(strings.Trim(n.String(), `"'`), Part)
	if err != nil || !(v >= 0 && v <= 1) {
		return misfitOf(n, "%s is no share; use 0 to 1, or 0%% to 100%%", n)
	}
	*s = Share(v)
	return nil
}

// UnmarshalYAML reads a duration with its unit.
func (s *Span) UnmarshalYAML(n ast.Node) error {
	d, err := time.ParseDuration(strings.Trim(n.String(), `"'`))
	if err != nil {
		return misfitOf(n, "%s is no duration; use a number with a unit, as 500ms, 60s or 24h", n)
	}
	*s = Span(d)
	return nil
}
