package configs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	File string // as the user named it; the variable's name for a value of the environment
	Line int    // of the key, or of the nearest section that the file has; 0: the problem has no line
	Key  string // full path from the root, list items as key[2]; "" when the problem is not of one key
	Text string // what is wrong; what is accepted
}

// String returns the problem as one line, whatever the file's own words in it hold:
// FILE:LINE: key: what is wrong; what is accepted.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	if p.Key != "" {
		b.WriteString(": " + p.Key)
	}
	b.WriteString(": " + p.Text)
	return strings.Join(strings.Fields(b.String()), " ")
}

// Problems is everything that is wrong with a configuration, in the order of the file.
type Problems []Problem

// Error returns the problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// sorted returns ps by line, without repetitions; problems of one line keep their order.
func (ps Problems) sorted() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	seen := make(map[Problem]bool, len(ps))
	return slices.DeleteFunc(ps, func(p Problem) bool {
		again := seen[p]
		seen[p] = true
		return again
	})
}
